# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 as rasters: one a band, or one with all bands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isclose, isnan
from pathlib import Path

from .....transforms.bands import SENTINEL2_BANDS
from ...common import SceneError
from ..contents import Contents, File, contents_of
from ..evidence import Evidence, of_name, of_tags
from ..naming import classification_among, date_near, date_of, product_name
from ..parts import BandFile, CloudMask, OpticalProduct
from ..rasters import RasterFiles, RasterHeader
from .bands import (
    NO_BANDS,
    are_running_numbers,
    band_of_file,
    is_landsat,
    read_bands,
    strip_band,
)
from .safe import metadata_around

_LANDSAT = (
    'is Landsat by its name, whose bands have the codes of Sentinel-2, but are others. '
    'Give Sentinel-2.'
)

_TILE = re.compile(r'(?<![A-Za-z0-9])T?(\d{2}[C-X][A-Z]{2})(?![A-Za-z0-9])')
_SATELLITE = re.compile(
    r'(?<![A-Za-z0-9])(S2[A-D]|SENTINEL2[A-D])(?![A-Za-z0-9])', re.I
)

_DESCRIBE = "`dataset.descriptions = ('B2', 'B3', …)` in rasterio, opened with 'r+'"


def ordered(bands: Mapping[str, BandFile]) -> dict[str, BandFile]:
    """Bands in the order of ``SENTINEL2_BANDS``."""
    return {name: bands[name] for name in SENTINEL2_BANDS if name in bands}


def finest(band: str, candidates: Sequence[str], rasters: RasterFiles) -> str:
    """Of the files of one band, the one with the smallest pixels.

    Raises:
        SceneError: If there are two.
    """
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


def evidence_of_tags(
    bands: Mapping[str, BandFile], headers: Mapping[str, RasterHeader]
) -> list[Evidence]:
    """Evidence of the scale and offset tags of bands."""
    return of_tags(
        [
            (band.path, *headers[band.path].scales[band.index - 1])
            for band in bands.values()
        ]
    )


def nodata_of(path: Path, headers: Iterable[RasterHeader]) -> float:
    """The number of missing pixels that some rasters declare, else 0.

    Raises:
        SceneError: If they declare several.
    """
    declared = {header.nodata[0] for header in headers} - {None}
    if any(value is not None and isnan(value) for value in declared):
        return float('nan')
    if len(declared) > 1:
        raise SceneError(
            path,
            f'has bands of different nodata values: {sorted(map(str, declared))}.',
        )
    return float(declared.pop() or 0) if declared else 0.0


def read_band_files(path: Path) -> OpticalProduct:
    """Read a folder or a zip with one raster a band.

    Args:
        path: The folder, the zip, or the folder IMG_DATA of a SAFE product.

    Returns:
        The product.

    Raises:
        SceneError: If it holds none, or its files do not go together.
    """
    contents = contents_of(path)
    name = product_name(path.absolute())
    if not path.is_dir():
        rasters = contents.rasters
        if len(rasters) == 1 and not band_of_file(rasters[0].name):
            only = read_raster(Path(contents.path(rasters[0])))
            return replace(only, path=path, name=name)
        return from_files(path, name, contents)
    product = from_files(path, name, contents)
    evidence, date = metadata_around(path, len(product.bands))
    return replace(
        product, evidence=(*product.evidence, *evidence), date=date or product.date
    )


def from_files(path: Path, name: str, contents: Contents) -> OpticalProduct:
    """Read a product of one raster a band.

    Args:
        path: What errors name.
        name: Name of the product.
        contents: The files.

    Returns:
        The product.

    Raises:
        SceneError: If there are no bands, or they do not go together.
    """
    by_band: dict[str, list[str]] = {}
    for file in _without_twins(contents.rasters):
        if found := band_of_file(file.name):
            by_band.setdefault(found[0], []).append(contents.path(file))
    if not by_band:
        seen = ', '.join(f"'{file.name}'" for file in contents.rasters[:3])
        raise SceneError(
            path,
            'holds no rasters named after bands, such as …_B02.tif, B8A_20m.jp2 or '
            f'blue.tif; it holds {seen or "no rasters at all"}.',
        )
    names = [Path(files[0]).name for files in by_band.values()]
    if is_landsat([path.name, *names]):
        raise SceneError(path, _LANDSAT)
    _check_one_scene(path, names)
    rasters = RasterFiles()
    chosen = {band: finest(band, paths, rasters) for band, paths in by_band.items()}
    headers = [rasters.header(file) for file in chosen.values()]
    for one, header in zip(chosen.values(), headers, strict=True):
        if header.count != 1:
            raise SceneError(one, f'has {header.count} bands; its name says one.')
    bands = ordered({band: BandFile(file) for band, file in chosen.items()})
    rasters.close()
    first = next(iter(chosen.values()))
    clouds = classification_among(map(contents.path, contents.rasters))
    return OpticalProduct(
        path,
        name,
        bands,
        (
            *of_name(path.absolute().name),
            *evidence_of_tags(bands, rasters.headers),
        ),
        rasters.header(first).date or date_near(Path(first)),
        nodata_of(path, headers),
        CloudMask(clouds, 'scl') if clouds else None,
        form='bands',
        headers=rasters.headers,
    )


