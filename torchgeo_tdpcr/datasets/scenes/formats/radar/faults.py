# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-1 that cannot be used as it is: what it is, and the way out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from ...common import SceneError
from ..naming import POLARISATION, polarisation_of
from ..rasters import RasterFiles
from .names import level_of, other_polarisations

CALIBRATE = (
    'Calibrate it to sigma0 or gamma0 and terrain-correct it first, with SNAP for '
    'example, and give the raster.'
)

#: The end of faults of products of other polarisations.
OTHER_MODE = (
    'but VV and VH are needed, which Sentinel-1 has over most land (mode IW, 1SDV in '
    'names of products). Give a product of that.'
)


def other_of(polarisation: str) -> str:
    """VH for VV, and VV for VH."""
    return 'VH' if polarisation == 'VV' else 'VV'


def check_uncorrected(path: str, rasters: RasterFiles) -> None:
    """Refuse a raster of a level that is not calibrated, or not terrain-corrected.

    Args:
        path: The raster.
        rasters: To open it with.

    Raises:
        SceneError: If it is one.
    """
    header = rasters.header(path)
    dtype, level = header.dtypes[0], level_of(path)
    by_points = header.grid.crs is None and header.gcps
    if np.dtype(dtype).kind == 'c':
        raise SceneError(
            path,
            f'holds {dtype}: complex amplitudes of level SLC, not backscatter. '
            f'{CALIBRATE}',
        )
    if level and by_points:
        raise SceneError(
            path,
            f'is a measurement of a {level} product as ESA delivers it: {dtype} without '
            f'calibration, placed by ground control points only. {CALIBRATE}',
        )
    if by_points:
        raise SceneError(
            path,
            'has ground control points only. Terrain-correct it first, with SNAP '
            'for example.',
        )


def refuse_contents(
    path: Path, names: Sequence[str], found: Mapping[str, Sequence[str]]
) -> NoReturn:
    """Refuse a folder or a zip for the rasters that it holds.

    Args:
        path: The folder or the zip.
        names: Names of its rasters.
        found: Rasters of VV and of VH among them.

    Raises:
        SceneError: Always.
    """
    counts = f'{len(found["VV"])} rasters of VV and {len(found["VH"])} of VH'
    others = other_polarisations(names)
    if others and not any(found.values()):
        raise SceneError(path, f'holds {" and ".join(others)}, {OTHER_MODE}')
    if any(found.values()) and not all(found.values()):
        has = 'VV' if found['VV'] else 'VH'
        raise SceneError(
            path,
            f'holds {counts} by their names: {has} only. {other_of(has)} is needed as '
            f'well: put the raster of {other_of(has)} of the same product beside it, such '
            'as a_vv.tif and a_vh.tif.',
        )
    raise SceneError(
        path,
        f'holds {counts} by their names. Keep one of each, such as a_vv.tif and a_vh.tif.',
    )


def refuse_one(path: str, label: str) -> NoReturn:
    """Refuse a raster of one band that has no other beside it.

    Args:
        path: The raster.
        label: The description of its band.

    Raises:
        SceneError: Always.
    """
    name = Path(path).name
    if others := other_polarisations((name, label)):
        raise SceneError(path, f'holds {" and ".join(others)}, {OTHER_MODE}')
    own = polarisation_of(name) or polarisation_of(label)
    if own is None:
        raise SceneError(
            path,
            'has one band; give VV and VH: a raster of both, or two whose names hold VV '
            'and VH as words, such as a_vv.tif and a_vh.tif.',
        )
    raise SceneError(
        path,
        f'has one band; give VV and VH. It holds {own} only, and beside it lies no raster '
        f'of the same name with {other_of(own)}. If the product was made of one '
        'polarisation, make it anew with both.',
    )


def refuse_bands(path: str, labels: Sequence[str]) -> NoReturn:
    """Refuse a raster whose bands are not told apart by their descriptions.

    Args:
        path: The raster.
        labels: The descriptions.

    Raises:
        SceneError: Always.
    """
    described = f'has {len(labels)} bands described as {list(labels)}'
    others = other_polarisations(labels) or other_polarisations((Path(path).name,))
    if others and not any(POLARISATION.search(label) for label in labels):
        raise SceneError(path, f'{described}: {" and ".join(others)}, {OTHER_MODE}')
    order = [polarisation_of(label) or 'other' for label in labels]
    lacking = [name for name in ('VV', 'VH') if name not in order]
    lacks = ''
    if len(lacking) == 1:
        lacks = f', and no {lacking[0]}, which is needed as well'
    if any(order.count(name) != 1 for name in ('VV', 'VH')):
        order = ['VV', 'VH', *['other'] * (len(labels) - 2)]
    raise SceneError(
        path,
        f'{described}{lacks}; exactly one must be VV and one VH. Say which is which by '
        f'`polarisations`, which names every band in its order: `polarisations={order}`, '
        'for example.',
    )
