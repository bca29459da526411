# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""STAC items of Sentinel-1 and -2: what their assets are, and which bands they hold.

Fields are those of STAC 1.0 with its extensions for electro-optical data and rasters
(``eo:bands``, ``raster:bands``), and of STAC 1.1, which has ``bands`` in their place. What
an item leads to is read only where it lies on this machine, unless files are trusted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import exists
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from .....kinds import FINGERPRINT
from .....transforms.bands import SENTINEL2_BANDS
from ....sources import fault_of_place, is_trusting
from ...common import SceneError
from ..optical.bands import NO_BANDS, is_landsat, read_bands
from .metadata import Told, number_of, read_json

#: Prefixes that GDAL puts before what is elsewhere, by the scheme of an address.
_REMOTE = {'http': '/vsicurl/', 'https': '/vsicurl/', 's3': '/vsis3/', 'gs': '/vsigs/'}

#: Roles of assets that are pictures, or no rasters.
_ROLES = frozenset(('thumbnail', 'overview', 'visual', 'metadata'))


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that an item names, and what it says of it.

    Args:
        key: Its name in the item.
        href: Where it is, as the item has it.
        path: What rasterio opens it by; '' if it is not here.
        names: What its bands are called, each in several ways, the best first; of one
            band without a description the key alone.
        told: What is said of the numbers of each band.
        data: Whether it is data by its roles.
    """

    key: str
    href: str
    path: str
    names: tuple[tuple[str, ...], ...]
    told: tuple[Told, ...]
    data: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """A STAC item.

    Args:
        path: Its file.
        name: Its identifier.
        collection: The collection that it is of, '' if it does not say.
        properties: Its properties.
        assets: Its assets, in order.
    """

    path: Path
    name: str
    collection: str
    properties: dict[str, Any]
    assets: tuple[Asset, ...]


def is_item(path: Path) -> bool:
    """Tell whether a path is a file of JSON, which may be a STAC item."""
    return path.suffix.lower() in ('.json', '.geojson') and path.is_file()


def tells_item(path: Path) -> bool:
    """Tell whether a file of JSON is a STAC item, by what it holds."""
    return _properties(path) is not None


def tells_map(path: Path) -> bool:
    """Tell whether a file of JSON is the item of a map, which this package wrote."""
    return FINGERPRINT in (_properties(path) or {})


def tells_product(path: Path) -> bool:
    """Tell whether a file of JSON is a STAC item, but not that of a map."""
    properties = _properties(path)
    return properties is not None and FINGERPRINT not in properties


def _properties(path: Path) -> dict[str, Any] | None:
    """Properties of a STAC item, empty where it has none; None of what is no item."""
    try:
        document = read_json(str(path))
    except SceneError:
        return None
    if document.get('type') != 'Feature' or 'stac_version' not in document:
        return None
    properties = document.get('properties')
    return properties if isinstance(properties, dict) else {}


def asset_keys(path: Path) -> list[str]:
    """Keys of the assets of an item, none if it cannot be read."""
    try:
        assets = read_json(str(path)).get('assets')
    except SceneError:
        return []
    return list(assets) if isinstance(assets, dict) else []


def read_item(path: Path, mission: str) -> Item:
    """Read a STAC item.

    Args:
        path: Its file.
        mission: What its platform must be, ``'sentinel-1'`` or ``'sentinel-2'``.

    Returns:
        The item.

    Raises:
        SceneError: If it is none, is of another mission, or is malformed.
    """
    document = read_json(str(path))
    if document.get('type') != 'Feature' or 'stac_version' not in document:
        seen = document.get('type')
        raise SceneError(
            path,
            f'is JSON of the type {seen!r}, but no STAC item, which is a Feature with a '
            '`stac_version`. Give the item of one product.',
        )
    properties = _object(path, document, 'properties')
    _check_mission(path, properties, mission)
    names = [str(document.get(key) or '') for key in ('id', 'collection')]
    if is_landsat(names):
        raise SceneError(path, f'is of Landsat by its name, {names}. Give {mission}.')
    assets = _object(path, document, 'assets')
    if not assets:
        raise SceneError(path, 'has no assets.')
    return Item(
        path,
        str(document.get('id') or ''),
        str(document.get('collection') or ''),
        properties,
        tuple(_asset(path, key, assets) for key in assets),
    )


def _object(path: Path, document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise SceneError(
            path, f'has {key!r} that is no object, but {type(value).__name__}.'
        )
    return value


def _objects(path: Path, asset: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = asset.get(key) or []
    if not isinstance(value, list) or not all(isinstance(o, dict) for o in value):
        raise SceneError(path, f'has {key!r} that is no list of objects: {value!r}.')
    return value


def _check_mission(path: Path, properties: dict[str, Any], mission: str) -> None:
    said = [
        str(properties[key])
        for key in ('platform', 'constellation')
        if properties.get(key)
    ]
    words = [re.sub('[^a-z0-9]', '', text.lower()) for text in said]
    wanted = mission.replace('-', '')
    if said and not any(
        wanted in word or re.fullmatch(f's{mission[-1]}[a-d]?', word) for word in words
    ):
        raise SceneError(
            path, f'is of {said[0]!r} by its platform. Give an item of {mission}.'
        )


def _asset(path: Path, key: str, assets: dict[str, Any]) -> Asset:
    asset = _object(path, assets, key)
    href = asset.get('href')
    if not isinstance(href, str) or not href:
        raise SceneError(path, f'has an asset {key!r} without an address (`href`).')
    described = _objects(path, asset, 'bands')
    electro = _objects(path, asset, 'eo:bands')
    raster = _objects(path, asset, 'raster:bands')
    counts = {len(found) for found in (described, electro, raster) if found}
    # Pictures are often described by the bands that they are made of
    count = max(counts, default=1) if len(counts) < 2 else 0
    names, told = [], []
    for i in range(count):
        fields = dict(asset)
        for found in (raster, electro, described):
            fields |= found[i] if found else {}
        names.append(_names(key, fields, count, bool(electro or described)))
        told.append(_told(path, fields))
    roles = asset.get('roles') or []
    if not isinstance(roles, list):
        raise SceneError(path, f"has 'roles' that are no list: {roles!r}.")
    return Asset(
        key,
        href,
        _place(path, href),
        tuple(names),
        tuple(told),
        bool(count) and not _ROLES.intersection(map(str, roles)),
    )


def _names(
    key: str, fields: dict[str, Any], count: int, described: bool
) -> tuple[str, ...]:
    common = fields.get('eo:common_name') or fields.get('common_name')
    found = [fields.get('name') if described else None]
    # A key stands for one band. Common names may be shared by several
    found += [key if count == 1 else None, common]
    return tuple(str(name) for name in found if name)


def _told(path: Path, fields: dict[str, Any]) -> Told:
    def first(*keys: str) -> object:
        return next((fields[key] for key in keys if fields.get(key) is not None), None)

    scale = number_of(path, 'the scale', first('raster:scale', 'scale'))
    if scale == 0:
        raise SceneError(path, 'has the scale 0.')
    return Told(
        scale,
        number_of(path, 'the offset', first('raster:offset', 'offset')),
        number_of(path, 'nodata', first('nodata', 'raster:nodata'), or_nan=True),
        str(first('unit', 'raster:unit') or ''),
    )


def _place(path: Path, href: str) -> str:
    """What rasterio opens an asset by; '' if it is not on this machine."""
    try:
        parts = urlsplit(href)
    except ValueError as error:
        raise SceneError(path, f'has the address {href!r}, which is none.') from error
    # One letter is a drive
    scheme = parts.scheme.lower() if len(parts.scheme) > 1 else ''
    if scheme in ('', 'file'):
        local = href if not scheme else unquote(parts.path)
        if local.startswith('/vsi') and not exists(local):
            return '' if fault_of_place(local) else local
        for text in (local, unquote(local)):
            if exists(path.parent / text):
                return str(path.parent / text)
    # People fetch what an item names, and put it beside
    name = PurePosixPath(unquote(parts.path)).name
    if name not in ('', '.', '..') and exists(path.parent / name):
        return str(path.parent / name)
    if scheme in _REMOTE and is_trusting():
        rest = href if scheme.startswith('http') else href.partition('://')[2]
        return _REMOTE[scheme] + rest
    return ''


def optical_names(item: Item) -> dict[str, list[tuple[Asset, int]]]:
    """Tell which assets hold which bands of Sentinel-2, or its scene classification.

    Args:
        item: The item.

    Returns:
        For each band, and ``'SCL'``, assets and the band in each, counted from 1.

    Raises:
        SceneError: If the names of an asset say different bands.
    """
    entries = [
        (asset, i, names)
        for asset in item.assets
        if asset.data and _is_of_band(asset.key)
        for i, names in enumerate(asset.names, 1)
    ]
    width = max((len(names) for *_, names in entries), default=0)
    # Each in the light of its likes: names with names, keys with keys
    columns = [
        read_bands([(*names, *[''] * width)[column] for *_, names in entries])
        for column in range(width)
    ]
    found: dict[str, list[tuple[Asset, int]]] = {}
    for (asset, i, _), *bands in zip(entries, *columns, strict=True):
        known = [band for band in bands if band in SENTINEL2_BANDS or band == 'SCL']
        # What is common to several may be called by the name of one
        if len(set(known[:2])) > 1 and len(asset.names) == 1:
            raise SceneError(
                item.path,
                f'has an asset {asset.key!r} that is called {asset.names[0]}, which are '
                f'{known[0]} and {known[1]}. Correct it.',
            )
        if known:
            found.setdefault(str(known[0]), []).append((asset, i))
    return found


def _is_of_band(key: str) -> bool:
    """Whether the key of an asset says nothing else than a band."""
    other = read_bands([key])[0]
    return other not in NO_BANDS or other in ('SCL', NO_BANDS[-1])


def here(item: Item, assets: Sequence[tuple[Asset, int]]) -> list[tuple[Asset, int]]:
    """Of the assets of one band, those whose files are here; GeoTIFFs first.

    Raises:
        SceneError: If one is to be beside the item, and none is.
    """
    found = [entry for entry in assets if entry[0].path]
    for asset, _ in [] if found else assets:
        if urlsplit(asset.href).scheme.lower() not in _REMOTE:
            fault = fault_of_place(asset.href) if asset.href.startswith('/vsi') else ''
            raise SceneError(
                item.path,
                f'names {asset.href!r} for {asset.key!r}, which '
                f'{fault or "does not exist."}',
            )
    # Stable: of equal ones the first of the item stays first
    return sorted(found, key=lambda entry: '.tif' not in entry[0].path.lower())


def nothing_here(item: Item, wanted: Sequence[Asset]) -> SceneError:
    """The error that none of some assets is here."""
    return SceneError(
        item.path,
        f'names files that are elsewhere: {wanted[0].href!r} and others. Fetch them into '
        'its folder, or set `trusted`, and they are read from there.',
    )
