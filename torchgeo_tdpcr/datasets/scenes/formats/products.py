# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 products in every form that people have them: where which band is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isclose, isnan
from os import PathLike
from pathlib import Path
from typing import Literal, cast

from ....files import expanded
from ....transforms.bands import SENTINEL2_BANDS
from ...sources import fault_of_place
from ..common import SceneError
from .evidence import Evidence, of_name, of_tags, settle
from .naming import (
    band_of_file,
    band_of_label,
    classification_among,
    date_of,
    product_name,
    strip_band,
)
from .rasters import Headers, RasterFiles, RasterHeader
from .safe import is_metadata, is_safe, read_safe

#: How a cloud mask is coded: nonzero is cloud or shadow; ESA's MSK_CLASSI (opaque,
#: cirrus, snow); ESA's scene classification of level 2A; ESA's polygons.
type MaskKind = Literal['mask', 'classi', 'scl', 'gml']


@dataclass(frozen=True, slots=True)
class BandFile:
    """One band of a raster file.

    Args:
        path: Anything that rasterio opens, a file in a zip included.
        index: The band, counted from 1.
    """

    path: str
    index: int = 1


@dataclass(frozen=True, slots=True)
class CloudMask:
    """A file that tells where clouds are.

    Args:
        path: The file, perhaps in a zip.
        kind: How it is coded.
        index: The band, counted from 1, if *kind* is ``'mask'``.
    """

    path: str
    kind: MaskKind = 'mask'
    index: int = 1


@dataclass(frozen=True, slots=True)
class OpticalProduct:
    """A Sentinel-2 product: where its bands are, and what its numbers mean.

    Args:
        path: The file or folder that was given.
        name: Its name without endings.
        bands: File of each band that there is, in the order of ``SENTINEL2_BANDS``.
        evidence: What tells what was added to reflectance × 10⁴, before any pixel is read.
        date: Start of the acquisition in UTC; None if nothing tells.
        nodata: Number of missing pixels that some of its files declare, may be NaN; else 0.
        clouds: The product's own cloud mask; None if it has none.
        headers: What those of its files say about themselves that have been opened;
            takes that of others when they are.
    """

    path: Path
    name: str
    bands: dict[str, BandFile]
    evidence: tuple[Evidence, ...]
    date: datetime | None
    nodata: float
    clouds: CloudMask | None = None
    headers: Headers = field(default_factory=dict, compare=False, repr=False)

    @property
    def offset(self) -> int | None:
        """What was added to reflectance × 10⁴; None if only pixels may tell.

        Raises:
            SceneError: If the product contradicts itself.
        """
        return settle(self.path, self.evidence)


def find_optical(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
) -> OpticalProduct:
    """Find the bands of a Sentinel-2 product.

    No pixels are read.

    Args:
        path: One of

            * a raster with 13 bands in the order of ``SENTINEL2_BANDS``, 12 bands in the
              same order without B10, or any number of bands whose descriptions name
              them (``'B1'`` or ``'B01'``); descriptions win over the order;
            * a folder with one raster a band, whose names end in the band (``_B02.tif``,
              ``_B8A_20m.jp2``); of several resolutions the finest is taken;
            * a list of such rasters;
            * a SAFE folder of level 1C or 2A, its metadata file, or a zip of it, which
              is not extracted.

    Returns:
        The product.

    Raises:
        SceneError: If it is none of these, or its files do not go together.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import rasterio
        >>> profile = {'driver': 'GTiff', 'count': 1, 'dtype': 'uint16'}
        >>> profile |= {'width': 8, 'height': 8, 'crs': 'EPSG:32632'}
        >>> profile |= {'transform': rasterio.Affine(10, 0, 6e5, 0, -10, 5e6)}
        >>> with TemporaryDirectory() as folder:
        ...     for band in ('B8A', 'B04'):
        ...         path = f'{folder}/S2_20200604_{band}.tif'
        ...         rasterio.open(path, 'w', **profile).close()
        ...     product = find_optical(folder)
        >>> list(product.bands), product.date.year, product.offset
        (['B4', 'B8A'], 2020, None)
    """
    if not isinstance(path, (str, PathLike)):
        files = [expanded(file) for file in path]
        if not files:
            raise ValueError('`path=[]`: give at least one file.')
        name = strip_band(files[0].name) or files[0].absolute().parent.name
        return _from_files(files[0].parent, name, files)
    path = expanded(path)
    if fault := fault_of_place(path):
        raise SceneError(path, fault)
    if is_metadata(path):
        path = path.absolute().parent
    if is_safe(path):
        return _from_safe(path)
    if path.is_dir():
        name = product_name(path.absolute())
        # Level 2A has a folder for each resolution in IMG_DATA
        return _from_files(
            path, name, sorted([*path.iterdir(), *path.glob('R[126]0m/*')])
        )
    return _from_raster(path)


