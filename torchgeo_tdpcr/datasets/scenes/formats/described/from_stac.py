# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Products that STAC items tell of: Sentinel-2, and Sentinel-1 as backscatter."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from .....transforms.bands import BASELINE_OFFSET
from ...common import SceneError
from ..evidence import Evidence, of_baseline, of_name, of_tags
from ..naming import RASTERS, date_near, polarisation_of, product_name
from ..optical.band_files import evidence_of_tags, nodata_of, ordered
from ..parts import BandFile, CloudMask, OpticalProduct
from ..radar.faults import check_uncorrected
from ..radar.files import RadarBands, order_of_names
from ..radar.names import scale_of_name, scale_of_unit
from ..rasters import RasterFiles
from .metadata import Told, date_from, put_into_headers
from .stac import Asset, Item, here, nothing_here, optical_names, read_item

#: Whether the offset was taken out of the numbers, by the old and the new name.
_APPLIED = ('earthsearch:boa_offset_applied', 'sentinel:boa_offset_applied')

#: Properties with the processing baseline; of the first, numbers are as ESA made them.
_BASELINES = (
    's2:processing_baseline',
    'sentinel:processing_baseline',
    'processing:version',
)

#: Types of the numbers that ESA delivers, some of which others make signed.
_WHOLE = frozenset(('uint16', 'int16'))

#: Of this collection, many items say that an offset is still there which is not.
_DOUBTED = 'sentinel-2-l2a'


def read_optical_item(
    path: Path, all_bands: Sequence[str] | None = None
) -> OpticalProduct:
    """Read a STAC item of Sentinel-2.

    Args:
        path: Its file.
        all_bands: Of no use here, for its names tell.

    Returns:
        The product.

    Raises:
        SceneError: If it is none, is malformed, or its files are elsewhere.
    """
    del all_bands
    item = read_item(path, 'sentinel-2')
    named = optical_names(item)
    classes = named.pop('SCL', [])
    if not named:
        raise SceneError(
            path, f'has no assets that are bands of Sentinel-2, but {_keys(item)}.'
        )
    rasters = RasterFiles()
    chosen = {
        band: _finest(found, rasters)
        for band, assets in named.items()
        if (found := here(item, assets))
    }
    if not chosen:
        raise nothing_here(item, [asset for (asset, _), *_ in named.values()])
    bands = ordered(
        {band: BandFile(asset.path, i) for band, (asset, i) in chosen.items()}
    )
    for file in bands.values():
        if file.index > rasters.header(file.path).count:
            raise SceneError(
                file.path, f"has fewer bands than '{path}' tells: {file.index}."
            )
    told = {band: asset.told[i - 1] for band, (asset, i) in chosen.items()}
    dtypes = {
        rasters.header(file.path).dtypes[file.index - 1] for file in bands.values()
    }
    evidence = _evidence(item, told, bands, dtypes <= _WHOLE)
    evidence += evidence_of_tags(bands, rasters.headers)
    if _applied(item):
        told = {band: replace(said, offset=0.0) for band, said in told.items()}
    put_into_headers(bands, told, rasters.headers)
    first = next(iter(bands.values()))
    # A mask is worth having, but not needed
    there = [entry for entry in classes if entry[0].path]
    clouds = _finest(here(item, there), rasters) if there else None
    rasters.close()
    return OpticalProduct(
        path,
        product_name(path),
        bands,
        tuple(evidence),
        _date(item) or rasters.header(first.path).date or date_near(path),
        nodata_of(path, [rasters.header(file.path) for file in bands.values()]),
        CloudMask(clouds[0].path, 'scl', clouds[1]) if clouds else None,
        form='stac',
        headers=rasters.headers,
    )


def _finest(
    assets: Sequence[tuple[Asset, int]], rasters: RasterFiles
) -> tuple[Asset, int]:
    """Of the assets of one band, that with the smallest pixels; the first of equals."""
    if len(assets) == 1:
        rasters.header(assets[0][0].path)
        return assets[0]
    return min(
        assets,
        key=lambda entry: abs(rasters.header(entry[0].path).grid.transform.a),
    )


