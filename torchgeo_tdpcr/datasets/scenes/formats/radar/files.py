# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-1 as rasters: one a polarisation, or one with both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Literal

from ...common import SceneError
from ..contents import contents_of
from ..naming import POLARISATION, RASTERS, polarisation_of
from ..parts import BandFile
from ..rasters import RasterFiles
from .faults import (
    check_uncorrected,
    other_of,
    refuse_bands,
    refuse_contents,
    refuse_one,
)
from .names import (
    ScaleTold,
    is_auxiliary,
    other_polarisations,
    scale_of_label,
    scale_of_name,
)

#: What says which band is VV: names, the user, or only the usual order.
type Order = Literal['named', 'declared', 'assumed']

#: What a quantity is called that is calibrated, where a raster holds others as well.
_CALIBRATED = re.compile(r'sigma|gamma', re.IGNORECASE)

#: The end of names of numbers as they are, beside which pictures of them may lie.
_RAW = re.compile(r'\(raw\)$', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RadarBands:
    """Where VV and VH are, and what tells that.

    Args:
        bands: VV and VH.
        order: What says which is which.
        scale: The scale that names or metadata tell, and which; None if none does.
        date: When it was acquired, where more than a name tells.
    """

    bands: tuple[BandFile, BandFile]
    order: Order = 'named'
    scale: ScaleTold | None = None
    date: datetime | None = None


def read_list(
    files: Sequence[Path], rasters: RasterFiles, polarisations: Sequence[str] | None
) -> RadarBands:
    """Take two rasters of one band for VV and VH.

    Args:
        files: The rasters; what their names do not tell, their order does.
        rasters: To open them with.
        polarisations: The declared order, which is that of the list.

    Returns:
        The bands.

    Raises:
        ValueError: If there are not two.
        SceneError: If names say something else than what is declared.
    """
    if len(files) != 2:
        raise ValueError(f'`path` has {len(files)} files; give VV and VH.')
    pair = list(files)
    names = [polarisation_of(file.name) for file in files]
    order: Order = 'named' if all(names) else 'assumed'
    if not any(names) and tuple(polarisations or ()) in (('VV', 'VH'), ('VH', 'VV')):
        # The order of the list
        names, order, polarisations = list(polarisations or ()), 'declared', None
    swapped = names[0] == 'VH' or (names[0] is None and names[1] == 'VV')
    if swapped:
        pair.reverse()
    if swapped and tuple(polarisations or ()) == ('VH', 'VV'):
        # Of the list as well, so that it says what the names say
        order, polarisations = 'declared', None
    return _pair(str(pair[0]), str(pair[1]), rasters, polarisations, order)


def order_of_names(
    path: str | PathLike[str],
    polarisations: Sequence[str] | None,
    order: Order = 'named',
) -> Order:
    """Tell what says which band is which where names do.

    Args:
        path: The product, for errors.
        polarisations: The declared order, which can only say that the names are right.
        order: What says it if none is declared.

    Returns:
        ``'declared'`` if the user says that the names are right.

    Raises:
        SceneError: If the user says something else than the names.

    Example:
        >>> order_of_names('a', None), order_of_names('a', ['VV', 'VH'])
        ('named', 'declared')
    """
    if polarisations is None:
        return order
    if tuple(polarisations) == ('VV', 'VH'):
        return 'declared'
    raise SceneError(
        path,
        'has VV and VH as bands of their own, which names tell; '
        f'`polarisations={list(polarisations)}` is for rasters of several bands. Leave it '
        "out. `polarisations=['VV', 'VH']` says that the names are right, whatever the "
        'numbers; if they are wrong, correct the names.',
    )


def _pair(
    vv: str,
    vh: str,
    rasters: RasterFiles,
    polarisations: Sequence[str] | None,
    order: Order = 'named',
) -> RadarBands:
    bands = _band(vv, 'VV', rasters), _band(vh, 'VH', rasters)
    told = [
        scale_of_label(rasters.header(band.path).labels[band.index - 1])
        for band in bands
    ]
    told += [scale_of_name(path) for path in (vv, vh)]
    return RadarBands(
        bands,
        order_of_names(vv, polarisations, order),
        next((scale for scale in told if scale), None),
    )


def _band(path: str, polarisation: str, rasters: RasterFiles) -> BandFile:
    """The band of a raster of one polarisation: the first, unless others say so."""
    labels = rasters.header(path).labels
    named = [
        i for i, label in enumerate(labels, 1) if polarisation_of(label) == polarisation
    ]
    return BandFile(path, named[0] if named else 1)


def read_folder(
    path: Path, rasters: RasterFiles, polarisations: Sequence[str] | None
) -> RadarBands:
    """Read a folder or a zip with a raster of VV and one of VH, or with one of both.

    Args:
        path: The folder or the zip; a folder around such a folder as well.
        rasters: To open files with.
        polarisations: Declared order of the bands of a raster.

    Returns:
        The bands.

    Raises:
        SceneError: If it holds something else.
    """
    contents = contents_of(path)
    if path.is_dir() and not any(
        polarisation_of(file.name) for file in contents.rasters
    ):
        inside = [file for file in sorted(path.iterdir()) if _holds_polarisations(file)]
        if len(inside) == 1:
            contents = contents_of(inside[0])
    files = [file for file in contents.rasters if not is_auxiliary(file.name)]
    found = {
        name: [
            contents.path(file) for file in files if polarisation_of(file.name) == name
        ]
        for name in ('VV', 'VH')
    }
    raw = {
        name: [path for path in paths if _RAW.search(Path(path).stem)]
        for name, paths in found.items()
    }
    if all(len(paths) == 1 for paths in raw.values()):
        found = raw
    if not any(found.values()) and len(files) == 1:
        return read_raster(contents.path(files[0]), rasters, polarisations)
    if all(len(names) == 1 for names in found.values()):
        return _pair(found['VV'][0], found['VH'][0], rasters, polarisations)
    refuse_contents(path, [file.name for file in contents.rasters], found)


def _holds_polarisations(path: Path) -> bool:
    return path.is_dir() and any(
        polarisation_of(file.name) for file in contents_of(path).rasters
    )


def pair_beside(path: Path) -> tuple[BandFile, BandFile] | None:
    """Find the raster of the other polarisation beside one.

    Args:
        path: A raster whose name holds VV or VH as a word.

    Returns:
        VV and VH; None if there is no other. It has the same name but for the
        polarisation, or is the only one beside the only one.
    """
    own = polarisation_of(path.name)
    if own is None:
        return None
    swap = {'VV': 'VH', 'vv': 'vh', 'Vv': 'Vh', 'VH': 'VV', 'vh': 'vv', 'Vh': 'Vv'}

    def swapped(match: re.Match[str]) -> str:
        start, stop = (place - match.start() for place in match.span(1))
        return match[0][:start] + swap.get(match[1], match[1]) + match[0][stop:]

    other = path.with_name(POLARISATION.sub(swapped, path.name))
    if not other.is_file():
        beside = _named_beside(path)
        if len(beside[own]) != 1 or len(beside[other_of(own)]) != 1:
            return None
        other = beside[other_of(own)][0]
    pair = (path, other) if own == 'VV' else (other, path)
    return BandFile(str(pair[0])), BandFile(str(pair[1]))


def _named_beside(path: Path) -> dict[str, list[Path]]:
    """Rasters in the folder of one, by the polarisation in their names."""
    found: dict[str, list[Path]] = {'VV': [], 'VH': []}
    if path.parent.is_dir():
        for file in path.parent.iterdir():
            name = polarisation_of(file.name)
            if name and file.suffix.lower() in RASTERS:
                found[name].append(file)
    return found


def read_raster(
    path: str, rasters: RasterFiles, polarisations: Sequence[str] | None
) -> RadarBands:
    """Read a raster with VV and VH, or with one of them and the other beside it.

    Args:
        path: The raster.
        rasters: To open files with.
        polarisations: Declared order of its bands.

    Returns:
        The bands.

    Raises:
        SceneError: If it has no VV and VH.
    """
    # Whether it may be used at all comes before what is missing
    check_uncorrected(path, rasters)
    labels = rasters.header(path).labels
    named = {polarisation_of(label) for label in labels} - {None}
    # A mask may lie behind the polarisation that the name tells
    if len(labels) == 1 or (not polarisations and len(named) < 2):
        if beside := pair_beside(Path(path)):
            return _pair(beside[0].path, beside[1].path, rasters, polarisations)
        if len(labels) == 1:
            refuse_one(path, labels[0])
    if polarisations:
        if len(polarisations) != len(labels):
            raise SceneError(
                path,
                f'has {len(labels)} bands; `polarisations={list(polarisations)}` names '
                f"{len(polarisations)}. Name every band in its order, with 'other' for "
                'what is neither VV nor VH.',
            )
        indexes: tuple[int, ...] = tuple(
            list(polarisations).index(name) + 1 for name in ('VV', 'VH')
        )
        order: Order = 'declared'
    else:
        indexes, order = _indexes(path, labels)
    told = [scale for index in indexes if (scale := scale_of_label(labels[index - 1]))]
    vv, vh = (BandFile(path, index) for index in indexes)
    return RadarBands((vv, vh), order, told[0] if told else scale_of_name(path))


def _indexes(path: str, labels: Sequence[str]) -> tuple[tuple[int, ...], Order]:
    """Bands VV and VH, counted from 1, and what tells them."""
    found = {
        name: [i for i, label in enumerate(labels, 1) if polarisation_of(label) == name]
        for name in ('VV', 'VH')
    }
    narrowed = [_narrowed(indexes, name, labels) for name, indexes in found.items()]
    if all(len(indexes) == 1 for indexes in narrowed):
        return (narrowed[0][0], narrowed[1][0]), 'named'
    texts = (*labels, Path(path).name)
    told = any(POLARISATION.search(label) for label in labels)
    if len(labels) == 2 and not told and not other_polarisations(texts):
        return (1, 2), 'assumed'
    refuse_bands(path, labels)


def _narrowed(indexes: list[int], name: str, labels: Sequence[str]) -> list[int]:
    """Of several bands of a polarisation, the one that is just that, or calibrated."""
    exact = [i for i in indexes if labels[i - 1].upper() == name]
    calibrated = [i for i in indexes if _CALIBRATED.search(labels[i - 1])]
    for some in (indexes, exact, calibrated):
        if len(some) == 1:
            return some
    return indexes
