# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The package's own splits, TorchGeo's, and how much they leak."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from osfcr_files import SIZE, X, Y, write_chip, write_strip
from pyproj import Transformer
from torchgeo.datasets import (
    random_bbox_assignment,
    random_bbox_splitting,
    random_grid_cell_assignment,
)
from torchgeo.datasets import (
    roi_split as torchgeo_roi_split,
)

from torchgeo_tdpcr.datasets import (
    OSFCR,
    SplitBy,
    component_split,
    overlap_area,
    published_split,
    roi_split,
)
from torchgeo_tdpcr.datasets.chips.splits import Rows, Split, components
from torchgeo_tdpcr.samplers import ChipSampler

PARTS: tuple[Split, ...] = ('train', 'val', 'test')
SplitFunction = Callable[..., dict[Split, Rows]]


@pytest.fixture
def covers(root: Path) -> Path:
    """Twelve half-overlapping chips of each of two covers, numbers of two widths."""
    write_strip(root, 12, '20%-40%', 1)
    write_strip(root, 12, '0-20%', 2, y=Y - 5000)
    return root


class TestPublished:
    def test_is_the_recipe_to_the_letter(self, covers: Path) -> None:
        # Chips without all layers are passed over before the shuffle
        for name in ('s1/ROIs_02_s1_p3.tif', 's2_cloudy/ROIs_02_s2_cloudy_p10.tif'):
            (covers / '0-20%' / name).unlink()
        expected: dict[Split, list[str]] = {part: [] for part in PARTS}
        rng = random.Random(42)
        for cover in ('0-20%', '20%-40%'):
            names = sorted(p.name for p in (covers / cover / 's2').glob('*.tif'))
            if cover == '0-20%':
                names.remove('ROIs_02_s2_p3.tif')
                names.remove('ROIs_02_s2_p10.tif')
            rng.shuffle(names)
            a, b = int(0.8 * len(names)), int(0.1 * len(names))
            expected['train'] += names[:a]
            expected['val'] += names[a : a + b]
            expected['test'] += names[a + b :]
        for part in PARTS:
            dataset = OSFCR(covers, split=part)
            got = [Path(path).name for path in dataset.index['s2']]
            assert got == expected[part]
        assert len(expected['train']) == 8 + 9

    def test_does_not_depend_on_what_is_read(self, covers: Path) -> None:
        whole = OSFCR(covers, split='test').index
        part = OSFCR(
            covers, split='test', layers=['s2_cloudy'], cover='20%-40%', seed=7
        ).index
        assert set(part['filepath']) <= set(whole['filepath'])
        assert len(part) == (whole['cover'] == '20%-40%').sum()
        assert len(part) > 0

    def test_each_root_has_its_own(self, covers: Path, tmp_path: Path) -> None:
        one = OSFCR(covers, split='train').index['filepath']
        write_strip(tmp_path / 'other', 3)
        two = OSFCR([covers, tmp_path / 'other'], split='train').index['filepath']
        assert list(two[: len(one)]) == list(one)

    def test_empty(self, root: Path) -> None:
        write_chip(root)
        with pytest.raises(ValueError, match=r"split='val'` is empty.*five"):
            OSFCR(root, split='val')

    def test_needs_its_layers(self, covers: Path) -> None:
        index = OSFCR(covers).index.drop(columns=['s1'])
        with pytest.raises(ValueError, match=r"lacks the columns \['s1'\]"):
            published_split(index)

    def test_leaks(self, covers: Path) -> None:
        train, test = (OSFCR(covers, split=part) for part in ('train', 'test'))
        assert overlap_area(train, test).fraction > 0.5


@pytest.mark.parametrize('split', [roi_split, component_split])
class TestGroups:
    def test_parts_are_whole_groups(self, root: Path, split: SplitFunction) -> None:
        for roi in range(20):
            write_strip(root, 2, roi=roi, y=Y - 10_000 * roi)
        dataset = OSFCR(root)
        parts = split(dataset, seed=3)
        rows = np.concatenate(list(parts.values()))
        assert sorted(rows) == list(range(40))
        assert {part: len(parts[part]) for part in PARTS} == {
            'train': 32,
            'val': 4,
            'test': 4,
        }
        rois = [set(dataset.index['roi'].iloc[parts[part]]) for part in PARTS]
        assert sum(map(len, rois)) == len(set().union(*rois))
        again, other = split(dataset.index, seed=3), split(dataset, seed=4)
        assert all(np.array_equal(parts[p], again[p]) for p in PARTS)
        assert not np.array_equal(parts['test'], other['test'])
        subsets = {part: dataset.subset(parts[part]) for part in PARTS}
        assert overlap_area(subsets['train'], subsets['test']) == (0, 0)

    def test_few_large_groups(self, root: Path, split: SplitFunction) -> None:
        for roi in range(3):
            write_strip(root, 2 + roi, roi=roi, y=Y - 10_000 * roi)
        parts = split(OSFCR(root))
        assert sorted(len(rows) for rows in parts.values()) == [2, 3, 4]
        assert len(parts['train']) == 4

    def test_too_few(self, root: Path, split: SplitFunction) -> None:
        write_strip(root, 2)
        with pytest.raises(ValueError, match='at least 3'):
            split(OSFCR(root))

    def test_by_argument(self, root: Path, split: SplitFunction) -> None:
        for roi in range(3):
            write_chip(root, roi=roi, y=Y - 10_000 * roi)
        name: SplitBy = 'roi' if split is roi_split else 'component'
        found = [OSFCR(root, p, split_by=name, seed=5).index['roi'] for p in PARTS]
        rows = split(OSFCR(root), seed=5)
        assert [list(rois) for rois in found] == [list(rows[part]) for part in PARTS]


