# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of a cloud mask on the grid of a scene."""

import re
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform_geom

from ....files import expanded
from ...grids import Grid, PixelBox
from ...sources import fault_of_place
from ..common import CloudMaskKind, SceneError
from ..formats.naming import classification_among
from ..formats.parts import BandFile, CloudMask, MaskKind
from ..formats.rasters import RasterFiles, reading
from ..formats.safe import read_xml
from .warping import TOLERANCE, same_grid, source_window, transform_of

#: Classes of level 2A's scene classification that are not known to be clear: no data,
#: cloud shadow, clouds of medium and high probability, cirrus.
_SCL_CLOUDS = (0, 3, 8, 9, 10)

_CLEAR, _CLOUD = 1, 2


class CloudReader:
    """Windows of a cloud mask on the grid of a scene.

    Masks of any CRS and resolution are read by nearest neighbour. What is not known to
    be clear is cloud: missing pixels, NaN, and all beyond the mask. A nodata value of 0
    is taken for clear, or such a mask would hold nothing but cloud. Readers can be
    pickled and forked.

    Args:
        source: The mask. A product's own tells how it is coded; that of a path is told
            from its name (``MSK_CLASSI…``, ``…_SCL_20m…``, ``….gml``), and otherwise
            nonzero pixels of its first band are cloud or shadow.
        grid: The pixels of the scene.

    Raises:
        SceneError: If the mask cannot be read, or has no place.

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
        if isinstance(source, BandFile):
            source = CloudMask(source.path, _kind(source.path), source.index)
        elif not isinstance(source, CloudMask):
            path = str(expanded(source))
            if fault := fault_of_place(path):
                raise SceneError(path, fault)
            source = CloudMask(path, _kind(path))
        self.source = source
        """The mask, and how it is coded."""
        self.grid = grid
        self._files = RasterFiles()
        self._shapes: list[dict[str, Any]] = []
        if source.kind == 'gml':
            self._shapes = _polygons(source.path, grid.crs)
            return
        self._own = self._files.grid(source.path)
        self._indexes = [1, 2] if source.kind == 'classi' else [source.index]
        count = self._files.header(source.path).count
        if count < max(self._indexes):
            raise SceneError(
                source.path,
                f'has {count} bands; band {max(self._indexes)} is wanted.',
            )
        self._same = same_grid(self._own, grid)
        self.close()

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

    def _cloudy(self, raster: DatasetReader, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window of the mask, on its own pixels, is cloud."""
        array: NDArray[Any] = raster.read(self._indexes, window=window.ranges)
        if self.source.kind == 'scl':
            return np.isin(array[0], _SCL_CLOUDS)
        # A NaN is not 0 either. A nodata value other than 0 is not, in any type
        cloudy: NDArray[np.bool_] = (array != 0).any(axis=0)
        return cloudy


def _kind(path: str) -> MaskKind:
    name = Path(path).name
    if name.lower().endswith('.gml'):
        return 'gml'
    if re.match(r'MSK_CLASSI', name, re.IGNORECASE):
        return 'classi'
    return 'scl' if classification_among([name]) else 'binary'


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
