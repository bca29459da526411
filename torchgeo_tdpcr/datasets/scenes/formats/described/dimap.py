# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""BEAM-DIMAP, in which SNAP saves products: a ``.dim`` of XML, and a folder of rasters.

The names of the elements that are read here are those that SNAP writes. Each band is a
raster of its own in ENVI's format, which has the place; what the numbers mean stands in
the ``.dim``. Bands that are computed when they are looked at have no raster.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from .....transforms.bands import SENTINEL2_BANDS
from ....sources import is_trusting
from ...common import SARScale, SceneError
from ..evidence import of_name
from ..naming import RASTERS, date_near, polarisation_of, product_name
from ..optical.band_files import evidence_of_tags, finest, nodata_of, ordered
from ..optical.bands import read_bands
from ..optical.safe import read_xml
from ..parts import BandFile, CloudMask, OpticalProduct
from ..radar.faults import OTHER_MODE, check_uncorrected, other_of
from ..radar.files import RadarBands, order_of_names
from ..radar.names import ScaleTold, other_polarisations, scale_of_label
from ..rasters import RasterFiles
from .metadata import Told, date_from, number_of, put_into_headers

#: English whatever the language of the system.
_MONTHS = 'JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC'
_TIME = re.compile(r'(\d{1,2})-([A-Z]{3})-(\d{4})\s+(\d\d:\d\d:\d\d(?:\.\d{1,6})?)')

#: What backscatter is called, the best first; '' where the name is just VV or VH. Beta0
#: depends on how far away it was.
_QUANTITIES = ('gamma0', 'sigma0', '', 'intensity', 'amplitude')

_PLAIN = re.compile(r'(?:VV|VH)(?:_?dB)?', re.IGNORECASE)

_UNITS: dict[str, SARScale] = {
    'intensity': 'linear',
    'intensity_db': 'db',
    'amplitude': 'amplitude',
}

_CODE = re.compile(r'B(?:8A|0?[1-9]|1[0-2])', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Band:
    """A band that has a raster.

    Args:
        name: Its name.
        path: Its raster.
        told: What is said of its numbers.
        logarithmic: Whether they are logarithms to the base 10.
        unit: Their unit, '' if it is not told.
    """

    name: str
    path: str
    told: Told
    logarithmic: bool
    unit: str


@dataclass(frozen=True, slots=True)
class Dimap:
    """A product of SNAP.

    Args:
        path: Its ``.dim``.
        bands: Its bands, those without a raster left out.
        date: When its acquisition began, None if it does not say.
    """

    path: Path
    bands: tuple[Band, ...]
    date: datetime | None


def dim_of(path: Path) -> Path | None:
    """The ``.dim`` of a product that is told by it or by its ``.data`` folder.

    Example:
        >>> dim_of(Path('a/S2.dim')).name, dim_of(Path('a/S2.tif'))
        ('S2.dim', None)
    """
    if path.suffix.lower() == '.dim':
        return path
    beside = path.with_suffix('.dim')
    if path.suffix.lower() == '.data' and path.is_dir() and beside.is_file():
        return beside
    return None


def is_dimap(path: Path) -> bool:
    """Tell whether a path is a product of SNAP, its ``.dim`` or its ``.data`` folder."""
    return dim_of(path) is not None


def read_dimap(path: Path) -> Dimap:
    """Read a product of SNAP.

    Args:
        path: Its ``.dim``, or its ``.data`` folder.

    Returns:
        The product.

    Raises:
        SceneError: If it is none, or is malformed, or leads out of its folder.
    """
    dim = dim_of(path) or path
    root = read_xml(str(dim))
    if root.tag != 'Dimap_Document' or root.find('Image_Interpretation') is None:
        raise SceneError(
            dim, f'is no product of SNAP: its XML is {root.tag!r} without bands.'
        )
    files = {
        _text(node, 'BAND_INDEX'): (href.get('href') or '').strip()
        for node in root.findall('Data_Access/Data_File')
        if (href := node.find('DATA_FILE_PATH')) is not None
    }
    bands = [
        _band(dim, node, files)
        for node in root.findall('Image_Interpretation/Spectral_Band_Info')
    ]
    return Dimap(dim, tuple(band for band in bands if band), _date(dim, root))


def band_names(path: Path) -> list[str]:
    """Names of the bands of a product that have a raster, none if it cannot be read."""
    try:
        return [band.name for band in read_dimap(path).bands]
    except SceneError:
        return []


def _text(node: ET.Element, tag: str) -> str:
    return (node.findtext(tag) or '').strip()


def _band(dim: Path, node: ET.Element, files: dict[str, str]) -> Band | None:
    name = _text(node, 'BAND_NAME')
    href = files.get(_text(node, 'BAND_INDEX'))
    if not href:
        return None
    used = _text(node, 'NO_DATA_VALUE_USED').lower() == 'true'

    def number(tag: str, or_nan: bool = False) -> float | None:
        what = f'the {tag} of {name}'
        return number_of(dim, what, _text(node, tag) or None, or_nan)

    nodata = number('NO_DATA_VALUE', True) if used else None
    scale = number('SCALING_FACTOR')
    if scale == 0:
        raise SceneError(dim, f'has the SCALING_FACTOR 0 of {name}.')
    return Band(
        name,
        str(_raster(dim, href)),
        Told(scale, number('SCALING_OFFSET'), nodata),
        _text(node, 'LOG10_SCALED').lower() == 'true',
        _text(node, 'PHYSICAL_UNIT'),
    )


def _raster(dim: Path, href: str) -> Path:
    """The raster that the header of ENVI at an address describes."""
    folder = dim.with_suffix('.data')
    try:
        file = (dim.parent / href.replace('\\', '/')).with_suffix('.img')
        if not file.is_file() and (folder / file.name).is_file():
            # The product was renamed with its folder
            file = folder / file.name
        inside = file.resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError) as error:
        raise SceneError(dim, f'leads to {href!r}, which is no file.') from error
    if not inside and not is_trusting():
        raise SceneError(
            dim,
            f"leads to {href!r}, which is not in '{folder.name}' beside it. If you trust "
            'it and whatever it leads to, set `trusted`.',
        )
    return file


