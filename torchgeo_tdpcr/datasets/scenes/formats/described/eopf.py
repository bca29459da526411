# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 in EOPF Zarr, ESA's format that follows SAFE.

A product is a folder (a store) of groups, in which each band is an array, a folder of its
own. The groups and attributes that are read here are those of ESA's EOPF Core Python
Modules. Arrays of Zarr 2 and 3 are rasters to GDAL.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from .....transforms.bands import SENTINEL2_BANDS
from ...common import SceneError
from ..contents import contents_of, is_zip
from ..evidence import Evidence, of_baseline, of_name
from ..naming import date_near, product_name
from ..optical.band_files import evidence_of_tags, nodata_of, ordered
from ..optical.bands import band_of_label
from ..parts import BandFile, CloudMask, OpticalProduct
from ..rasters import RasterFiles, reading
from .metadata import Told, date_from, number_of, put_into_headers, read_json

_REFLECTANCE = 'measurements/reflectance'
_CLASSES = 'conditions/mask/l2a_classification'

#: Files that make a folder a group of a store, of Zarr 2 and 3.
_GROUP = ('.zgroup', 'zarr.json', '.zmetadata')
_STORE_FILES = (*_GROUP, '.zattrs')

#: Properties with the processing baseline.
_BASELINES = ('processing:version', 's2:processing_baseline', 'eopf:baseline')

