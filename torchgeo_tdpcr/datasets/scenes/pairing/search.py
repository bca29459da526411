# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which Sentinel-1 raster goes with which Sentinel-2 product."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ...grids import Grid
from ..common import SARScale, SceneError, SceneWarning
from ..declared import Declared
from ..formats.listing import Paths, list_products, optical_in, radar_in
from ..formats.parts import OpticalProduct
from ..formats.polarisations import RadarProduct, describe_radar
from ..formats.products import find_optical
from ..formats.rasters import RasterFiles, reading
from ..windows.radar import RadarReader
from ..windows.warping import are_inside, points_of, source_pixels
from .dates import dates_of
from .pairs import ScenePair, uniquely_named

#: Days that may lie between the two of a pair if nobody says how many.
MAX_DAYS = 15

#: Coverages that differ by less are the same.
_SAME = 0.01

#: Points a side at which coverage is measured, to choose between rasters.
_POINTS = 16

#: Points a side at which outlines are compared.
_OUTLINE_POINTS = 64


class _Candidate(NamedTuple):
    """A raster that a product may be paired with, and its files, which stay open."""

    radar: RadarProduct
    rasters: RasterFiles


def pair_scenes(
    s2: Paths,
    s1: Paths,
    max_days: float | None = None,
    faults: dict[str, Exception] | None = None,
    declared: Declared | None = None,
) -> list[ScenePair]:
    """Pair each Sentinel-2 product with a Sentinel-1 raster.

    Of the rasters at most *max_days* away, that which covers most of the product is
    taken; of those that cover as much, to a hundredth, the nearest in date. Dates are
    those in metadata, in names, and in the names of the two folders around a file,
    unless a folder holds both of a pair (:func:`~.dates.dates_of`).

    Without *max_days*, a raster of unknown date counts as near, but is taken only if no
    dated one covers as much and it is the only one; a warning says so.

    Args:
        s2: A Sentinel-2 product, a folder that holds several, or a list of both.
        s1: Likewise the Sentinel-1 rasters.
        max_days: Days that may lie between the two, whose dates must be known then. None
            for 15, and to take what has no date.
        faults: Takes what is wrong with products that cannot be paired, by name, so
            that the others are. Without it, and if none can be paired, that is raised.
        declared: What the user says of the files (defaults to nothing).

    Returns:
        A pair for each Sentinel-2 product, in the order given; those of a folder by
        name.

    Raises:
        SceneError: If something is no product, or a product has no raster.
        ValueError: If *max_days* is negative, or a list is empty.

    Warns:
        SceneWarning: For each pair of which a date is unknown.
    """
    if max_days is not None and not max_days >= 0:
        raise ValueError(f'`max_days={max_days}`: give 0 or more.')
    said = Declared() if declared is None else declared
    products = [
        find_optical(path, said.all_bands)
        for path in list_products(s2, optical_in, 's2')
    ]
    candidates = [
        _candidate(path, said.polarisations)
        for path in list_products(s1, radar_in, 's1')
    ]
    pairs = []
    for product in products:
        try:
            radar = _choose(product, candidates, max_days, said.sar_scale)
        except SceneError as error:
            if faults is None or len(products) == len(faults) + 1:
                raise
            faults[product.name] = error
        else:
            pairs.append(
                ScenePair(
                    product.name,
                    product.path,
                    radar.path,
                    optical=product,
                    radar=radar,
                )
            )
            _warn_of_dates(product, radar)
    for candidate in candidates:
        candidate.rasters.close()
    return uniquely_named(products[0].path, pairs)


def _candidate(path: Path, polarisations: Sequence[str] | None) -> _Candidate:
    rasters = RasterFiles()
    return _Candidate(describe_radar(path, rasters, polarisations), rasters)


def _footprint(product: OpticalProduct) -> Grid:
    """Pixels of the first band, whatever its resolution: where the product lies."""
    rasters = RasterFiles(product.headers)
    grid = rasters.grid(next(iter(product.bands.values())).path)
    rasters.close()
    return grid