def _date(dim: Path, root: ET.Element) -> datetime | None:
    text = root.findtext('Production/PRODUCT_SCENE_RASTER_START_TIME') or ''
    match = _TIME.fullmatch(text.strip().upper())
    month, rest = divmod(_MONTHS.find(match[2]), 3) if match else (0, 1)
    if match is None or rest:
        return None
    return date_from(dim, f'{match[3]}-{month + 1:02d}-{match[1]:0>2}T{match[4]}')


def _check_linear(product: Dimap, bands: Sequence[Band]) -> None:
    for band in bands:
        if band.logarithmic:
            raise SceneError(
                product.path,
                f'holds {band.name} as a logarithm (LOG10_SCALED). Save it in SNAP as a '
                'band that is converted to a number.',
            )


def read_optical_dimap(
    path: Path, all_bands: Sequence[str] | None = None
) -> OpticalProduct:
    """Read Sentinel-2 that SNAP has saved.

    Args:
        path: Its ``.dim``, or its ``.data`` folder.
        all_bands: Of no use here, for its names tell.

    Returns:
        The product.

    Raises:
        SceneError: If it is none, or has no band of Sentinel-2.
    """
    del all_bands
    product = read_dimap(path)
    found: dict[str, list[Band]] = {}
    names = read_bands([band.name for band in product.bands])
    for band, name in zip(product.bands, names, strict=True):
        found.setdefault(name or '', []).append(band)
    rasters = RasterFiles()
    by_path = {band.path: band for band in product.bands}
    chosen = {
        name: by_path[finest(name, _plain(own), rasters)]
        for name, own in found.items()
        if name in SENTINEL2_BANDS
    }
    bands = ordered({name: BandFile(band.path) for name, band in chosen.items()})
    if not bands:
        seen = (
            ', '.join(band.name for band in product.bands[:6]) or 'none with a raster'
        )
        raise SceneError(product.path, f'has no bands of Sentinel-2, but {seen}.')
    _check_linear(product, list(chosen.values()))
    for file in bands.values():
        rasters.header(file.path)
    told = {name: band.told for name, band in chosen.items()}
    put_into_headers(bands, told, rasters.headers)
    rasters.close()
    classes = [band.path for band in found.get('SCL', [])]
    headers = [rasters.headers[file.path] for file in bands.values()]
    tags = evidence_of_tags(bands, rasters.headers)
    # Of reflectance, the offset is off, whatever the baseline
    decoded = not tags and all(header.dtypes[0].startswith('f') for header in headers)
    return OpticalProduct(
        product.path,
        product_name(product.path),
        bands,
        tuple(tags if decoded else [*of_name(product.path.stem), *tags]),
        product.date or date_near(product.path),
        nodata_of(product.path, headers),
        CloudMask(classes[0], 'scl') if len(classes) == 1 else None,
        form='dimap',
        headers=rasters.headers,
    )


def _plain(bands: Sequence[Band]) -> list[str]:
    """Rasters of bands; of some that are called just by a code, of these alone."""
    plain = [band.path for band in bands if _CODE.fullmatch(band.name)]
    return plain or [band.path for band in bands]


def radar_dim_of(path: Path) -> Path | None:
    """The ``.dim`` of Sentinel-1: see :func:`dim_of`, or the only one in a folder.

    A folder that has rasters of VV or VH beside it is told by these.
    """
    if (dim := dim_of(path)) or not path.is_dir():
        return dim
    files = list(path.iterdir())
    dims = [file for file in files if file.suffix.lower() == '.dim' and file.is_file()]
    beside = any(
        file.suffix.lower() in RASTERS and polarisation_of(file.name) for file in files
    )
    return dims[0] if len(dims) == 1 and not beside else None