_CONVERT = (
    'Convert its bands with GDAL: `gdal_translate '
    """'ZARR:"product.zarr":/measurements/reflectance/r10m/b02' B02.tif`, one each."""
)


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a Zarr store: a group of it, or a file with its metadata."""
    if path.is_dir():
        return any((path / name).is_file() for name in _GROUP)
    return path.name in _STORE_FILES and path.is_file()


def is_zipped_zarr(path: Path) -> bool:
    """Tell whether a path is a zip with a Zarr store, by its name or by what it holds."""
    if not is_zip(path):
        return False
    if path.stem.lower().endswith('.zarr'):
        return True
    return any(file.name in _GROUP for file in contents_of(path).files)


def refuse_zipped_zarr(path: Path, *_: object) -> OpticalProduct:
    """Refuse a zip with a Zarr store.

    Raises:
        SceneError: Always.
    """
    raise SceneError(path, 'is a zip of a Zarr store. Unpack it, and give the folder.')


def refuse_radar_zarr(path: Path, *_: object) -> Any:
    """Refuse Zarr of Sentinel-1.

    Raises:
        SceneError: Always.
    """
    raise SceneError(
        path,
        'is a Zarr store. Those of Sentinel-1 are as ESA delivers it, or not of ESA. '
        'Calibrate it to sigma0 or gamma0 and terrain-correct it first, and give the '
        'raster.',
    )


def root_of(path: Path) -> Path:
    """The store that a group is of, or a file with metadata of it."""
    path = path.absolute()
    if not path.is_dir():
        path = path.parent
    while path.suffix.lower() != '.zarr' and is_zarr(path.parent):
        path = path.parent
    return path


def read_eopf(path: Path, all_bands: Sequence[str] | None = None) -> OpticalProduct:
    """Read Sentinel-2 in EOPF Zarr.

    Args:
        path: The store, or a part of it.
        all_bands: Of no use here, for its names tell.

    Returns:
        The product.

    Raises:
        SceneError: If it is none, or is malformed.
    """
    del all_bands
    root = root_of(path)
    arrays = _finest_arrays(root / _REFLECTANCE)
    if not arrays:
        seen = sorted(file.name for file in root.iterdir() if is_zarr(file))
        raise SceneError(
            path,
            f"is a Zarr store, but no Sentinel-2 of EOPF: there are no bands in '"
            f"{_REFLECTANCE}/r10m', …; it holds {', '.join(seen[:6]) or 'no groups'}. "
            f'{_CONVERT}',
        )
    bands = ordered({band: BandFile(str(file)) for band, file in arrays.items()})
    rasters = RasterFiles()
    about = _attributes(root)
    crs = _crs(root, about)
    for file in bands.values():
        header = rasters.header(file.path)
        if header.grid.crs is None and crs is not None:
            grid = header.grid._replace(crs=crs)
            rasters.headers[file.path] = replace(header, grid=grid)
    dtypes = {file.path: rasters.header(file.path).dtypes[0] for file in bands.values()}
    told = {
        band: _told(arrays[band], dtypes[file.path]) for band, file in bands.items()
    }
    # GDAL takes Zarr's `fill_value` for it, which is only what chunks without a file hold
    put_into_headers(bands, told, rasters.headers, before=True)
    tags = evidence_of_tags(bands, rasters.headers)
    # Of reflectance, the offset is off
    decoded = not tags and all(dtype.startswith('f') for dtype in dtypes.values())
    clouds = _classes(root, rasters)
    rasters.close()
    properties = _properties(root, about)
    date = properties.get('datetime') or properties.get('start_datetime')
    return OpticalProduct(
        root,
        product_name(root),
        bands,
        tuple(tags if decoded else [*_baselines(root, properties), *tags]),
        date_from(root, date) or date_near(root),
        nodata_of(root, [rasters.headers[file.path] for file in bands.values()]),
        CloudMask(clouds, 'scl') if clouds else None,
        form='eopf',
        headers=rasters.headers,
    )


def _finest_arrays(folder: Path) -> dict[str, Path]:
    """Array of each band of Sentinel-2, the finest where there are several."""
    found: dict[str, Path] = {}
    for group in _resolutions(folder):
        for array in sorted(group.iterdir()):
            band = band_of_label(array.name) if array.is_dir() else None
            if band in SENTINEL2_BANDS:
                found.setdefault(str(band), array)
    return found


def _resolutions(folder: Path) -> list[Path]:
    """Groups of resolutions in a folder, the finest first."""
    groups = folder.iterdir() if folder.is_dir() else ()
    found = [(re.fullmatch(r'r(\d+)m', group.name), group) for group in groups]
    return [group for _, group in sorted((int(m[1]), group) for m, group in found if m)]


def _classes(root: Path, rasters: RasterFiles) -> str | None:
    """The finest scene classification, if it says where it lies."""
    for group in _resolutions(root / _CLASSES):
        path = str(group / 'scl')
        if is_array(group / 'scl') and rasters.header(path).grid.crs is not None:
            return path
    return None


def is_array(folder: Path) -> bool:
    """Tell whether a folder is an array of a Zarr store."""
    return (folder / '.zarray').is_file() or (folder / 'zarr.json').is_file()


def _attributes(folder: Path) -> dict[str, Any]:
    """Attributes of a group or an array."""
    old, new = folder / '.zattrs', folder / 'zarr.json'
    if old.is_file():
        return read_json(str(old), strict=False)
    if not new.is_file():
        return {}
    found = read_json(str(new), strict=False).get('attributes')
    return found if isinstance(found, dict) else {}


def _properties(root: Path, about: dict[str, Any]) -> dict[str, Any]:
    item = about.get('stac_discovery') or {}
    properties = item.get('properties') if isinstance(item, dict) else None
    if not isinstance(properties, dict | None):
        raise SceneError(
            root, "has 'properties' in 'stac_discovery' that are no object."
        )
    return properties or {}


def _crs(root: Path, about: dict[str, Any]) -> CRS | None:
    """The CRS that the metadata of a store tell."""
    properties = _properties(root, about)
    other = about.get('other_metadata')
    said = [properties.get('proj:code'), properties.get('proj:epsg')]
    said += [other.get('horizontal_CRS_code')] if isinstance(other, dict) else []
    for text in said:
        if match := re.fullmatch(r'(?:EPSG:)?(\d{4,6})', str(text)):
            with reading(root):
                return CRS.from_epsg(int(match[1]))
    return None


def _told(array: Path, dtype: str) -> Told:
    attributes = _attributes(array)
    # What was decoded keeps this, too
    kept = attributes.get('_eopf_attrs') if dtype[:1] in 'ui' else None
    fields = {**(kept if isinstance(kept, dict) else {}), **attributes}
    scale = number_of(array, 'scale_factor', fields.get('scale_factor'))
    if scale == 0:
        raise SceneError(array, 'has the scale_factor 0.')
    return Told(
        scale,
        number_of(array, 'add_offset', fields.get('add_offset')),
        number_of(array, '_FillValue', fields.get('_FillValue'), or_nan=True),
    )


def _baselines(root: Path, properties: dict[str, Any]) -> list[Evidence]:
    pieces = of_name(root.name)
    for key in _BASELINES:
        match = re.fullmatch(r'(\d{1,2})\.(\d\d)', str(properties.get(key) or ''))
        if match:
            pieces += of_baseline(f"'{root.name}'", int(match[1]), int(match[2]))
    return pieces
