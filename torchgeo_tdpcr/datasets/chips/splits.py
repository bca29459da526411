# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Training, validation and test chips: three ways to part them, and what leaks.

Neighbouring chips of LuojiaSET-OSFCR overlap by half, pixel for pixel. The published
split shuffles chips, so most test chips lie partly under training chips; splits by
region of interest or by connected component do not have this fault (regions of interest
may still touch). :func:`overlap_area` measures it.
"""

import random
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from torchgeo.datasets import GeoDataset

from .footprints import METRES_PER_DEGREE, native_footprints
from .layout import COVERS, OSFCR_LAYERS

Split = Literal['train', 'val', 'test']
SplitBy = Literal['published', 'roi', 'component']
Rows = NDArray[np.int64]

#: Shares of training, validation and test chips.
FRACTIONS: Mapping[Split, float] = {'train': 0.8, 'val': 0.1, 'test': 0.1}

#: Metres by which footprints must overlap to count as overlapping.
_SLACK = 2.0


def published_split(dataset: GeoDataset | GeoDataFrame) -> dict[Split, Rows]:
    """Part chips by the recipe of the authors of LuojiaSET-OSFCR.

    For each cloud-cover folder in ascending order: the files of its folder ``s2`` that
    match ``ROIs_*_s2_p*.tif``, sorted by name, where all five published layers are
    present, shuffled by one ``random.Random(42)`` that all folders share; of these the
    first ``int(0.8 n)`` train, the next ``int(0.1 n)`` validate, the others test.

    Published figures use it. It leaks: see :func:`overlap_area`.

    Args:
        dataset: OSFCR with all its chips, or its index.

    Returns:
        Rows of the index for ``'train'``, ``'val'`` and ``'test'``; chips that the
        recipe passes over are in none.
    """
    index = _index(dataset)
    needed = [name for name, layer in OSFCR_LAYERS.items() if not layer.optional]
    if missing := [name for name in ('cover', *needed) if name not in index.columns]:
        raise ValueError(
            f'the published split is of LuojiaSET-OSFCR; the index of `dataset` lacks '
            f"the columns {missing}. Use `split_by='roi'` or 'component' for others."
        )
    complete = np.logical_and.reduce([index[name].to_numpy() != '' for name in needed])
    names = [Path(path).name for path in index['s2']]
    listed = complete & [fnmatchcase(name, 'ROIs_*_s2_p*.tif') for name in names]
    covers = index['cover'].to_numpy()
    roots = index.get('root', index['cover'].str[:0]).to_numpy()
    parts: dict[Split, list[int]] = {'train': [], 'val': [], 'test': []}
    for root in dict.fromkeys(roots):
        rng = random.Random(42)
        for cover in COVERS:
            chosen = listed & (roots == root) & (covers == cover)
            rows = sorted(np.flatnonzero(chosen).tolist(), key=names.__getitem__)
            rng.shuffle(rows)
            train, val = int(0.8 * len(rows)), int(0.1 * len(rows))
            parts['train'] += rows[:train]
            parts['val'] += rows[train : train + val]
            parts['test'] += rows[train + val :]
    return {name: np.array(rows, dtype=np.int64) for name, rows in parts.items()}


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
    index = _index(dataset)
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
    index = _index(dataset)
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
    ones = _zones(_index(first))
    twos = _zones(_index(second))
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


def _index(dataset: GeoDataset | GeoDataFrame) -> GeoDataFrame:
    return dataset if isinstance(dataset, gpd.GeoDataFrame) else dataset.index


def _assign(groups: Rows, seed: int, what: str) -> dict[Split, Rows]:
    """Give whole groups to test, validation and training, in random order.

    A group goes to the test (then to the validation) chips where that brings their
    number nearer to a tenth; all others train.
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    if numbers.size < 3:
        raise ValueError(
            f'the chips are of {numbers.size} {what}; three parts need at least 3. '
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


#: Ways to part the chips of LuojiaSET-OSFCR, by the value of ``split_by``.
SPLITS = {
    'published': lambda index, seed: published_split(index),
    'roi': roi_split,
    'component': component_split,
}
