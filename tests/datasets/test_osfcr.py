# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""OSFCR: what it reads, chip by chip and window by window."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from osfcr_files import LAYERS, SIZE, X, Y, arrays, write_chip, write_tif
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler

from torchgeo_tdpcr.datasets import OSFCR, ChipQuery
from torchgeo_tdpcr.samplers import ChipSampler

KEYS = {'image', 'image_clear', 'image_sar', 'mask', 'mask_cloud'}
PLACE = {'bounds', 'transform', 'epsg'}


class TestSample:
    def test_is_the_files(self, strip: Path) -> None:
        sample = OSFCR(strip)[2]
        truth = arrays(X + 10 * SIZE)
        assert set(sample) == KEYS | PLACE
        assert {key: value.dtype for key, value in sample.items()} == {
            'image': torch.float32,
            'image_clear': torch.float32,
            'image_sar': torch.float32,
            'mask': torch.int64,
            'mask_cloud': torch.int64,
            'bounds': torch.float64,
            'transform': torch.float64,
            'epsg': torch.int64,
        }
        cloudy = truth['s2_cloudy'].astype('float32') - 1000
        np.testing.assert_array_equal(sample['image'], cloudy)
        clear = truth['s2'].astype('float32') - 1000
        np.testing.assert_array_equal(sample['image_clear'], clear)
        np.testing.assert_array_equal(sample['image_sar'], truth['s1'])
        np.testing.assert_array_equal(sample['mask'], truth['land_cover_maps'][0])
        clouds = truth['cloud_detection_results'][0]
        np.testing.assert_array_equal(sample['mask_cloud'], clouds)

    def test_place(self, strip: Path) -> None:
        sample = OSFCR(strip)[1]
        x, side = X + 10 * SIZE / 2, 10 * SIZE
        assert sample['bounds'][:6].tolist() == [x, x + side, 10, Y - side, Y, 10]
        assert sample['transform'].tolist() == [10, 0, x, 0, -10, Y, 0, 0, 1]
        assert sample['epsg'] == 32755

    def test_zones_are_not_warped(self, world: Path) -> None:
        dataset = OSFCR(world)
        assert dataset.crs.to_epsg() == 4326
        for query in ChipSampler(dataset):
            sample = dataset[query]
            epsg = int(sample['epsg'])
            x, y = sample['bounds'][0].item(), sample['bounds'][4].item()
            expected = arrays(x, y)['s2'].astype('float32') - 1000
            np.testing.assert_array_equal(sample['image_clear'], expected)
            with rasterio.open(query.chip) as file:
                assert file.crs.to_epsg() == epsg
                assert file.bounds.left == x
        assert set(dataset.index['epsg']) == {32755, 32633, 32760}

    def test_stack_over_zones(self, world: Path) -> None:
        dataset = OSFCR(world)
        loader = DataLoader(
            dataset,
            sampler=ChipSampler(dataset),
            batch_size=5,
            collate_fn=stack_samples,
            num_workers=1,
        )
        (batch,) = loader
        assert batch['image'].shape == (5, 13, SIZE, SIZE)
        assert batch['epsg'].tolist() == dataset.index['epsg'].tolist()

    def test_bands(self, strip: Path) -> None:
        bands = ['B4', 'B12', 'B2']
        full, part = OSFCR(strip)[0], OSFCR(strip, bands=bands)[0]
        for key in ('image', 'image_clear'):
            assert torch.equal(part[key], full[key][[3, 12, 1]])

    def test_thickness_where_all_have_it(self, root: Path) -> None:
        layers = (*LAYERS, 'cloud_thickness')
        write_chip(root, layers=layers)
        sample = OSFCR(root)[0]
        truth = arrays()['cloud_thickness']
        np.testing.assert_array_equal(sample['image_thickness'], truth)
        write_chip(root, patch=2)
        dataset = OSFCR(root)
        assert len(dataset) == 2
        assert 'image_thickness' not in dataset[0]

    def test_transforms(self, strip: Path) -> None:
        def double(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {**sample, 'image': sample['image'] * 2}

        plain, doubled = OSFCR(strip)[0], OSFCR(strip, transforms=double)[0]
        assert torch.equal(doubled['image'], plain['image'] * 2)


class TestOffset:
    @pytest.mark.parametrize('bands', [None, ['B4', 'B3'], ['B3', 'B10']])
    def test_found_per_file(self, root: Path, bands: list[str] | None) -> None:
        write_chip(root, patch=1, offset=1000)
        write_chip(root, patch=2, offset=0)
        mixed = write_chip(root, patch=3, offset=0)
        write_tif(mixed['s2'], arrays()['s2'])
        dataset = OSFCR(root, bands=bands)
        samples = [dataset[i] for i in (0, 1, 2)]
        for sample in samples[1:]:
            assert torch.equal(sample['image'], samples[0]['image'])
            assert torch.equal(sample['image_clear'], samples[0]['image_clear'])
        assert samples[0]['image_clear'].max() < 2000

    def test_of_a_window_is_that_of_the_chip(self, root: Path) -> None:
        paths = write_chip(root, offset=0)
        data = arrays(offset=0)['s2']
        data[10, :16] = 950  # half the chip looks as if it had an offset
        write_tif(paths['s2'], data)
        sample = OSFCR(root)[X : X + 100, Y - 100 : Y]
        assert sample['image_clear'][10].min() == 950

    def test_missing_pixels_do_not_hide_it(self, root: Path) -> None:
        paths = write_chip(root)
        data = arrays()['s2']
        data[:, 0, 0] = 0
        write_tif(paths['s2'], data)
        sample = OSFCR(root)[0]
        assert sample['image_clear'][10, 1:].max() < 100

    def test_given(self, strip: Path) -> None:
        raw, auto = OSFCR(strip, offset=0)[0], OSFCR(strip)[0]
        assert torch.equal(raw['image'] - 1000, auto['image'])
        for offset in ('always', 500, float('inf'), float('nan')):
            with pytest.raises(ValueError, match=rf'`offset={offset!r}`'):
                OSFCR(strip, offset=offset)  # type: ignore[arg-type]


class TestQueries:
    def test_window_is_exact(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        x, y = X + 10 * SIZE + 30, Y - 200
        sample = dataset[x : x + 80, y : y + 120]
        assert sample['image'].shape == (13, 12, 8)
        assert sample['bounds'][:6].tolist() == [x, x + 80, 10, y, y + 120, 10]
        assert sample['transform'].tolist() == [10, 0, x, 0, -10, y + 120, 0, 0, 1]
        rows = slice(round((Y - y - 120) / 10), round((Y - y) / 10))
        columns = slice(round((x - X) / 10), round((x - X) / 10) + 8)
        truth = arrays(size=4 * SIZE)['s2'][:, rows, columns]
        np.testing.assert_array_equal(sample['image_clear'] + 1000, truth)
        assert sample['mask'].shape == sample['mask_cloud'].shape == (12, 8)

    def test_window_shifts_into_the_chip(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        sample = dataset[X - 100 : X + 60, Y - 160 : Y]
        # 6 of the 16 columns lie over the first chip, which is where the window moves
        left = dataset.index.geometry.bounds['minx'].min()
        assert sample['image'].shape == (13, 16, 16)
        assert sample['bounds'][0] == left
        whole = dataset[dataset.bounds]
        assert whole['image'].shape == (13, SIZE, SIZE)

    def test_takes_the_largest_overlap(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        left, lower, right, upper = dataset.index.geometry.iloc[2].bounds
        sample = dataset[left + 10 : right - 10, lower:upper]
        assert sample['image'].shape == (13, SIZE, SIZE - 2)
        assert sample['bounds'][0] == left + 10

    def test_over_zones_window_is_native(self, world: Path) -> None:
        dataset = OSFCR(world)
        for geometry, epsg in zip(
            dataset.index.geometry, dataset.index['epsg'], strict=True
        ):
            x, y = geometry.centroid.x, geometry.centroid.y
            d = 5 * dataset.res[0]
            sample = dataset[x - d : x + d, y - d : y + d]
            assert sample['epsg'] == epsg
            assert sample['image'].shape == (13, 10, 10)
            left, top = sample['transform'][2].item(), sample['transform'][5].item()
            truth = arrays(left, top, 10)['s2'].astype('float32') - 1000
            np.testing.assert_array_equal(sample['image_clear'], truth)

    def test_outside(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        with pytest.raises(IndexError, match='overlaps no chip'):
            dataset[0:10, 0:10]
        with pytest.raises(IndexError, match='overlaps no chip'):
            dataset[X - 100 : X, Y - 100 : Y]  # touches, but does not overlap
        with pytest.raises(IndexError, match='is not a chip'):
            dataset[ChipQuery(slice(0, 1), slice(0, 1), slice(None), 'elsewhere.tif')]
        with pytest.raises(IndexError):
            dataset[4]
        x, y, t = dataset.bounds
        assert dataset[x, y, t]['image'].shape == (13, SIZE, SIZE)

    def test_query_survives_pickling(self, strip: Path) -> None:
        query = next(iter(ChipSampler(OSFCR(strip))))
        again = pickle.loads(pickle.dumps(query))
        assert again == query
        assert again.chip == query.chip
        assert query.chip in repr(query)

    def test_dataset_survives_pickling(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        before = dataset[0]
        again = pickle.loads(pickle.dumps(dataset))
        assert torch.equal(again[0]['image'], before['image'])


class TestTorchGeoSamplers:
    def test_random_patches(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        sampler = RandomPatchSampler(dataset, size=8, length=20, generator=1)
        truth = arrays(size=4 * SIZE)['s2'].astype('float32') - 1000
        for query in sampler:
            sample = dataset[query]
            x, y = (sample['transform'][i].item() for i in (2, 5))
            assert sample['image'].shape == (13, 8, 8)
            # At least half of each window of 8 lies in the chip that is best
            assert abs(x - query[0].start) <= 10 * SIZE / 2
            row, column = round((Y - y) / 10), round((x - X) / 10)
            window = truth[:, row : row + 8, column : column + 8]
            np.testing.assert_array_equal(sample['image_clear'], window)

    def test_grid_covers_the_strip(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        sampler = GriddedPatchSampler(dataset, size=16)
        samples = [dataset[query] for query in sampler]
        assert len(samples) == 2 * 5
        corners = {(s['bounds'][0].item(), s['bounds'][3].item()) for s in samples}
        assert len(corners) == 10