def _choose(
    product: OpticalProduct,
    candidates: Sequence[_Candidate],
    max_days: float | None,
    sar_scale: SARScale | Literal['auto'],
) -> RadarProduct:
    """The raster that goes with a product."""
    grid = _footprint(product)
    with reading(product.path):
        parts = [(_outline_part(item.radar.grid, grid), item) for item in candidates]
    most = MAX_DAYS if max_days is None else max_days
    near: list[tuple[float, _Candidate]] = []
    far: list[tuple[float, RadarProduct]] = []
    undated: list[RadarProduct] = []
    for part, candidate in sorted(parts, key=lambda item: -item[0]):
        days = dates_of(product, candidate.radar).days
        if not part:
            continue
        if days is None and max_days is not None:
            undated.append(candidate.radar)
        elif days is None or days <= most:
            near.append((part, candidate))
        else:
            far.append((days, candidate.radar))
    if undated and not near:
        raise _undated(product, undated[0], most)
    if far and not near:
        days, nearest = min(far, key=lambda item: item[0])
        raise SceneError(
            product.path,
            f"is {days:.1f} days from '{nearest.path}', the nearest Sentinel-1 "
            f'raster of the place; `max_days={most:g}` allows fewer.',
        )
    measured: list[tuple[float, RadarProduct]] = []
    for part, (radar, rasters) in near:
        # Nothing is covered beyond the outline, so that the rest cannot be better
        if part < max((cover for cover, _ in measured), default=0) - _SAME:
            break
        reader = RadarReader(radar, grid, sar_scale, rasters)
        measured.append((reader.coverage(_POINTS), radar))
    best = max((cover for cover, _ in measured), default=0)
    if best == 0:
        names = ', '.join(f"'{candidate.radar.path}'" for candidate in candidates[:3])
        more = ' …' if len(candidates) > 3 else ''
        what = (
            f'all pixels of {names}{more} there are missing.'
            if near
            else f'it and {names}{more} are at different places.'
        )
        raise SceneError(product.path, f'has Sentinel-1 nowhere: {what}')
    equal = [radar for cover, radar in measured if cover >= best - _SAME]
    dated = [
        (days, number)
        for number, radar in enumerate(equal)
        if (days := dates_of(product, radar).days) is not None
    ]
    if dated:
        return equal[min(dated)[1]]
    if len(equal) > 1:
        raise SceneError(
            product.path,
            f"is covered alike by '{equal[0].path}' and '{equal[1].path}', and their "
            'names or its own tell no date. Say which to take in a CSV file of pairs.',
        )
    return equal[0]


def _without_date(product: OpticalProduct, radar: RadarProduct) -> list[Path]:
    """Those of a pair whose date is unknown."""
    paths = product.path, radar.path
    dates = dates_of(product, radar)
    return [path for path, date in zip(paths, dates, strict=True) if date is None]


def _undated(product: OpticalProduct, radar: RadarProduct, days: float) -> SceneError:
    path, *_ = _without_date(product, radar)
    other = radar.path if path == product.path else product.path
    return SceneError(
        path,
        f'is of unknown date, so that nobody can say whether `max_days={days:g}` lie '
        f"between it and '{other}'. {_say_date(path)}, or give the pairs in a CSV file, "
        'as `pairs`.',
    )


def _warn_of_dates(product: OpticalProduct, radar: RadarProduct) -> None:
    if paths := _without_date(product, radar):
        files = ' and '.join(f"'{path}'" for path in paths)
        warnings.warn(
            f'Unknown date of {files}: there may be years between Sentinel-1 and '
            f'Sentinel-2. {_say_date(paths[0])}; with `max_days` such files are refused.',
            SceneWarning,
            stacklevel=3,
        )


def _say_date(path: Path) -> str:
    """How to give a date."""
    return f'Put it into the name, such as {path.stem}_20200604{path.suffix}'


def _outline_part(raster: Grid, grid: Grid) -> float:
    """Part of a scene that lies within the outline of a raster."""
    left, top = source_pixels(raster, grid, *points_of(grid, _OUTLINE_POINTS))
    return float(are_inside(raster, left, top).mean())
