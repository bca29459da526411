# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""BEAM-DIMAP, in which SNAP saves products: a ``.dim`` of XML, and a folder of rasters.

The names of the elements that are read here are those that SNAP writes. Each band is a
raster of its own in ENVI's format, which has the place; what the numbers mean stands in
the ``.dim``. Bands that are computed when they are looked at have no raster.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ....sources import is_trusting
from ...common import SceneError
from ..optical.safe import read_xml
from .metadata import Told, date_from, number_of

#: English whatever the language of the system.
_MONTHS = 'JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC'
_TIME = re.compile(r'(\d{1,2})-([A-Z]{3})-(\d{4})\s+(\d\d:\d\d:\d\d(?:\.\d{1,6})?)')


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
