# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which products and rasters a folder of scenes holds."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from ....files import expanded
from ....kinds import LAYERS
from ..common import SceneError
from .contents import contents_of
from .described.dimap import is_dimap
from .described.eopf import is_zarr
from .described.stac import tells_map, tells_product
from .naming import POLARISATION, RASTERS, polarisation_of
from .optical.bands import band_of_file, ends_in_code
from .optical.safe import is_safe
from .polarisations import is_delivered
from .radar.files import pair_beside
from .radar.names import is_auxiliary
from .raster_kind import RasterKind, kind_of_raster
from .rasters import RasterFiles

#: Files with the name of a band somewhere in theirs that make a folder a product.
_ENOUGH = 3

type Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


def list_products(
    paths: Paths, inside: Callable[[Path], list[Path]], what: str
) -> list[Path]:
    """List the products of paths, of which folders may hold several.

    Args:
        paths: A path, or a list of paths.
        inside: Lists the products that a folder is or holds.
        what: The argument that errors name.

    Returns:
        Each product once, in the order given.

    Raises:
        ValueError: If there are no paths.
    """
    given = [paths] if isinstance(paths, (str, PathLike)) else list(paths)
    if not given:
        raise ValueError(f'`{what}=[]`: give at least one product.')
    found = [
        product
        for path in map(expanded, given)
        for product in (inside(path) if path.is_dir() else [path])
    ]
    return list(dict.fromkeys(found))


def _is_optical_folder(path: Path) -> bool:
    if is_safe(path) or is_zarr(path):
        return True
    contents = contents_of(path)
    bands = {file: band_of_file(file.name) for file in contents.rasters}
    named = [file for file, band in bands.items() if band]
    different = {band[0] for band in bands.values() if band}
    if any(ends_in_code(file.name) for file in named):
        return True
    # Elsewhere than at the end, names of whole products may have a code or a colour, too
    if len(different) < _ENOUGH:
        return False
    rasters = RasterFiles()
    try:
        return rasters.header(contents.path(named[0])).count == 1
    except SceneError:
        # That of reading it says more
        return True
    finally:
        rasters.close()


def optical_in(folder: Path) -> list[Path]:
    """List the Sentinel-2 products that a folder is or holds.

    Args:
        folder: A SAFE folder, a folder with a raster a band, or one with products.

    Returns:
        The products by name. Rasters of Sentinel-1, masks and truths beside them are left
        out, by their headers.

    Raises:
        SceneError: If there are none, or if it is the folder of a map: what was restored
            is not mapped again by accident.
    """
    if is_dimap(folder) or _is_optical_folder(folder):
        return [folder]
    found = [
        path
        for path in _without_data(folder)
        if (path.suffix.lower() in (*RASTERS, '.zip', '.dim') and not _of_map(path))
        or (path.is_dir() and _is_optical_folder(path))
    ]
    # Beside other products, JSON is of these
    found = _only(found, 's2') or _items_in(folder)
    if not found:
        raise SceneError(
            folder,
            'holds no Sentinel-2 products: no rasters, SAFE folders, zips, products of '
            'SNAP (.dim), Zarr stores, STAC items, or folders with a raster a band.',
        )
    return found