class TestComponents:
    def test_strips(self, root: Path) -> None:
        write_strip(root, 3, roi=1)
        write_strip(root, 2, '20%-40%', 2, x=X + 10 * SIZE)  # overlaps the first
        write_chip(root, roi=3, x=X + 10 * SIZE / 2 * 7)  # touches the second only
        numbers = components(OSFCR(root))
        assert numbers[[0, 1, 2, 4, 5]].tolist() == [numbers[0]] * 5
        assert numbers[3] != numbers[0]

    def test_across_zones(self, root: Path) -> None:
        # At 150° E, where two zones meet
        place = Transformer.from_crs(4326, 32755, always_xy=True).transform(150, -42)
        other = Transformer.from_crs(4326, 32756, always_xy=True).transform(150, -42)
        write_chip(root, roi=1, epsg=32755, x=place[0], y=place[1])
        write_chip(root, roi=2, epsg=32756, x=other[0] + 50, y=other[1])
        write_chip(root, roi=3, epsg=32756, x=other[0] + 5000, y=other[1])
        dataset = OSFCR(root)
        assert dataset.crs.to_epsg() == 4326
        first, second, third = components(dataset)
        overlap = shapely.intersection(*dataset.index.geometry.iloc[:2])
        assert overlap.area > 0
        assert first == second != third


class TestOverlap:
    def test_area(self, strip: Path, root: Path) -> None:
        dataset = OSFCR(strip)
        side = 10 * SIZE
        area, fraction = overlap_area(dataset.subset([0]), dataset.subset([1]))
        assert area == pytest.approx(side * side / 2)
        assert fraction == pytest.approx(0.5)
        # Ground under two chips counts once
        area, fraction = overlap_area(dataset.subset([0, 2]), dataset.subset([1]))
        assert (area, fraction) == pytest.approx((side * side, 1))
        assert overlap_area(dataset.subset([1]), dataset.subset([0, 2])) == (
            pytest.approx((side * side, 0.5))
        )
        assert overlap_area(dataset.subset([0]), dataset.subset([3])) == (0, 0)

    def test_in_longitude_and_latitude(self, world: Path) -> None:
        dataset = OSFCR(world)
        area, fraction = overlap_area(dataset.subset([0, 4]), dataset.subset([1, 2, 4]))
        side = 10 * SIZE
        assert area == pytest.approx(1.5 * side * side)
        assert fraction == pytest.approx(0.5)
        assert overlap_area(dataset, dataset.index.iloc[:0]) == (0, 0)


class TestTorchGeo:
    """TorchGeo's own split functions, and reading what they leave."""

    def test_random_bbox_assignment(self, world: Path) -> None:
        parts = random_bbox_assignment(OSFCR(world), [0.6, 0.4])
        assert [len(part) for part in parts] == [3, 2]
        paths = [path for part in parts for path in part.index['filepath']]
        assert len(set(paths)) == 5
        for part in parts:
            for query in ChipSampler(part):
                assert part[query]['image'].shape == (13, SIZE, SIZE)
        with pytest.raises(IndexError, match='is not a chip'):
            parts[0][next(iter(ChipSampler(parts[1])))]

    def test_random_bbox_splitting(self, world: Path) -> None:
        whole = OSFCR(world)
        whole[0]  # what a dataset has worked out must not pass to its parts
        parts = random_bbox_splitting(whole, [0.75, 0.25])
        for first, second in zip(*map(ChipSampler, parts), strict=True):
            one, two = parts[0][first]['mask'], parts[1][second]['mask']
            assert sorted((one.numel(), two.numel())) == [SIZE * 8, SIZE * 24]
        for row in range(len(whole)):
            overlap = overlap_area(*(part.index.iloc[[row]] for part in parts))
            assert overlap.area == pytest.approx(0, abs=100)  # a pixel

    def test_random_grid_cell_assignment(self, strip: Path) -> None:
        whole = OSFCR(strip)
        parts = random_grid_cell_assignment(whole, [0.5, 0.5], grid_size=2)
        assert [len(part) for part in parts] == [8, 8]
        assert list(parts[0].index.columns) == list(whole.index.columns)
        assert parts[0].index['epsg'].dtype == whole.index['epsg'].dtype
        seen = set()
        for part in parts:
            for query, box in zip(ChipSampler(part), part.index.geometry, strict=True):
                sample = part[query]
                assert sample['image'].shape == (13, SIZE // 2, SIZE // 2)
                assert sample['bounds'][0] == box.bounds[0]
                assert sample['bounds'][3] == box.bounds[1]
                seen.add((query.chip, *box.bounds))
        assert len(seen) == 16
        with pytest.raises(ValueError, match='has the columns'):
            parts[0].index = parts[0].index[['roi', 'geometry']]

    def test_roi_split(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        xmin, ymin, xmax, ymax = dataset.index.total_bounds
        middle = X + 10 * (SIZE + 4)
        west, east = torchgeo_roi_split(
            dataset,
            [
                shapely.box(xmin, ymin, middle, ymax),
                shapely.box(middle, ymin, xmax, ymax),
            ],
        )
        widths = {
            Path(query.chip).name[-6:-4]: east[query]['image'].shape[-1]
            for query in ChipSampler(east)
        }
        assert widths == {'p1': SIZE // 2 - 4, 'p2': SIZE - 4, 'p3': SIZE}
        assert overlap_area(west, east).area == 0
        sample = west[middle - 50 : middle + 50, ymin:ymax]
        assert sample['bounds'][1] <= middle

    def test_roi_split_drops_what_only_touches(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        _, ymin, _, ymax = dataset.index.total_bounds
        edge = X + 10 * SIZE
        (part,) = torchgeo_roi_split(dataset, [shapely.box(X, ymin, edge, ymax)])
        assert sorted(part.index['patch']) == [0, 1]
