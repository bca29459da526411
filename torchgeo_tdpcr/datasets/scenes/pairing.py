# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which Sentinel-1 raster goes with which Sentinel-2 product."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from ..grids import Grid
from .common import SceneError
from .listing import Paths, list_products, optical_in, radar_in
from .naming import date_of, product_name
from .polarisations import check_radar, find_radar
from .products import OpticalProduct, find_optical
from .radar import RadarReader
from .rasters import RasterFiles, reading
from .warping import points_of, source_pixels

#: Coverages that differ by less are the same.
_SAME = 0.01

#: Points a side at which coverage is measured, to choose between rasters.
_POINTS = 16

#: Points a side at which outlines are compared.
_OUTLINE_POINTS = 64

_REQUIRED = ('s2', 's1')
_COLUMNS = (*_REQUIRED, 'cloud_mask', 'name')


@dataclass(frozen=True, slots=True)
class ScenePair:
    """A Sentinel-2 product, its Sentinel-1 raster, and perhaps a cloud mask.

    Args:
        name: Name, unique among the pairs; results are named after it.
        s2: The product, see :func:`~.products.find_optical`.
        s1: The raster, see :func:`~.polarisations.find_radar`; of two files that of VV.
        cloud_mask: A cloud mask, in place of the product's own.
    """

    name: str
    s2: Path
    s1: Path
    cloud_mask: Path | None = None


