# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of a cloud mask on the grid of a scene."""

import re
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform_geom

from ....files import expanded
from ....kinds import CloudMaskKind
from ...grids import Grid, PixelBox
from ...sources import fault_of_place
from ..common import SceneError
from ..formats.masks.meanings import Classes, Meaning
from ..formats.masks.numbers import MaskNumbers
from ..formats.masks.telling import band_of_mask, kind_of_name, tell_mask
from ..formats.optical.safe import read_xml
from ..formats.parts import BandFile, CloudMask
from ..formats.rasters import RasterFiles, reading
from ..formats.sampling import sample
from .warping import TOLERANCE, same_grid, source_window, transform_of

_CLEAR, _CLOUD = 1, 2


class CloudReader:
    """Windows of a cloud mask on the grid of a scene.

    Masks of any CRS and resolution are read by nearest neighbour. What is not known to
    be clear is cloud: missing pixels, NaN, numbers without a meaning, and all beyond the
    mask. A nodata value of 0 is a number as any other, or masks that are nonzero in
    clouds would hold nothing but cloud. Pixels that Fmask calls adjacent to clouds count
    as cloud, as in the products that NASA makes of it, and so does a probability from
    40 % on. Readers can be pickled and forked.

    Args:
        source: The mask. A product's own tells how it is coded. Of a path, that band is
            read whose description tells a form of :data:`~.masks.MASK_FORMS`. Where no
            band is described, the first of several is read only if ``kind`` is told.
        grid: The pixels of the scene.
        kind: What its numbers mean; ``'auto'`` if the description of the band, the name
            of the file, or the numbers are to tell. What a product says of its own mask
            stands.

    Raises:
        SceneError: If the mask cannot be read, has no place, or nothing tells what its
            numbers mean.

    Example:
        >>> import rasterio
        >>> from rasterio.io import MemoryFile
        >>> place = rasterio.Affine(60, 0, 6e5, 0, -60, 5e6)
        >>> grid = Grid(CRS.from_epsg(32632), place, 64, 64)
        >>> profile = {'crs': grid.crs, 'transform': place, 'count': 1, 'dtype': 'uint8'}
        >>> with MemoryFile() as memory:
        ...     with memory.open('GTiff', 64, 64, **profile) as file:
        ...         file.write(np.eye(64, dtype=np.uint8), 1)
        ...     CloudReader(memory.name, grid).read(PixelBox(0, 0, 2, 2))
        array([[ True, False],
               [False,  True]])
    """

    def __init__(
        self,
        source: CloudMask | BandFile | str | PathLike[str],
        grid: Grid,
        kind: CloudMaskKind | Literal['auto'] = 'auto',
    ) -> None:
        by_label = False
        if isinstance(source, BandFile):
            source = CloudMask(source.path, index=source.index)
        elif not isinstance(source, CloudMask):
            path = str(expanded(source))
            if fault := fault_of_place(path):
                raise SceneError(path, fault)
            source, by_label = CloudMask(path), True
        own = kind_of_name(source.path)
        if source.kind is None and (kind == 'auto' or own == 'gml'):
            source = replace(source, kind=own)
        self.source = source
        """The mask, and how it is coded."""
        self.grid = grid
        self._files = RasterFiles()
        self._shapes: list[dict[str, Any]] = []
        if source.kind == 'gml':
            self._shapes = _polygons(source.path, grid.crs)
            return
        self._own = self._files.grid(source.path)
        header = self._files.header(source.path)
        if by_label and source.kind is None:
            picture = header.picture and own is None
            index = band_of_mask(
                source.path, header.labels, kind, header.alpha, picture
            )
            self.source = replace(source, index=index)
        self._indexes = [1, 2] if source.kind == 'classi' else [self.source.index]
        if header.count < max(self._indexes):
            raise SceneError(
                source.path,
                f'has {header.count} bands; band {max(self._indexes)} is wanted.',
            )
        self._nodata = header.nodata[self._indexes[0] - 1] or None
        self._meaning = self._tell(kind)
        self._same = same_grid(self._own, grid)
        self.close()

    @property
    def origin(self) -> str:
        """What tells where clouds are: the file of the mask."""
        return self.source.path

    def read(self, window: PixelBox) -> NDArray[np.bool_]:
        """Read a window.

        Args:
            window: Pixels of :attr:`grid`.

        Returns:
            True where there is cloud or shadow, or nothing is known; of shape H×W.

        Raises:
            SceneError: If the file cannot be read.
            ValueError: If the window reaches beyond the scene.
        """
        self.grid.check(window)
        shape = window.bottom - window.top, window.right - window.left
        place = transform_of(self.grid.transform, window)
        if self.source.kind == 'gml':
            cloudy = np.zeros(shape, np.uint8)
            if self._shapes:
                rasterize(self._shapes, out=cloudy, transform=place)
            return cloudy.astype(np.bool_)
        with reading(self.source.path):
            raster = self._files[self.source.path]
            if self._same:
                return self._cloudy(raster, window)
            part = source_window(self._own, self.grid, window)
            if part is None:
                return np.ones(shape, np.bool_)
            codes = np.zeros(shape, np.uint8)
            reproject(
                np.where(self._cloudy(raster, part), _CLOUD, _CLEAR).astype(np.uint8),
                codes,
                src_transform=transform_of(self._own.transform, part),
                src_crs=self._own.crs,
                src_nodata=0,
                dst_transform=place,
                dst_crs=self.grid.crs,
                dst_nodata=0,
                resampling=Resampling.nearest,
                tolerance=TOLERANCE,
            )
        unclear: NDArray[np.bool_] = codes != _CLEAR
        return unclear

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._files.close()

    def _tell(self, kind: CloudMaskKind | Literal['auto']) -> Meaning:
        """What the numbers mean; notes their kind."""
        path, said, index = self.source.path, self.source.kind, self.source.index
        if said == 'classi':
            return Classes((0,))
        label = self._files.header(path).labels[index - 1]
        # What a product says of its own mask is as good as what a user says
        told, meaning = tell_mask(
            path, label, self._numbers, cast(CloudMaskKind, said) if said else kind
        )
        self.source = replace(self.source, kind=told)
        return meaning

    def _numbers(self) -> MaskNumbers:
        """Numbers from all over the mask."""
        path = self.source.path
        label = self._files.header(path).labels[self.source.index - 1]
        with reading(path):
            # Overviews of classes may be averages
            array = sample(self._files[path], self._indexes, exact=True)
        if array.dtype.kind not in 'buif':
            raise SceneError(
                path, f'holds {array.dtype} numbers, which tell no clouds.'
            )
        return MaskNumbers.of(array, f'{label} {Path(path).name}', self._nodata)

    def _cloudy(self, raster: DatasetReader, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window of the mask, on its own pixels, is cloud."""
        array: NDArray[Any] = raster.read(self._indexes, window=window.ranges)
        clear = self._meaning.is_clear(array)
        if self._nodata is not None:
            clear &= array != self._nodata
        unclear: NDArray[np.bool_] = ~clear.all(axis=0)
        return unclear


def _ring(path: str, node: Any) -> list[tuple[float, float]]:
    """Corners of the first ring below a node."""
    for child in node.iter():
        if child.tag.endswith('}posList'):
            try:
                numbers = [float(text) for text in (child.text or '').split()]
                step = int(child.get('srsDimension', 2))
            except ValueError as error:
                raise SceneError(
                    path, f'has a corner that is none ({error}).'
                ) from error
            if step < 2 or not np.isfinite(numbers).all():
                raise SceneError(path, 'has a corner that is none.')
            return list(zip(numbers[::step], numbers[1::step], strict=False))
    return []


def _polygons(path: str, crs: CRS) -> list[dict[str, Any]]:
    """Polygons of clouds of a GML mask of level 1C, in the CRS of the scene."""
    root = read_xml(path)
    names = [node.get('srsName') for node in root.iter() if node.get('srsName')]
    shapes = []
    for polygon in root.iter():
        if not polygon.tag.endswith('}Polygon'):
            continue
        rings = [
            _ring(path, node)
            for role in ('}exterior', '}interior')
            for node in polygon
            if node.tag.endswith(role)
        ]
        if rings and len(rings[0]) > 3:
            kept = [ring for ring in rings if len(ring) > 3]
            shapes.append({'type': 'Polygon', 'coordinates': kept})
    # The masks of one file are all in one CRS, that of their tile
    code = re.search(r'EPSG.*?[:/](\d+)$', names[0] or '') if names else None
    if not code or not shapes:
        return shapes
    with reading(path):
        own = CRS.from_epsg(int(code[1]))
        if own != crs:
            shapes = [transform_geom(own, crs, shape) for shape in shapes]
    return shapes
