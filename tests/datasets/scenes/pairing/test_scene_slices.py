# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Radar slices that cover a scene only together."""

import pickle

import numpy as np
import pytest
from optical_files import numbers
from rasterio.transform import from_origin
from scene_files import GRID, LEFT, SIZE, TOP, UTM33, around, decibels, power, write

from torchgeo_tdpcr.callbacks.geotiff.fingerprint import fingerprint
from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes import ScenePair, pair_scenes, read_pairs
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader
from torchgeo_tdpcr.datasets.scenes.windows.radar.mosaic import RadarMosaic

DATES = ('20200604T051422', '20200604T051447', '20200604T051512')


@pytest.fixture
def s2(tmp_path):
    return write(tmp_path / 's2_20200604.tif', numbers(size=SIZE))


def rows(path, first, last, shift=0.0, convert=np.asarray):
    """A slice: some rows of the scene's pixels, and dB that differ from others'."""
    array = convert(decibels()[:, first:last] + np.float32(shift))
    return write(path, array, from_origin(LEFT, TOP - 10 * first, 10, 10))


class TestMosaic:
    def test_values_across_the_seam(self, tmp_path):
        north = rows(tmp_path / 'n.tif', 0, 35)
        # Of another scale, and 1 dB higher, to tell them apart
        south = rows(tmp_path / 's.tif', 30, SIZE, 1, power)
        readers = [RadarReader(path, GRID) for path in (north, south)]
        assert [reader.scale for reader in readers] == ['db', 'linear']
        expected = decibels()
        expected[:, 35:] += 1
        mosaic = RadarMosaic(readers)
        np.testing.assert_allclose(mosaic.read(GRID.all), expected, atol=1e-4)
        assert mosaic.coverage() == 1
        assert readers[0].coverage() == pytest.approx(35 / SIZE, abs=0.01)
        window = PixelBox(5, 28, 50, 41)
        np.testing.assert_allclose(
            mosaic.read(window), expected[:, 28:41, 5:50], atol=1e-4
        )
        # The other way round the overlap is the other's
        expected = decibels() + 1
        expected[:, :30] -= 1
        np.testing.assert_allclose(
            RadarMosaic(readers[::-1]).read(GRID.all), expected, atol=1e-4
        )
        copy = pickle.loads(pickle.dumps(mosaic))
        np.testing.assert_array_equal(copy.read(window), mosaic.read(window))

    def test_pixels_are_of_one_slice(self, tmp_path):
        first = decibels()
        first[1, 10] = first[:, 20] = first[0, 30] = np.nan
        second = decibels() + 1
        second[0, 30] = np.nan
        paths = [
            write(tmp_path / f'{i}.tif', array)
            for i, array in enumerate((first, second))
        ]
        image = RadarMosaic([RadarReader(path, GRID) for path in paths]).read(GRID.all)
        expected = first
        expected[:, [10, 20]] = second[:, [10, 20]]
        np.testing.assert_array_equal(image, expected)

    def test_of_another_grid(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = np.full((2, size, size), -10, np.float32)
        array[1] = -17
        half = size // 2
        north = write(tmp_path / 'n.tif', array[:, :half], transform, UTM33)
        place = transform @ transform.translation(0, half - 5)
        south = write(tmp_path / 's.tif', array[:, half - 5 :], place, UTM33)
        mosaic = RadarMosaic([RadarReader(path, GRID) for path in (north, south)])
        image = mosaic.read(GRID.all)
        np.testing.assert_allclose(image[0], -10, atol=1e-4)
        np.testing.assert_allclose(image[1], -17, atol=1e-4)


class TestPairing:
    @pytest.mark.parametrize('dates', [DATES, ['20200604'] * 3, ['2020-06-04'] * 3])
    def test_slices_of_a_pass(self, tmp_path, s2, dates):
        folder = tmp_path / 's1'
        paths = [
            rows(folder / f'{i}_{date}.tif', first, last, i)
            for i, (date, (first, last)) in enumerate(
                zip(dates, ((0, 15), (10, 45), (40, SIZE)), strict=True)
            )
        ]
        rows(folder / 'other_20200611T051422.tif', 0, 50)
        (pair,) = pair_scenes(s2, folder)
        # The one that covers most comes first
        assert (pair.s1, set(pair.slices)) == (paths[1], {paths[0], paths[2]})
        dataset = SceneDataset([pair])
        info = dataset.info(0)
        keys = ['s2', 's1', 's1_2', 's1_3']
        assert list(info.inputs) == keys
        assert [info.inputs[key] for key in keys[1:]] == [
            str(path) for path in (pair.s1, *pair.slices)
        ]
        image = dataset._readers[0].radar.read(GRID.all)
        expected = decibels()
        expected[:, 10:45] += 1
        expected[:, 45:] += 2
        np.testing.assert_allclose(image, expected, atol=1e-5)
        before = fingerprint(info, '', {})
        rows(pair.slices[0], 0, 15, 5)
        assert fingerprint(info, '', {}) != before

    @pytest.mark.parametrize(
        'names',
        [
            ('a_20200604T051422', 'b_20200604T171422'),
            ('a_20200604', 'b_20200605'),
            ('a', 'b'),
            ('a_20200604T051422', 'b'),
        ],
    )
    def test_others_are_not_merged(self, tmp_path, s2, names):
        first = rows(tmp_path / 's1' / f'{names[0]}.tif', 0, 40)
        rows(tmp_path / 's1' / f'{names[1]}.tif', 30, SIZE)
        (pair,) = pair_scenes(s2, tmp_path / 's1')
        assert (pair.s1, pair.slices) == (first, ())
        with pytest.raises(SceneError, match='covers 67%'):
            SceneDataset([pair])

    def test_one_that_covers_all_is_alone(self, tmp_path, s2):
        folder = tmp_path / 's1'
        rows(folder / f'a_{DATES[0]}.tif', 0, 40)
        whole = rows(folder / f'b_{DATES[1]}.tif', 0, SIZE)
        (pair,) = pair_scenes(s2, folder)
        assert (pair.s1, pair.slices) == (whole, ())

    def test_a_pass_counts_as_one(self, tmp_path, s2):
        folder = tmp_path / 's1'
        rows(folder / 'near_20200605T051422.tif', 0, 50)
        for date, (first, last) in zip(DATES, ((0, 35), (30, SIZE)), strict=False):
            rows(folder / f'{date.replace("0604", "0530")}.tif', first, last)
        (pair,) = pair_scenes(s2, folder)
        assert {pair.s1.name[:8], pair.slices[0].name[:8]} == {'20200530'}

    def test_missing_pixels_within_outlines(self, tmp_path, s2):
        array = decibels()
        array[:, :, :30] = np.nan
        paths = [
            write(tmp_path / 's1' / f'{i}_{DATES[i]}.tif', values)
            for i, values in enumerate((array, array[..., ::-1]))
        ]
        (pair,) = pair_scenes(s2, tmp_path / 's1')
        assert {pair.s1, *pair.slices} == set(paths)
        image = SceneDataset([pair])._readers[0].radar.read(GRID.all)
        assert np.isfinite(image).all()

    def test_too_little_even_so(self, tmp_path, s2):
        for date, (first, last) in zip(DATES, ((0, 25), (20, 48)), strict=False):
            rows(tmp_path / 's1' / f'{date}.tif', first, last)
        (pair,) = pair_scenes(s2, tmp_path / 's1')
        message = r"0514\d\d\.tif': and '.*0514\d\d\.tif' together: covers 80%"
        with pytest.raises(SceneError, match=message):
            SceneDataset([pair])


class TestTable:
    def test_several_paths(self, tmp_path, s2):
        north, south = rows(tmp_path / 'n.tif', 0, 35), rows(tmp_path / 's.tif', 30, 60)
        path = tmp_path / 'pairs.csv'
        path.write_text(f's2,s1,name\n{s2.name},n.tif | s.tif,x\n{s2.name},n.tif,y\n')
        pairs = read_pairs(path)
        assert pairs == [
            ScenePair('x', s2, north, slices=(south,)),
            ScenePair('y', s2, north),
        ]
        image = SceneDataset(pairs[:1])._readers[0].radar.read(GRID.all)
        np.testing.assert_array_equal(image, decibels())

    def test_a_bar_in_a_name(self, tmp_path, s2):
        name = rows(tmp_path / 'a|b.tif', 0, SIZE)
        path = tmp_path / 'pairs.csv'
        path.write_text(f's2,s1\n{s2.name},a|b.tif\n')
        assert read_pairs(path) == [ScenePair('s2_20200604', s2, name)]

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('|', 'row 2 has no s1'),
            ('n.tif|no.tif', r"row 2: s1 '.*no\.tif' does not e"),
        ],
    )
    def test_faults(self, tmp_path, s2, text, message):
        rows(tmp_path / 'n.tif', 0, 35)
        path = tmp_path / 'pairs.csv'
        path.write_text(f's2,s1\n{s2.name},{text}\n')
        with pytest.raises(SceneError, match=message):
            read_pairs(path)