def _without_twins(files: Sequence[File]) -> list[File]:
    """Files without those that MAJA has corrected for slopes as well, which are better."""
    names = {file.name for file in files}
    return [
        file
        for file in files
        if file.name.replace('_SRE_', '_FRE_') not in names or '_SRE_' not in file.name
    ]


def _check_one_scene(path: Path, names: Sequence[str]) -> None:
    """Refuse files whose names tell several days, tiles or satellites."""
    for what, found in (
        (
            'days',
            {date.date().isoformat() for name in names if (date := date_of(name))},
        ),
        ('tiles', {match[1] for name in names if (match := _TILE.search(name))}),
        (
            'satellites',
            {match[1] for name in names if (match := _SATELLITE.search(name))},
        ),
    ):
        if len(found) > 1:
            raise SceneError(
                path,
                f'holds files of several {what} by their names: '
                f'{", ".join(sorted(found))}. Give each product a folder of its own.',
            )


def from_list(files: Sequence[Path]) -> OpticalProduct:
    """Read a product of one raster a band, which are listed.

    Args:
        files: The rasters.

    Returns:
        The product.

    Raises:
        SceneError: If they are no bands, or do not go together.
    """
    name = strip_band(files[0].name) or files[0].absolute().parent.name
    return from_files(files[0].parent, name, Contents(Path(), tuple(files)))


def read_raster(path: Path, all_bands: Sequence[str] | None = None) -> OpticalProduct:
    """Read a raster with all bands.

    Args:
        path: The raster.
        all_bands: Its bands in order; None if its descriptions, or the usual order of
            13 and of 12 bands, are to tell.

    Returns:
        The product.

    Raises:
        SceneError: If nothing tells its bands, or what tells them is not understood.
    """
    file = str(path)
    rasters = RasterFiles()
    header = rasters.header(file)
    rasters.close()
    if all_bands is None and is_landsat([path.name, *header.labels]):
        raise SceneError(
            path, f'{_LANDSAT} If it is Sentinel-2, say so by `all_bands`.'
        )
    names, assumed = _names(path, header, all_bands)
    bands = {
        name: BandFile(file, i)
        for i, name in enumerate(names, 1)
        if name in SENTINEL2_BANDS
    }
    found = ordered(bands)
    scl = [i for i, name in enumerate(names, 1) if name == 'SCL']
    return OpticalProduct(
        path,
        product_name(path),
        found,
        (*of_name(path.name), *evidence_of_tags(found, rasters.headers)),
        header.date or date_near(path),
        nodata_of(path, [header]),
        CloudMask(file, 'scl', scl[0]) if scl else None,
        form='raster',
        assumed=assumed,
        others={
            f'{name} ({i})': BandFile(file, i)
            for i, name in enumerate(names, 1)
            if name not in SENTINEL2_BANDS
        },
        headers=rasters.headers,
    )


def _names(
    path: Path, header: RasterHeader, all_bands: Sequence[str] | None
) -> tuple[list[str], bool]:
    """Names of the bands of a raster, and whether they are only the usual ones."""
    count = header.count
    if all_bands is not None:
        if len(all_bands) != count:
            raise SceneError(
                path,
                f'has {count} bands; `all_bands` names {len(all_bands)}: '
                f'{list(all_bands)}. Name every band in its order, {NO_BANDS[-1]!r} '
                'for what is none of Sentinel-2.',
            )
        return list(all_bands), False
    labels = header.labels
    if any(labels) and not are_running_numbers(labels):
        return _described(path, labels, header.alpha), False
    names = list(SENTINEL2_BANDS)
    if count == len(names) - 1:
        names.remove('B10')
    if count == len(names):
        return names, True
    if count == 1 and (found := band_of_file(path.name)):
        raise SceneError(
            path,
            f'has 1 band, {found[0]} by its name. Give the folder with the rasters of '
            'all bands.',
        )
    swapped = 'Were Sentinel-1 and Sentinel-2 swapped? ' if count == 2 else ''
    raise SceneError(
        path,
        f'has {count} band{"s" * (count != 1)}, which could be any. {swapped}'
        'Give 13 (B1 to B12 with B8A), 12 (without B10), say which they are with '
        f'`all_bands`, or describe them: {_DESCRIBE}.',
    )


def _described(path: Path, labels: Sequence[str], alpha: int | None) -> list[str]:
    found = [
        NO_BANDS[-1] if i == alpha and not label.strip() else band
        for i, (label, band) in enumerate(
            zip(labels, read_bands(labels), strict=True), 1
        )
    ]
    mapping = ', '.join(
        f'{label or "none"!r} → {band or "?"}'
        for label, band in zip(labels, found, strict=True)
    )
    bands = [band for band in found if band in SENTINEL2_BANDS]
    if len(set(bands)) != len(bands):
        raise SceneError(
            path,
            f'has a band twice: its descriptions are read as {mapping}. Say which they '
            f'are with `all_bands`, or describe them: {_DESCRIBE}.',
        )
    if None in found:
        raise SceneError(
            path,
            f'has descriptions that are not understood: {mapping}. Say which they are '
            f'with `all_bands`, in order, {NO_BANDS[-1]!r} for what is no band of '
            f'Sentinel-2; or describe them: {_DESCRIBE}.',
        )
    if not bands:
        raise SceneError(
            path, f'has no band of Sentinel-2: its descriptions are read as {mapping}.'
        )
    return [band or '' for band in found]
