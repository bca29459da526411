# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which Sentinel-1 raster goes with which Sentinel-2 product."""

import warnings
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....kinds import SARScale
from ...grids import Grid
from ..common import SceneError, SceneWarning
from ..declared import Declared
from ..formats.listing import Paths, list_products, optical_in
from ..formats.naming import product_name
from ..formats.parts import OpticalProduct
from ..formats.polarisations import RadarProduct
from ..formats.products import find_optical
from ..formats.rasters import RasterFiles, reading
from ..windows.radar.reader import RadarReader
from ..windows.warping import are_inside, points_of, source_pixels
from .candidates import Candidate, Faulty, find_candidates, with_cause
from .dates import dates_of, undated_error, warn_of_dates
from .pairs import ScenePair, uniquely_named
from .passes import passes

#: Days that may lie between the two of a pair if nobody says how many.
MAX_DAYS = 15

#: Coverages that differ by less are the same.
_SAME = 0.01

#: Points a side at which coverage is measured, to choose between rasters.
_POINTS = 16

#: Points a side at which outlines are compared.
_OUTLINE_POINTS = 64


class _Outlined(NamedTuple):
    """A candidate, and which places of a product lie within its outline."""

    radar: RadarProduct
    rasters: RasterFiles
    outline: NDArray[np.bool_]


def pair_scenes(
    s2: Paths,
    s1: Paths,
    max_days: float | None = None,
    faults: dict[str, Exception] | None = None,
    declared: Declared | None = None,
) -> list[ScenePair]:
    """Pair each Sentinel-2 product with a Sentinel-1 raster.

    Of the rasters at most *max_days* away, that which covers most of the product is
    taken; of those that cover as much, to a hundredth, the nearest in date. Rasters of one
    pass, minutes apart, or of one day where names have no time, count as one: those that
    add to what the others cover become its slices. Dates are those in metadata, in
    names, and in the names of the two folders around a file, unless a folder holds both
    of a pair (:func:`~.dates.dates_of`).

    A raster that cannot be used is left out, with a warning. Where nothing else covers a
    product, the error tells what is wrong with it.

    Without *max_days*, a raster of unknown date counts as near, but is taken only if no
    dated one covers as much and it is the only one; a warning says so.

    Args:
        s2: A Sentinel-2 product, a folder that holds several, or a list of both.
        s1: Likewise the Sentinel-1 rasters.
        max_days: Days that may lie between the two, whose dates must be known then. None
            for 15, and to take what has no date.
        faults: Takes what is wrong with products that cannot be read or paired, by
            name, so that the others are. Without it, and if none can be paired, that is
            raised.
        declared: What the user says of the files (defaults to nothing).

    Returns:
        A pair for each Sentinel-2 product, in the order given; those of a folder by
        name.

    Raises:
        SceneError: If something is no product, or a product has no raster.
        ValueError: If *max_days* is negative, or a list is empty.

    Warns:
        SceneWarning: For each pair of which a date is unknown, and each raster that is
            left out.
    """
    if max_days is not None and not max_days >= 0:
        raise ValueError(f'`max_days={max_days}`: give 0 or more.')
    said = Declared() if declared is None else declared
    paths = list_products(s2, optical_in, 's2')
    products, failed = _find_products(paths, said.all_bands, faults is not None)
    candidates, faulty = find_candidates(s1, said.polarisations)
    pairs = []
    for product in products:
        try:
            radar, *slices = _choose(
                product, candidates, max_days, said.sar_scale, faulty
            )
        except SceneError as error:
            cause = with_cause(error, faulty)
            if faults is None:
                raise cause from error.__cause__
            failed[_new_name(product.path, product.name, failed)] = cause
        else:
            pairs.append(
                ScenePair(
                    product.name,
                    product.path,
                    radar.path,
                    slices=tuple(other.path for other in slices),
                    optical=product,
                    radar=radar,
                    radar_slices=tuple(slices),
                )
            )
            warn_of_dates(product, radar)
    for candidate in candidates:
        candidate.rasters.close()
    if not pairs:
        raise list(failed.values())[-1]
    if faults is not None:
        faults |= failed
    _warn_of_faulty(faulty, pairs)
    return uniquely_named(paths[0], pairs)


def _find_products(
    paths: Sequence[Path], all_bands: Sequence[str] | None, go_on: bool
) -> tuple[list[OpticalProduct], dict[str, SceneError]]:
    """The products at paths, and what is wrong with the others if any may be."""
    products, failed = [], dict[str, SceneError]()
    for path in paths:
        try:
            products.append(find_optical(path, all_bands))
        except SceneError as error:
            if not go_on:
                raise
            failed[_new_name(path, product_name(path), failed)] = error
    if not products:
        raise list(failed.values())[-1]
    return products, failed


def _new_name(path: Path, name: str, names: Container[str]) -> str:
    """A name that no other has, with that of the folder where it must be."""
    return f'{path.absolute().parent.name}_{name}' if name in names else name


