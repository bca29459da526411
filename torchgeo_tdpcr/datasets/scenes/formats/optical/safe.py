# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ESA's SAFE format of Sentinel-2 products, as a folder or a zip of it.

The format, and the names of the elements that are read here, are those of ESA's
*Sentinel-2 Products Specification Document* (S2-PDGS-TAS-DI-PSD).
"""

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .....transforms.bands import QUANTIFICATION
from ....plausibility import YEARS
from ...common import SceneError
from ..contents import ZIP_ERRORS, contents_of, is_zip
from ..evidence import Evidence, of_baseline, of_name, of_values
from ..naming import classification_among
from .bands import band_of_file

#: Metadata of a product: since 2016, before, and of what people processed themselves.
_METADATA = re.compile(
    r'(?:MTD_MSIL|S2[A-Z]_(?:OPER|USER)_MTD_SAFL)(1C|2A)[^/]*\.xml$', re.IGNORECASE
)
_POLYGONS = re.compile(r'MSK_CLOUDS_(?:[^/]*_)?B00[^/]*\.gml$')
_CLASSES = re.compile(r'MSK_CLASSI_B00\.jp2$')
_INSIDE = re.compile(r'/vsizip/\{(.+)\}/([^}]+)$')

#: Folders of a product above those with its rasters, at most: IMG_DATA/R10m is the fourth.
_DEPTH = 4

#: Bytes of an XML file at most. Those of real products have less than 10 MB.
_LARGEST_XML = 64 * 2**20


class _Builder(ET.TreeBuilder):
    """Refuses a document type: entities in it may grow without end, or name files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(f'it has a document type, {name!r}')


class SafeContents(NamedTuple):
    """What a SAFE product holds.

    Args:
        bands: Files of each band, as rasterio opens them; several resolutions of a
            band may be among them.
        evidence: What tells the offset of the digital numbers.
        date: Start of the acquisition in UTC.
        clouds: File and kind of the product's cloud mask.
    """

    bands: dict[str, list[str]]
    evidence: list[Evidence]
    date: datetime | None
    clouds: tuple[str, str] | None


def read_bytes(path: str) -> bytes:
    """Read a file that may lie in a zip.

    Args:
        path: The file, or ``/vsizip/{archive}/name``.

    Returns:
        Its contents.

    Raises:
        SceneError: If it cannot be read, or is too large for what is read as a whole.
    """
    inside = _INSIDE.match(path)
    try:
        if not inside:
            with open(path, 'rb') as file:
                content = file.read(_LARGEST_XML + 1)
        else:
            # Not `archive.read`, which would unpack a zip bomb
            with (
                zipfile.ZipFile(inside[1]) as archive,
                archive.open(inside[2]) as packed,
            ):
                content = packed.read(_LARGEST_XML + 1)
    except (*ZIP_ERRORS, KeyError) as error:
        raise SceneError(path, f'cannot be read ({error}).') from error
    if len(content) > _LARGEST_XML:
        raise SceneError(
            path,
            f'is larger than {_LARGEST_XML // 2**20} MB, which no metadata and no mask '
            'of ESA is. Fetch the product anew.',
        )
    return content


def read_xml(path: str) -> ET.Element:
    """Parse an XML file that may lie in a zip.

    Args:
        path: The file, or ``/vsizip/{archive}/name``.

    Returns:
        Its root.

    Raises:
        SceneError: If it cannot be read, or is no XML, or has entities of its own.
    """
    try:
        return ET.fromstring(read_bytes(path), ET.XMLParser(target=_Builder()))
    except (ET.ParseError, ValueError, LookupError) as error:
        # What is unknown of it may be its encoding
        raise SceneError(path, f'is no valid XML ({error}).') from error


def is_safe(path: str | PathLike[str]) -> bool:
    """Tell whether a path is a SAFE product: a folder or a zip with its metadata.

    A folder or zip that is named so is one, whatever it lacks.
    """
    path = Path(path)
    if not (path.is_dir() or is_zip(path)):
        return False
    if '.SAFE' in path.name.upper():
        return True
    names = (
        (file.name for file in path.glob('*.xml'))
        if path.is_dir()
        else (file.name for file in contents_of(path).files)
    )
    return any(_METADATA.match(name) for name in names)


def metadata_around(path: Path, bands: int) -> tuple[list[Evidence], datetime | None]:
    """What the metadata of a product tell of a folder within it, such as IMG_DATA.

    Args:
        path: The folder.
        bands: Number of bands in it.

    Returns:
        Evidence of the offset, and the start of the acquisition in UTC; nothing where no
        folder around it has metadata.

    Raises:
        SceneError: If they cannot be used.
    """
    for folder in list(path.absolute().parents)[:_DEPTH]:
        found = [file for file in folder.glob('*.xml') if is_metadata(file)]
        if len(found) == 1:
            file = str(found[0])
            root = read_xml(file)
            return _evidence(file, root, _level(found[0].name), bands), _date(
                file, root
            )
    return [], None


def is_metadata(path: Path) -> bool:
    """Tell whether a file is the metadata of a SAFE product, which stands for it."""
    return _METADATA.match(path.name) is not None


def _level(name: str) -> str:
    """Level of the product that a file is the metadata of."""
    match = _METADATA.match(name)
    return match[1].upper() if match else ''


