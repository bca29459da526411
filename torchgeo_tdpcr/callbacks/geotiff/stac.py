# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The STAC item of a mapped scene."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rasterio.warp import transform_bounds, transform_geom

from ...datasets.scenes.common import SceneInfo
from ...transforms.bands import SENTINEL2_BANDS
from .layers.kinds import MapLayer
from .raster import Band

_EXTENSIONS = {
    'proj:': 'https://stac-extensions.github.io/projection/v2.0.0/schema.json',
    'raster:': 'https://stac-extensions.github.io/raster/v2.0.0/schema.json',
    'eo:': 'https://stac-extensions.github.io/eo/v2.0.0/schema.json',
    'classification:': (
        'https://stac-extensions.github.io/classification/v2.0.0/schema.json'
    ),
    'processing:': 'https://stac-extensions.github.io/processing/v1.2.0/schema.json',
}

_COG = 'image/tiff; application=geotiff; profile=cloud-optimized'


def stac_item(
    info: SceneInfo,
    files: Sequence[tuple[MapLayer, Path, Sequence[Band]]],
    properties: Mapping[str, Any],
    software: Mapping[str, str],
) -> dict[str, Any]:
    """Describe the files of a scene as a STAC item (version 1.1.0).

    Where the date of acquisition is unknown, ``datetime`` is when the input was last
    modified, and ``tdpcr:datetime_from`` says so.

    Args:
        info: The scene.
        files: The layers, their files, and what their bands hold.
        properties: Further properties.
        software: Names and versions of what made the files.

    Returns:
        The item, ready for :func:`json.dump`.
    """
    grid = info.grid
    bounds = grid.bounds
    left, bottom, right, top = bounds
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    geometry = {'type': 'Polygon', 'coordinates': [ring]}
    epsg = grid.crs.to_epsg()
    item: dict[str, Any] = {
        'type': 'Feature',
        'stac_version': '1.1.0',
        'id': info.name,
        'bbox': list(transform_bounds(grid.crs, 'EPSG:4326', *bounds)),
        'geometry': transform_geom(grid.crs, 'EPSG:4326', geometry, precision=7),
        'properties': {
            **_dates(info),
            'proj:code': None if epsg is None else f'EPSG:{epsg}',
            **({} if epsg else {'proj:wkt2': grid.crs.to_wkt(version='WKT2_2019')}),
            'proj:shape': [grid.height, grid.width],
            'proj:transform': list(grid.transform)[:6],
            'processing:software': dict(software),
            'tdpcr:inputs': info.inputs,
            **properties,
        },
        'links': [
            {'rel': 'derived_from', 'href': href, 'title': kind}
            for kind, href in info.inputs.items()
        ],
        'assets': {
            layer.name: _asset(layer, path, bands) for layer, path, bands in files
        },
    }
    text = repr(item)
    item['stac_extensions'] = [url for key, url in _EXTENSIONS.items() if key in text]
    return item


def _dates(info: SceneInfo) -> dict[str, Any]:
    if info.date is not None:
        start, stop = map(_utc, info.date)
        if start == stop:
            return {'datetime': start}
        return {'datetime': start, 'start_datetime': start, 'end_datetime': stop}
    times = [
        Path(path).stat().st_mtime for path in info.inputs.values() if _there(path)
    ]
    modified = datetime.fromtimestamp(int(min(times, default=0)), UTC)
    return {'datetime': _utc(modified), 'tdpcr:datetime_from': 'input file'}


def _there(path: str) -> bool:
    return Path(path).exists()


def _utc(date: datetime) -> str:
    return date.strftime('%Y-%m-%dT%H:%M:%SZ')


def _asset(layer: MapLayer, path: Path, bands: Sequence[Band]) -> dict[str, Any]:
    """Describe one file."""
    nodata = 'nan' if layer.nodata != layer.nodata else layer.nodata
    asset: dict[str, Any] = {
        'href': f'./{path.name}',
        'type': _COG,
        'title': layer.title,
        'roles': ['data'],
        'data_type': layer.dtype,
        'nodata': nodata,
        'bands': [_band(band) for band in bands],
    }
    if bands[0].classes:
        asset['classification:classes'] = [
            {
                'value': value,
                'name': name,
                'color_hint': '{:02X}{:02X}{:02X}'.format(*color),
            }
            for value, (name, color) in enumerate(
                zip(bands[0].classes, bands[0].colors, strict=True)
            )
        ]
    return asset


def _band(band: Band) -> dict[str, Any]:
    """Describe one band."""
    described: dict[str, Any] = {'name': band.description}
    if (band.scale, band.offset) != (1.0, 0.0):
        described |= {'raster:scale': band.scale, 'raster:offset': band.offset}
    if band.unit:
        described['unit'] = band.unit
    if band.description in SENTINEL2_BANDS:
        wavelength = SENTINEL2_BANDS[band.description].wavelength
        described['eo:center_wavelength'] = wavelength / 1000
    return described
