# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Training, validation and test chips: ways to part them, and what leaks.

Neighbouring chips of LuojiaSET-OSFCR overlap by half, pixel for pixel. Its published
split shuffles chips, so most test chips lie partly under training chips; splits by
region of interest or by connected component do not have this fault (regions of interest
may still touch). :func:`overlap_area` measures it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from torchgeo.datasets import GeoDataset

from .footprints import METRES_PER_DEGREE, native_footprints

Split = Literal['train', 'val', 'test']
Rows = NDArray[np.int64]

#: Shares of training, validation and test chips.
FRACTIONS: Mapping[Split, float] = {'train': 0.8, 'val': 0.1, 'test': 0.1}

#: Metres by which footprints must overlap to count as overlapping.
_SLACK = 2.0


def roi_split(dataset: GeoDataset | GeoDataFrame, seed: int = 42) -> dict[Split, Rows]:
    """Part chips so that each region of interest is in one part only.

    A region is what has one ROI number in a root (and, where there are seasons, in a
    season), whatever its cloud covers.

    Args:
        dataset: A dataset of chips, or its index.
        seed: Seed of the order of regions.

    Returns:
        Rows of the index for ``'train'``, ``'val'`` and ``'test'``, near 8:1:1.

    Raises:
        ValueError: If there are fewer than three regions.
    """
    index = index_of(dataset)
    columns = [name for name in ('root', 'season', 'roi') if name in index.columns]
    groups = index.reset_index(drop=True).groupby(columns).ngroup().to_numpy()
    return _assign(groups, seed, 'regions of interest')


def component_split(
    dataset: GeoDataset | GeoDataFrame, seed: int = 42
) -> dict[Split, Rows]:
    """Part chips so that chips which overlap, even by way of others, stay together.

    No pixel of one part is then in another; the overlap of the parts is 0.

    Args:
        dataset: A dataset of chips, or its index.
        seed: Seed of the order of components.

    Returns:
        Rows of the index for ``'train'``, ``'val'`` and ``'test'``, near 8:1:1.

    Raises:
        ValueError: If there are fewer than three components.
    """
    return _assign(components(dataset), seed, 'connected components')


def components(dataset: GeoDataset | GeoDataFrame) -> Rows:
    """Number the connected components of overlapping chips.

    Chips that merely touch, or overlap by less than two metres, are not connected.
    Chips of neighbouring zones that overlap are.

    Args:
        dataset: A dataset of chips, or its index.

    Returns:
        For each row of the index the number of its component.
    """
    index = index_of(dataset)
    slack = _SLACK / METRES_PER_DEGREE if index.crs.is_geographic else _SLACK
    shrunk = shapely.buffer(index.geometry.to_numpy(), -slack / 2, join_style='mitre')
    merged = shapely.get_parts(shapely.union_all(shrunk))
    points = shapely.point_on_surface(shrunk)
    rows, numbers = shapely.STRtree(merged).query(points, predicate='intersects')
    result = np.full(len(index), -1, dtype=np.int64)
    result[rows] = numbers
    # A part too small to shrink is a component of its own
    alone = np.flatnonzero(result < 0)
    result[alone] = len(merged) + np.arange(alone.size)
    return result


class Overlap(NamedTuple):
    """How much two sets of chips overlap.

    Args:
        area: Common area in m².
        fraction: Share of the second set's area that lies inside the first.
    """

    area: float
    fraction: float


def overlap_area(
    first: GeoDataset | GeoDataFrame, second: GeoDataset | GeoDataFrame
) -> Overlap:
    """Measure how much of one set of chips lies inside another, zone by zone.

    Areas are of the union of a set's footprints in the CRS of each zone, so that ground
    under two chips of a set counts once. Overlaps between zones are not counted.

    Args:
        first: For instance the training chips: a dataset or its index.
        second: For instance the test chips: a dataset or its index.

    Returns:
        The common area, and its share of the second set's area.
    """
    ones = _zones(index_of(first))
    twos = _zones(index_of(second))
    common = sum(
        shapely.area(shapely.intersection(ones[epsg], twos[epsg]))
        for epsg in ones.keys() & twos.keys()
    )
    total = sum(shapely.area(zone) for zone in twos.values())
    return Overlap(float(common), float(common / total) if total else 0.0)


def _zones(index: GeoDataFrame) -> dict[int, shapely.Geometry]:
    return {
        # A millimetre: reprojection must not leave slivers between neighbours
        epsg: shapely.union_all(shapely.set_precision(part.to_numpy(), 1e-3))
        for epsg, part in native_footprints(index).items()
    }


def index_of(dataset: GeoDataset | GeoDataFrame) -> GeoDataFrame:
    """Return the index of a dataset, or an index as it is."""
    return dataset if isinstance(dataset, gpd.GeoDataFrame) else dataset.index


def held_out(groups: Sequence[Any], share: float, seed: int = 42) -> set[Any]:
    """Choose the groups of training samples that validate instead.

    Args:
        groups: Groups of samples in a fixed order, such as scenes.
        share: Share of the groups, from 0 to below 1; one group at least unless it is 0.
        seed: Seed of the choice.

    Returns:
        Those held out.

    Raises:
        ValueError: If *share* is out of its range, or no group would be left to train.

    Example:
        >>> len(held_out(range(80), 0.1))
        8
    """
    if not 0 <= share < 1:
        raise ValueError(f'`val_share={share}` must be in 0 to below 1.')
    if not share:
        return set()
    count = max(1, round(share * len(groups)))
    if count >= len(groups):
        raise ValueError(
            f'`val_share={share}` leaves nothing to train with: there are {len(groups)} '
            'areas to hold out from. Add data, or set it to 0.'
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    return {groups[i] for i in order[:count]}


def _assign(groups: Rows, seed: int, what: str) -> dict[Split, Rows]:
    """Give whole groups to test, validation and training, in random order.

    A group goes to the test (then to the validation) chips where that brings their
    number nearer to a tenth; all others train.
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    if numbers.size < 3:
        raise ValueError(
            f'`dataset` has chips of {numbers.size} {what}; three parts need at least 3. '
            'Add data, or split in another way.'
        )
    order = np.random.default_rng(seed).permutation(numbers.size).tolist()
    taken: dict[int, Split] = {}
    for name in ('test', 'val'):
        target, filled = FRACTIONS[name] * len(groups), 0
        for group in order:
            size = int(sizes[group])
            if group not in taken and abs(filled + size - target) < target - filled:
                taken[group] = name
                filled += size
        if not filled:  # every group is too large: the smallest must do
            free = [group for group in order if group not in taken]
            taken[min(free, key=sizes.__getitem__)] = name
    parts = np.array([taken.get(group, 'train') for group in range(numbers.size)])
    of_row = parts[np.searchsorted(numbers, groups)]
    return {name: np.flatnonzero(of_row == name) for name in FRACTIONS}