def _texts(root: ET.Element, *tags: str) -> list[str]:
    """Texts of all elements with one of the tags, whatever their namespace."""
    found = (node for node in root.iter() if node.tag.rpartition('}')[2] in tags)
    return [node.text.strip() for node in found if node.text and node.text.strip()]


def _numbers(path: str, root: ET.Element, *tags: str) -> list[float]:
    try:
        return [float(text) for text in _texts(root, *tags)]
    except ValueError as error:
        raise SceneError(path, f'has a {tags[0]} that is no number.') from error


def _evidence(path: str, root: ET.Element, level: str, bands: int) -> list[Evidence]:
    """What metadata tell of the numbers, which are checked to be reflectance × 10⁴."""
    where = f"'{PurePosixPath(path).name}'"
    scales = _numbers(
        path,
        root,
        'QUANTIFICATION_VALUE',
        'BOA_QUANTIFICATION_VALUE',
        'L2A_BOA_QUANTIFICATION_VALUE',
    )
    if set(scales) - {float(QUANTIFICATION)}:
        raise SceneError(
            path,
            f'has the quantification value {sorted(set(scales))}; only {QUANTIFICATION} '
            'can be read. Scale the bands to reflectance × 10000 in a GeoTIFF.',
        )
    pieces = [
        piece
        for name in _texts(root, 'PRODUCT_URI', 'PRODUCT_URI_2A')
        for piece in of_name(name)
    ]
    for text in _texts(root, 'PROCESSING_BASELINE'):
        if baseline := re.fullmatch(r'(\d\d)\.(\d\d)', text):
            pieces += of_baseline(where, int(baseline[1]), int(baseline[2]))
    prefix = 'RADIO' if level == '1C' else 'BOA'
    offsets = [-number for number in _numbers(path, root, f'{prefix}_ADD_OFFSET')]
    if not scales:
        # Else what was cut off would pass for metadata of the time before offsets
        pieces.append(Evidence(f'{where} (no quantification value: damaged)', None))
    elif not offsets:
        pieces.append(Evidence(f'the lack of {prefix}_ADD_OFFSET in {where}', 0))
    elif len(offsets) < bands:
        what = f'{prefix}_ADD_OFFSET in {where} (for {len(offsets)} of {bands} bands)'
        pieces.append(Evidence(what, None))
    else:
        pieces.append(of_values(f'{prefix}_ADD_OFFSET in {where}', offsets))
    return pieces


def _date(path: str, root: ET.Element) -> datetime | None:
    tags = ('PRODUCT_START_TIME', 'DATATAKE_SENSING_START', 'SENSING_TIME')
    for text in (text for tag in tags for text in _texts(root, tag)):
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            continue
        if not YEARS[0] <= date.year <= YEARS[1]:
            raise SceneError(
                path,
                f'tells {text} as date, when no Sentinel-2 was in orbit. Fetch the '
                'product anew, or correct it.',
            )
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None


def _clouds(names: Sequence[str], level: str) -> tuple[str, str] | None:
    if level == '2A' and (name := classification_among(names)):
        return name, 'scl'
    for pattern, kind in ((_CLASSES, 'classi'), (_POLYGONS, 'gml')):
        if found := [name for name in names if pattern.search(name)]:
            return found[0], kind
    return None


def read_safe(path: Path) -> SafeContents:
    """Find out what a SAFE product holds, without extracting it.

    Args:
        path: The folder, or a zip of it.

    Returns:
        Bands, evidence of the offset, date and cloud mask.

    Raises:
        SceneError: If it is no Sentinel-2 product of level 1C or 2A, holds several, or
            its metadata cannot be used.
    """
    contents = contents_of(path, deep=True)
    files = {file.as_posix(): contents.path(file) for file in contents.files}
    metadata = [name for name in files if _METADATA.match(PurePosixPath(name).name)]
    if len(metadata) != 1:
        fault = (
            'has no MTD_MSIL1C.xml or MTD_MSIL2A.xml, so it is no Sentinel-2 product.'
        )
        if metadata:
            fault = f'holds {len(metadata)} products: {metadata}.'
        raise SceneError(path, f'{fault} Give one product of level 1C or 2A.')
    top, _, name = metadata[0].rpartition('/')
    level = _level(name)
    granules: dict[str, list[str]] = {}
    start = f'{top}/GRANULE/' if top else 'GRANULE/'
    for file in files:
        if file.startswith(start) and '/' in file[len(start) :]:
            granules.setdefault(file[len(start) :].split('/')[0], []).append(file)
    if len(granules) != 1:
        raise SceneError(
            path,
            f'holds {len(granules)} tiles in GRANULE. Give a product of one tile, or '
            'the IMG_DATA folder of one of its tiles.',
        )
    inside = next(iter(granules.values()))
    bands: dict[str, list[str]] = {}
    for file in inside:
        image = PurePosixPath(file)
        if 'IMG_DATA' in image.parts and (found := band_of_file(image.name)):
            bands.setdefault(found[0], []).append(files[file])
    if not bands:
        raise SceneError(path, 'holds no band files in GRANULE/*/IMG_DATA.')
    xml = files[metadata[0]]
    root = read_xml(xml)
    clouds = _clouds(inside, level)
    names = {path.absolute().name, PurePosixPath(top).name}
    return SafeContents(
        bands,
        [piece for name in sorted(names) for piece in of_name(name)]
        + _evidence(xml, root, level, len(bands)),
        _date(xml, root),
        (files[clouds[0]], clouds[1]) if clouds else None,
    )
