# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The Sentinel-1 rasters that products may be paired with, and those that are of no use."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..common import SceneError
from ..formats.listing import Paths, list_products, radar_in
from ..formats.polarisations import RadarProduct, describe_radar
from ..formats.rasters import RasterFiles

#: What is wrong with rasters that are left out.
type Faulty = dict[Path, SceneError]

#: Rasters that are left out which an error names at most.
_NAMED = 3


class Candidate(NamedTuple):
    """A raster that a product may be paired with, and its files, which stay open."""

    radar: RadarProduct
    rasters: RasterFiles


def find_candidates(
    s1: Paths, polarisations: Sequence[str] | None
) -> tuple[list[Candidate], Faulty]:
    """Open Sentinel-1 rasters.

    Args:
        s1: A raster, a folder that holds several, or a list of both.
        polarisations: Order of their bands, see :class:`.Declared`.

    Returns:
        The rasters, and what is wrong with those that cannot be used. Nothing but their
        headers is read.

    Raises:
        SceneError: If none can be used: that of the first.
    """
    candidates: list[Candidate] = []
    faulty: Faulty = {}
    for path in list_products(s1, radar_in, 's1'):
        rasters = RasterFiles()
        try:
            candidates.append(
                Candidate(describe_radar(path, rasters, polarisations), rasters)
            )
        except SceneError as error:
            rasters.close()
            faulty[path] = error
    if not candidates:
        raise next(iter(faulty.values()))
    return candidates, faulty


def with_cause(error: SceneError, faulty: Faulty) -> SceneError:
    """Add to what is wrong with a product which rasters were left out, and why.

    Args:
        error: Why it has no raster.
        faulty: What is wrong with those that were left out.

    Returns:
        The error to raise.

    Example:
        >>> error = SceneError('s2.tif', 'has Sentinel-1 nowhere.')
        >>> bad = SceneError('s1.tif', 'has one band.')
        >>> str(with_cause(error, {Path('s1.tif'): bad}))
        "'s2.tif': has Sentinel-1 nowhere. Left out was 's1.tif': has one band."
    """
    if not faulty or any(error is known for known in faulty.values()):
        return error
    texts = list(map(str, faulty.values()))
    more = ' …' if len(texts) > _NAMED else ''
    return SceneError(
        error.path, f'{error.fault} Left out was {" ".join(texts[:_NAMED])}{more}'
    )