def _ordered(bands: dict[str, BandFile]) -> dict[str, BandFile]:
    return {name: bands[name] for name in SENTINEL2_BANDS if name in bands}


def _finest(band: str, candidates: Sequence[str], rasters: RasterFiles) -> str:
    """Of the files of one band, the one with the smallest pixels."""
    if len(candidates) == 1:
        return candidates[0]
    sizes = sorted(
        (abs(rasters.header(path).grid.transform.a), path) for path in candidates
    )
    if isclose(sizes[0][0], sizes[1][0]):
        raise SceneError(
            sizes[0][1],
            f"and '{sizes[1][1]}' both hold {band} with the same resolution. Keep one.",
        )
    return sizes[0][1]


def _of_tags(
    bands: dict[str, BandFile], headers: Mapping[str, RasterHeader]
) -> list[Evidence]:
    return of_tags(
        [
            (band.path, *headers[band.path].scales[band.index - 1])
            for band in bands.values()
        ]
    )


def _common[T](path: Path, what: str, values: Iterable[T | None]) -> T | None:
    """The one value among those that are not None."""
    known = {value for value in values if value is not None}
    if len(known) > 1:
        raise SceneError(
            path, f'has bands of different {what}: {sorted(map(str, known))}.'
        )
    return known.pop() if known else None


def _nodata(path: Path, headers: Iterable[RasterHeader]) -> float:
    declared = [header.nodata[0] for header in headers]
    if any(value is not None and isnan(value) for value in declared):
        return float('nan')
    return float(_common(path, 'nodata values', declared) or 0)


def _from_safe(path: Path) -> OpticalProduct:
    contents = read_safe(path)
    rasters = RasterFiles()
    bands = {
        band: BandFile(_finest(band, files, rasters))
        for band, files in contents.bands.items()
    }
    rasters.close()
    clouds = contents.clouds
    return OpticalProduct(
        path,
        product_name(path),
        _ordered(bands),
        tuple(contents.evidence),
        contents.date or date_of(path.name),
        # As the specification of the format has it; its files do not say
        0.0,
        CloudMask(clouds[0], cast(MaskKind, clouds[1])) if clouds else None,
        rasters.headers,
    )


def _from_files(path: Path, name: str, files: Sequence[Path]) -> OpticalProduct:
    """A product of one file a band; *path* is the folder that errors name."""
    by_band = _by_band(files)
    if not by_band:
        raise SceneError(
            path,
            'holds no band files. Their names must end in the band, such as _B02.tif or '
            '_B8A_20m.jp2.',
        )
    rasters = RasterFiles()
    chosen = {band: _finest(band, paths, rasters) for band, paths in by_band.items()}
    headers = [rasters.header(file) for file in chosen.values()]
    for file, header in zip(chosen.values(), headers, strict=True):
        if header.count != 1:
            raise SceneError(file, f'has {header.count} bands; its name says one.')
    nodata = _nodata(path, headers)
    bands = _ordered({band: BandFile(file) for band, file in chosen.items()})
    rasters.close()
    first = Path(next(iter(chosen.values())))
    clouds = classification_among(map(str, files))
    return OpticalProduct(
        path,
        name,
        bands,
        (*of_name(path.absolute().name), *_of_tags(bands, rasters.headers)),
        date_of(first.name) or date_of(name),
        nodata,
        CloudMask(clouds, 'scl') if clouds else None,
        rasters.headers,
    )


def _by_band(files: Iterable[Path]) -> dict[str, list[str]]:
    bands: dict[str, list[str]] = {}
    for file in files:
        if found := band_of_file(file.name):
            bands.setdefault(found[0], []).append(str(file))
    return bands


def _from_raster(path: Path) -> OpticalProduct:
    file = str(path)
    rasters = RasterFiles()
    header = rasters.header(file)
    rasters.close()
    labels = [band_of_label(label) for label in header.labels]
    named = [label for label in labels if label]
    nodata = _nodata(path, [header])
    count = header.count
    if len(set(named)) != len(named):
        raise SceneError(path, f'has a band twice: its descriptions are {named}.')
    if not named:
        labels = list(SENTINEL2_BANDS)
        if count == len(labels) - 1:
            labels.remove('B10')
    if not named and count != len(labels):
        swapped = 'Were Sentinel-1 and Sentinel-2 swapped? ' if count == 2 else ''
        raise SceneError(
            path,
            f'has {count} band{"s" * (count != 1)}, which could be any. {swapped}'
            'Give 13 (B1 to B12 with B8A), 12 (without B10), or describe the bands: '
            "`dataset.descriptions = ('B2', 'B3', …)` in rasterio, opened with 'r+'.",
        )
    bands = _ordered(
        {label: BandFile(file, i) for i, label in enumerate(labels, 1) if label}
    )
    return OpticalProduct(
        path,
        product_name(path),
        bands,
        (*of_name(path.name), *_of_tags(bands, rasters.headers)),
        date_of(path.name),
        nodata,
        headers=rasters.headers,
    )