def _keys(item: Item) -> str:
    more = ' …' if len(item.assets) > 6 else ''
    return ', '.join(repr(asset.key) for asset in item.assets[:6]) + more


def _date(item: Item) -> datetime | None:
    date = item.properties.get('datetime') or item.properties.get('start_datetime')
    return date_from(item.path, date)


def _applied(item: Item) -> bool | None:
    """Whether the item says that the offset was taken out of the numbers."""
    said = [item.properties[key] for key in _APPLIED if key in item.properties]
    if not said:
        return None
    if not isinstance(said[0], bool):
        raise SceneError(
            item.path,
            f'has boa_offset_applied {said[0]!r}, which must be true or false.',
        )
    return said[0]


def _evidence(
    item: Item, told: Mapping[str, Told], bands: Mapping[str, BandFile], whole: bool
) -> list[Evidence]:
    """What an item tells of the offset; *whole* says whether numbers may be ESA's own.

    Earth Search says by a property of its own whether the offset was taken out. Where
    it was, neither the baseline nor the offset of ``raster:bands`` hold any longer, which
    its makers confirm. Where it was not, that is wrong for many items of its older
    collection, so that only the numbers tell.
    """
    where = f"'{item.path.name}'"
    applied = _applied(item)
    if applied:
        return [Evidence(f'boa_offset_applied in {where}', 0)]
    baselines = [
        (key, piece) for key in _BASELINES for piece in _of_baseline(item, key, where)
    ]
    late = any(piece.offset == BASELINE_OFFSET for _, piece in baselines)
    if applied is False and late and item.collection == _DOUBTED:
        return []
    tags = [(file.path, *told[band].tags) for band, file in bands.items()]
    scaled = [
        replace(piece, what=f'{piece.what}, in {where}') for piece in of_tags(tags)
    ]
    if not (whole or scaled):
        # Whoever made reflectance of them has taken it off, whatever the baseline
        return []
    return [
        *of_name(item.name),
        *scaled,
        *(
            # As ESA made them, unless the item is of those that may say otherwise
            replace(piece, decides=not scaled and (not late or key == _BASELINES[0]))
            for key, piece in baselines
        ),
    ]


def _of_baseline(item: Item, key: str, where: str) -> list[Evidence]:
    match = re.fullmatch(r'(\d{1,2})\.(\d\d)', str(item.properties.get(key) or ''))
    return of_baseline(where, int(match[1]), int(match[2])) if match else []


def read_radar_item(
    path: Path, rasters: RasterFiles, polarisations: Sequence[str] | None = None
) -> RadarBands:
    """Read a STAC item of Sentinel-1 as backscatter.

    Args:
        path: Its file.
        rasters: To open the files with.
        polarisations: See :func:`~.radar.files.order_of_names`.

    Returns:
        The bands.

    Raises:
        SceneError: If it is none, or its files are elsewhere.
    """
    item = read_item(path, 'sentinel-1')
    chosen = {}
    for name in ('VV', 'VH'):
        assets = _assets_of(item, name)
        if not assets:
            raise SceneError(
                path,
                f'has no asset of {name}, but {_keys(item)}. Both VV and VH are needed.',
            )
        found = here(item, [(asset, 1) for asset in assets])
        if not found:
            raise nothing_here(item, assets)
        chosen[name] = found[0][0]
        check_uncorrected(chosen[name].path, rasters)
    bands = {name: BandFile(asset.path) for name, asset in chosen.items()}
    told = {name: asset.told[0] for name, asset in chosen.items()}
    put_into_headers(bands, told, rasters.headers)
    return RadarBands(
        (bands['VV'], bands['VH']),
        order_of_names(path, polarisations),
        scale=scale_of_unit(told['VV'].unit, f"VV in '{item.path.name}'")
        or scale_of_name(bands['VV'].path),
        date=_date(item),
    )


def _assets_of(item: Item, name: str) -> list[Asset]:
    """Rasters of one polarisation; those that are called by it before others."""
    found = [
        asset
        for asset in item.assets
        if asset.data
        and polarisation_of(asset.key) == name
        and PurePosixPath(asset.href.partition('?')[0]).suffix.lower() in RASTERS
    ]
    return sorted(found, key=lambda asset: asset.key.upper() != name)