def read_pairs(csv_path: str | PathLike[str]) -> list[ScenePair]:
    r"""Read pairs from a table.

    Args:
        csv_path: CSV file with the columns ``s2`` and ``s1``, and optionally
            ``cloud_mask`` and ``name``. Paths are relative to the file. Names that are
            left out are those of the Sentinel-2 products.

    Returns:
        A pair for each row.

    Raises:
        SceneError: If the table is malformed, or names files that do not exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for name in ('S2_T32TQM.tif', 's1.tif'):
        ...         Path(folder, name).touch()
        ...     table = Path(folder, 'pairs.csv')
        ...     _ = table.write_text('s2,s1\nS2_T32TQM.tif,s1.tif')
        ...     [pair.name for pair in read_pairs(table)]
        ['S2_T32TQM']
    """
    csv_path = Path(csv_path)
    try:
        with csv_path.open(encoding='utf-8-sig', newline='') as file:
            table = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip() for column in table.fieldnames or ()]
            table.fieldnames = columns
            rows = [(table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SceneError(csv_path, f'cannot be read ({error}).') from error
    missing = [column for column in _REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in _COLUMNS]
    if missing or unknown:
        what = (
            f'has no column {missing[0]}' if missing else f'has a column {unknown[0]!r}'
        )
        raise SceneError(csv_path, f'{what}. Columns are {", ".join(_COLUMNS)}.')
    if not rows:
        raise SceneError(csv_path, 'has no rows.')
    return _uniquely_named(csv_path, [_pair(csv_path, *row) for row in rows])


def _pair(
    csv_path: Path, line: int, row: dict[str, str | list[str] | None]
) -> ScenePair:
    texts = {
        key: text.strip() for key, text in row.items() if isinstance(text, str) and key
    }
    if None in row:
        raise SceneError(csv_path, f'row {line} has more fields than columns.')
    paths: dict[str, Path] = {}
    for column in _COLUMNS[:3]:
        if not texts.get(column):
            if column in _REQUIRED:
                raise SceneError(csv_path, f'row {line} has no {column}.')
            continue
        path = csv_path.parent / texts[column]
        if not path.exists():
            raise SceneError(
                csv_path,
                f'row {line}: {column} {path} does not exist. Paths are relative to the '
                'table.',
            )
        paths[column] = path
    name = texts.get('name') or product_name(paths['s2'])
    if name in ('.', '..') or set(name) & set('/\\'):
        raise SceneError(
            csv_path, f'row {line}: the name {name!r} cannot be that of a folder.'
        )
    return ScenePair(name, paths['s2'], paths['s1'], paths.get('cloud_mask'))


def _uniquely_named(place: Path, pairs: list[ScenePair]) -> list[ScenePair]:
    """Put the names of the parent folders in front of names that are not unique."""
    names = Counter(pair.name for pair in pairs)
    pairs = [
        pair
        if names[pair.name] == 1
        else replace(pair, name=f'{pair.s2.absolute().parent.name}_{pair.name}')
        for pair in pairs
    ]
    (name, count), *_ = Counter(pair.name for pair in pairs).most_common(1)
    if count > 1:
        raise SceneError(
            place,
            f'{count} pairs have the name {name!r}. Give each a name of its own, in the '
            'column `name` of a CSV file.',
        )
    return pairs


class _Raster(NamedTuple):
    """A raster, its pixels, and when it was taken."""

    path: Path
    grid: Grid
    date: datetime | None


def pair_scenes(
    s2: Paths,
    s1: Paths,
    max_days: float = 15,
    faults: dict[str, Exception] | None = None,
) -> list[ScenePair]:
    """Pair each Sentinel-2 product with a Sentinel-1 raster.

    Of the rasters at most *max_days* away, that which covers most of the product is
    taken; of those that cover as much, to a hundredth, the nearest in date. Dates are
    those in names, and in the metadata of Sentinel-2. A raster of unknown date counts as
    near, but is taken only if no dated one covers as much and it is the only one.

    Args:
        s2: A Sentinel-2 product, a folder that holds several, or a list of both.
        s1: Likewise the Sentinel-1 rasters.
        max_days: Days that may lie between the two.
        faults: Takes what is wrong with products that cannot be paired, by name, so
            that the others are. Without it, and if none can be paired, that is raised.

    Returns:
        A pair for each Sentinel-2 product, in the order given; those of a folder by
        name.

    Raises:
        SceneError: If something is no product, or a product has no raster.
        ValueError: If *max_days* is negative, or a list is empty.
    """
    if not max_days >= 0:
        raise ValueError(f'`max_days={max_days}`: give 0 or more.')
    products = [find_optical(path) for path in list_products(s2, optical_in, 's2')]
    rasters = [_radar(path) for path in list_products(s1, radar_in, 's1')]
    pairs = []
    for product in products:
        try:
            raster = _choose(product, rasters, max_days)
        except SceneError as error:
            if faults is None or len(products) == len(faults) + 1:
                raise
            faults[product.name] = error
        else:
            pairs.append(ScenePair(product.name, product.path, raster))
    return _uniquely_named(products[0].path, pairs)


def _grid(path: str) -> Grid:
    rasters = RasterFiles()
    with reading(path):
        raster = rasters[path]
        grid = Grid(raster.crs, raster.transform, raster.width, raster.height)
    rasters.close()
    if grid.crs is None:
        raise SceneError(path, 'has no coordinate reference system.')
    return grid


def _radar(path: Path) -> _Raster:
    bands = find_radar(path)
    rasters = RasterFiles()
    check_radar(bands, rasters)
    rasters.close()
    return _Raster(path, _grid(bands[0].path), date_of(path.name))


def _choose(
    product: OpticalProduct, rasters: Sequence[_Raster], max_days: float
) -> Path:
    """The raster that goes with a product."""
    grid = _grid(next(iter(product.bands.values())).path)
    parts = [(_outline_part(raster.grid, grid), raster) for raster in rasters]
    touching = sorted(
        ((part, raster) for part, raster in parts if part > 0), key=lambda x: -x[0]
    )
    near, days = [], {}
    for part, raster in touching:
        days[raster] = _days(product.date, raster.date)
        if (days[raster] or 0) <= max_days:
            near.append((part, raster))
    if touching and not near:
        nearest = min(days, key=lambda raster: days[raster] or 0)
        raise SceneError(
            product.path,
            f'is {days[nearest]:.1f} days from {nearest.path}, the nearest Sentinel-1 '
            f'raster of the place; `max_days` allows {max_days:g}.',
        )
    measured: dict[_Raster, float] = {}
    for part, raster in near:
        # Nothing is covered beyond the outline, so that the rest cannot be better
        if part < max(measured.values(), default=0) - _SAME:
            break
        measured[raster] = RadarReader(raster.path, grid).coverage(_POINTS)
    best = max(measured.values(), default=0)
    if best == 0:
        names = ', '.join(str(raster.path) for raster in rasters[:3])
        raise SceneError(
            product.path,
            f'has Sentinel-1 nowhere: it and {names}{" …" if len(rasters) > 3 else ""} '
            'are at different places.',
        )
    equal = [raster for raster, part in measured.items() if part >= best - _SAME]
    dated = [raster for raster in equal if days[raster] is not None]
    if dated:
        return min(dated, key=lambda raster: days[raster] or 0).path
    if len(equal) > 1:
        raise SceneError(
            product.path,
            f'is covered alike by {equal[0].path} and {equal[1].path}, and their names '
            'or its own tell no date. Say which to take in a CSV file of pairs.',
        )
    return equal[0].path


def _days(first: datetime | None, second: datetime | None) -> float | None:
    if first is None or second is None:
        return None
    return abs((first - second).total_seconds()) / 86_400


def _outline_part(raster: Grid, grid: Grid) -> float:
    """Part of a scene that lies within the outline of a raster."""
    left, top = source_pixels(raster, grid, *points_of(grid, _OUTLINE_POINTS))
    inside = (left >= 0) & (left < raster.width) & (top >= 0) & (top < raster.height)
    return float(inside.mean())