def with_dim(found: RadarBands, rasters: RasterFiles) -> RadarBands:
    """Add what a ``.dim`` says of rasters that were given without it.

    Args:
        found: Bands of Sentinel-1, which may lie in the ``.data`` folder of a product.
        rasters: Their headers, which are changed.

    Returns:
        The bands, with scale and date of the product if they are of one.

    Raises:
        SceneError: If the ``.dim`` is malformed.
    """
    for name, file in zip(('VV', 'VH'), found.bands, strict=True):
        path = Path(file.path)
        dim = dim_of(path.parent) if path.parent.suffix.lower() == '.data' else None
        if dim is None:
            continue
        product = read_dimap(dim)
        for band in product.bands:
            if Path(band.path).name == path.name:
                _check_linear(product, [band])
                put_into_headers({name: file}, {name: band.told}, rasters.headers)
                scale = scale_of_label(band.name) or _scale_of_unit(band)
                date = found.date or product.date
                found = replace(found, scale=found.scale or scale, date=date)
    return found


def read_radar_dimap(
    path: Path, rasters: RasterFiles, polarisations: Sequence[str] | None = None
) -> RadarBands:
    """Read Sentinel-1 that SNAP has saved.

    Args:
        path: Its ``.dim``, its ``.data`` folder, or the folder around both.
        rasters: To open the files with.
        polarisations: See :func:`~.radar.files.order_of_names`.

    Returns:
        The bands.

    Raises:
        SceneError: If it is none, or has no VV and VH as backscatter.
    """
    product = read_dimap(radar_dim_of(path) or path)
    vv, vh = _polarisations(product)
    _check_linear(product, (vv, vh))
    for band in (vv, vh):
        check_uncorrected(band.path, rasters)
    bands = {'VV': BandFile(vv.path), 'VH': BandFile(vh.path)}
    put_into_headers(bands, {'VV': vv.told, 'VH': vh.told}, rasters.headers)
    return RadarBands(
        (bands['VV'], bands['VH']),
        order_of_names(product.path, polarisations),
        scale=scale_of_label(vv.name) or _scale_of_unit(vv),
        date=product.date or date_near(product.path),
    )


def _scale_of_unit(band: Band) -> ScaleTold | None:
    scale = _UNITS.get(band.unit.lower())
    where = f'the unit {band.unit!r} of {band.name}'
    return None if scale is None else ScaleTold(scale, where)


def _polarisations(product: Dimap) -> tuple[Band, Band]:
    """VV and VH of the best quantity that there is."""
    seen = ', '.join(band.name for band in product.bands) or 'none with a raster'
    by_kind: dict[str, dict[str, list[Band]]] = {}
    for band in product.bands:
        words = re.split(r'[^a-z0-9]+', band.name.lower())
        name = polarisation_of(band.name)
        kind = next((kind for kind in _QUANTITIES if kind in words), None)
        if kind is None and _PLAIN.fullmatch(band.name):
            kind = ''
        if name and kind is not None:
            # Power and dB of one are the same; power needs no conversion
            logarithmic = 'db' in words or words[-1].endswith('db')
            kind += '_db' if logarithmic else ''
            by_kind.setdefault(kind, {}).setdefault(name, []).append(band)
    whole = {
        kind: pair
        for kind, pair in by_kind.items()
        if all(len(pair.get(name, ())) == 1 for name in ('VV', 'VH'))
    }
    calibrated = {kind[:6] for kind in whole} & set(_QUANTITIES[:2])
    if len(calibrated) > 1:
        raise SceneError(
            product.path,
            f'holds both gamma0 and sigma0: {seen}. Save one of them in SNAP.',
        )
    order = [kind + end for kind in _QUANTITIES for end in ('', '_db')]
    best = next((kind for kind in order if kind in whole), None)
    if best is None:
        _refuse_lacking(product, seen)
        raise SceneError(
            product.path,
            'must hold exactly one band of VV and one of VH as sigma0 or gamma0; it '
            f'holds {seen}.',
        )
    return whole[best]['VV'][0], whole[best]['VH'][0]


def _refuse_lacking(product: Dimap, seen: str) -> None:
    """Refuse a product that lacks VV, VH or both."""
    names = [band.name for band in product.bands]
    found = {name for name in map(polarisation_of, names) if name}
    others = other_polarisations(names)
    if others and not found:
        raise SceneError(product.path, f'holds {" and ".join(others)}, {OTHER_MODE}')
    if len(found) == 1:
        (own,) = found
        raise SceneError(
            product.path,
            f'holds {own} only: {seen}. {other_of(own)} is needed as well. Make the '
            'product anew in SNAP with both polarisations, of a product that has both '
            '(1SDV in its name).',
        )