def _without_data(folder: Path) -> list[Path]:
    """What a folder holds, without the folders of products of SNAP, which `.dim` are."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == '.dim' or not is_dimap(path)
    ]


def _only(paths: list[Path], *kinds: RasterKind) -> list[Path]:
    """Those that may be of kinds; all of them if none may be, for errors to say why."""
    found = [
        path
        for path in paths
        if path.suffix.lower() not in RASTERS or kind_of_raster(path) in (*kinds, None)
    ]
    return found or paths


def _items_in(folder: Path) -> list[Path]:
    """The STAC items in a folder, and in its subfolders if it has none.

    Not those of maps: what was restored is not mapped again by accident.
    """
    for pattern in ('*.json', '*/*.json'):
        if found := list(filter(tells_product, sorted(folder.glob(pattern)))):
            return found
    return []


def holds_maps(path: Path) -> bool:
    """Whether a path is the folder of a map, or of maps and no products."""
    if not path.is_dir():
        return False
    inside = list(path.iterdir())
    products = (*RASTERS, '.zip')
    if any(entry.suffix.lower() in products and not _of_map(entry) for entry in inside):
        return False
    folders = [entry for entry in inside if entry.is_dir()]
    return _is_map(path) or (bool(folders) and all(map(_is_map, folders)))


def _is_map(folder: Path) -> bool:
    return any(map(tells_map, folder.glob('*.json')))


def _of_map(path: Path) -> bool:
    """Whether a file is the item of a map, or the raster of one of its layers."""
    if path.suffix.lower() == '.json':
        return tells_map(path)
    ends = [f'_{layer}' for layer in LAYERS if path.stem.endswith(f'_{layer}')]
    items = [path.with_name(f'{path.stem.removesuffix(end)}.json') for end in ends]
    return any(item.is_file() and tells_map(item) for item in items)


def radar_in(folder: Path) -> list[Path]:
    """List the Sentinel-1 rasters in a folder and its subfolders.

    Args:
        folder: The folder. In subfolders, rasters of VV and VH apart are looked for.

    Returns:
        The rasters and zips by name, not opened; that of VV where VH is in one beside it.
        What lies beside these, such as areas, elevations and masks, is left out.

    Raises:
        SceneError: If there are none.
    """
    if is_delivered(folder) or is_dimap(folder) or is_zarr(folder):
        return [folder]
    found: list[Path] = []
    for path in _without_data(folder):
        if not path.is_dir() or is_delivered(path):
            found.append(path)
        elif not is_zarr(path):
            found += sorted(file for file in path.iterdir() if _is_polarised(file))
    found = [
        path
        for path in found
        if path.suffix.lower() in (*RASTERS, '.safe', '.zip', '.dim')
        and not _belongs_to_another(path)
    ]
    # One band may be of a pair whose names miss the polarisation, which an error says
    found = _only(found, 's1', 'one_band') or _items_in(folder)
    if not found:
        raise SceneError(folder, 'holds no Sentinel-1 rasters.')
    return found


def _is_polarised(path: Path) -> bool:
    return polarisation_of(path.name) is not None


def _belongs_to_another(path: Path) -> bool:
    """Whether a raster is a part of another product: VH of VV, or a mask beside both."""
    if polarisation_of(path.name) == 'VH':
        return pair_beside(path) is not None
    return is_auxiliary(path.name) and any(map(_is_polarised, path.parent.iterdir()))


def things_in(folder: Path) -> list[Path]:
    """List what a folder of several things holds, each once.

    Args:
        folder: The folder.

    Returns:
        Files and folders by name, without maps. Of Sentinel-1 that is in several
        rasters, only that of VV is there, without VH and what was delivered with both.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if not holds_maps(path) and not _of_map(path)
    ]
    # What stands before the polarisation, which all of a product begin with
    begins = [
        path.name[: match.start()]
        for path in paths
        if path.suffix.lower() in RASTERS
        and polarisation_of(path.name) == 'VV'
        and (match := POLARISATION.search(path.name))
    ]
    alone = not any(map(_may_be_other, paths))
    return [
        path
        for path in paths
        if path.suffix.lower() not in RASTERS
        or not _belongs_to_another(path)
        or not (
            polarisation_of(path.name)
            or alone
            or any(begin and path.name.startswith(begin) for begin in begins)
        )
    ]


def _may_be_other(path: Path) -> bool:
    """Whether a path may be of something else than a product of Sentinel-1."""
    return path.is_dir() or (
        path.suffix.lower() in (*RASTERS, '.zip', '.dim')
        and not _is_polarised(path)
        and not is_auxiliary(path.name)
    )