def _warn_of_faulty(faulty: Faulty, pairs: Sequence[ScenePair]) -> None:
    used = {path for pair in pairs for path in (pair.s1, *pair.slices)}
    for path, error in faulty.items():
        if path not in used:
            warnings.warn(
                f'Sentinel-1 is left out: {error}', SceneWarning, stacklevel=3
            )


def _footprint(product: OpticalProduct) -> Grid:
    """Pixels of the first band, whatever its resolution: where the product lies."""
    rasters = RasterFiles(product.headers)
    grid = rasters.grid(next(iter(product.bands.values())).path)
    rasters.close()
    return grid


def _choose(
    product: OpticalProduct,
    candidates: Sequence[Candidate],
    max_days: float | None,
    sar_scale: SARScale | Literal['auto'],
    faulty: Faulty,
) -> list[RadarProduct]:
    """The raster that goes with a product, and the slices that cover what it misses.

    What turns out to be faulty is added to *faulty*.
    """
    grid = _footprint(product)
    with reading(product.path):
        outlined = [
            _Outlined(*item, _outline(item.radar.grid, grid)) for item in candidates
        ]
    most = MAX_DAYS if max_days is None else max_days
    near: list[_Outlined] = []
    far: list[tuple[float, RadarProduct]] = []
    undated: list[RadarProduct] = []
    for item in outlined:
        days = dates_of(product, item.radar).days
        if not item.outline.any():
            continue
        if days is None and max_days is not None:
            undated.append(item.radar)
        elif days is None or days <= most:
            near.append(item)
        else:
            far.append((days, item.radar))
    if undated and not near:
        raise undated_error(product, undated[0], most)
    if far and not near:
        raise _too_far(product, far, most)
    measured: list[tuple[float, list[RadarProduct]]] = []
    best = 0.0
    for part, items in sorted(map(_united, passes(near)), key=lambda item: -item[0]):
        # Nothing is covered beyond the outline, so that the rest cannot be better
        if part < best - _SAME:
            break
        cover, slices = _measure(items, grid, sar_scale, faulty)
        measured.append((cover, slices))
        best = max(best, cover)
    if best == 0:
        right = [
            item.radar.path for item in candidates if item.radar.path not in faulty
        ]
        if not right:
            raise next(iter(faulty.values()))
        if far and not any(item.radar.path in right for item in near):
            raise _too_far(product, far, most)
        names = ', '.join(f"'{path}'" for path in right[:3])
        more = ' …' if len(right) > 3 else ''
        what = (
            f'all pixels of {names}{more} there are missing.'
            if any(item.radar.path in right for item in near)
            else f'it and {names}{more} are at different places.'
        )
        raise SceneError(product.path, f'has Sentinel-1 nowhere: {what}')
    equal = [slices for cover, slices in measured if cover >= best - _SAME]
    dated = [
        (days, number)
        for number, slices in enumerate(equal)
        if (days := dates_of(product, slices[0]).days) is not None
    ]
    if dated:
        return equal[min(dated)[1]]
    if len(equal) > 1:
        raise SceneError(
            product.path,
            f"is covered alike by '{equal[0][0].path}' and '{equal[1][0].path}', and their "
            'names or its own tell no date. Say which to take in a CSV file of pairs.',
        )
    return equal[0]


def _too_far(
    product: OpticalProduct, far: Sequence[tuple[float, RadarProduct]], most: float
) -> SceneError:
    days, nearest = min(far, key=lambda item: item[0])
    return SceneError(
        product.path,
        f"is {days:.1f} days from '{nearest.path}', the nearest Sentinel-1 "
        f'raster of the place; `max_days={most:g}` allows fewer.',
    )


def _united(items: list[_Outlined]) -> tuple[float, list[_Outlined]]:
    """Part of a scene within the outlines of a pass, and its rasters, the largest first."""
    part = float(np.logical_or.reduce([item.outline for item in items]).mean())
    return part, sorted(items, key=lambda item: -item.outline.mean())


def _measure(
    items: Sequence[_Outlined],
    grid: Grid,
    sar_scale: SARScale | Literal['auto'],
    faulty: Faulty,
) -> tuple[float, list[RadarProduct]]:
    """Part of a scene that a pass covers, and the rasters that it takes."""
    covers: dict[Path, NDArray[np.bool_]] = {}
    for item in items:
        try:
            reader = RadarReader(item.radar, grid, sar_scale, item.rasters)
            covers[item.radar.path] = reader.covered(_POINTS)
        except SceneError as error:
            faulty[item.radar.path] = error
    products = [item.radar for item in items if item.radar.path in covers]
    if not products:
        return 0.0, []
    products.sort(key=lambda radar: -covers[radar.path].mean())
    taken, covered = products[:1], covers[products[0].path]
    for radar in products[1:]:
        more = covered | covers[radar.path]
        if more.mean() > covered.mean() + _SAME:
            taken.append(radar)
            covered = more
    return float(covered.mean()), taken


def _outline(raster: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Which places of a scene lie within the outline of a raster."""
    left, top = source_pixels(raster, grid, *points_of(grid, _OUTLINE_POINTS))
    return are_inside(raster, left, top)
