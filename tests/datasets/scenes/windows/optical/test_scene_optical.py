# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of reading windows of Sentinel-2 products."""

import multiprocessing
import pickle

import numpy as np
import pytest
import rasterio
from optical_files import (
    BANDS,
    SIZE,
    full_size,
    numbers,
    write,
)

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats import rasters
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS


class TestRead:
    def test_windows_of_coarse_bands_are_those_of_the_repeated_image(self, safe):
        root, stored = safe
        bands = ['B9', 'B2', 'B11']
        reader = OpticalReader(find_optical(root), bands)
        whole = np.stack(
            [
                full_size(stored[band], SENTINEL2_BANDS[band].resolution)
                for band in bands
            ]
        )
        generator = np.random.default_rng(0)
        for _ in range(40):
            left, right = sorted(generator.choice(SIZE + 1, 2, replace=False))
            top, bottom = sorted(generator.choice(SIZE + 1, 2, replace=False))
            image, valid = reader.read(PixelBox(left, top, right, bottom))
            np.testing.assert_array_equal(image, whole[:, top:bottom, left:right])
            assert valid.shape == image.shape[1:]

    def test_the_grid_is_that_of_the_finest_selected_band(self, safe):
        reader = OpticalReader(find_optical(safe[0]), ['B9', 'B11'])
        assert (reader.grid.width, reader.grid.transform.a) == (SIZE // 2, 20)
        assert reader.grid.crs.to_epsg() == 32632
        assert reader.grid.bounds == (6e5, 5e6 - SIZE * 10, 6e5 + SIZE * 10, 5e6)

    def test_a_crop_may_cut_coarse_pixels(self, tmp_path):
        coarse, fine = numbers(1, 3)[0], numbers(1, 16)[0]
        write(tmp_path / 'x_B01.tif', coarse, 60)
        write(tmp_path / 'x_B02.tif', fine)
        reader = OpticalReader(find_optical(tmp_path), offset=0)
        image, _ = reader.read(PixelBox(11, 3, 16, 16))
        np.testing.assert_array_equal(image[0], full_size(coarse, 60)[3:16, 11:16])
        np.testing.assert_array_equal(image[1], fine[3:16, 11:16])

    def test_bands_of_one_file_in_any_order(self, stack):
        path, array = stack
        reader = OpticalReader(find_optical(path), ['B12', 'B1', 'B8A'], offset=0)
        image, valid = reader.read(PixelBox(3, 5, 40, 41))
        np.testing.assert_array_equal(image, array[[12, 0, 8], 5:41, 3:40])
        assert valid.all()

    def test_all_bands_of_the_product_by_default(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        assert OpticalReader(product, offset=0).bands == tuple(product.bands)

    def test_missing_pixels(self, tmp_path):
        array = numbers()
        array[:, 0, 0] = 0
        array[3, 1, 1] = 0
        array[BANDS.index('B10'), 2, 2] = 0
        reader = OpticalReader(find_optical(write(tmp_path / 'a.tif', array)))
        _, valid = reader.read(reader.grid.all)
        assert np.argwhere(~valid).tolist() == [[0, 0]]

    def test_missing_pixels_of_b10_count_alone_or_if_declared(self, tmp_path):
        array = numbers()
        array[BANDS.index('B10'), 2, 2] = 0
        array[BANDS.index('B10'), 3, 3] = 65535
        path = write(tmp_path / 'a.tif', array)
        only = OpticalReader(find_optical(path), ['B10'], offset=0)
        assert np.argwhere(~only.read(only.grid.all)[1]).tolist() == [[2, 2]]
        with rasterio.open(path, 'r+') as file:
            file.nodata = 65535
        every = OpticalReader(find_optical(path), offset=0)
        assert np.argwhere(~every.read(every.grid.all)[1]).tolist() == [[3, 3]]

    @pytest.mark.parametrize('nodata', [None, np.nan])
    def test_missing_pixels_of_floats(self, tmp_path, nodata):
        array = numbers().astype(np.float32)
        array[2, 4, 5] = np.nan
        path = write(tmp_path / 'a.tif', array, nodata=nodata)
        reader = OpticalReader(find_optical(path), offset=0)
        image, valid = reader.read(reader.grid.all)
        assert image.dtype == np.float32
        assert np.argwhere(~valid).tolist() == [[4, 5]]

    @pytest.mark.parametrize(('low', 'offset'), [(1004, 1000), (3, 0)])
    def test_b10_tells_the_offset(self, tmp_path, low, offset):
        array = numbers()
        array[BANDS.index('B10')] = low
        array[:, :, :9] = 0
        # A few pixels as averaged overviews mix them with missing ones
        array[BANDS.index('B10'), 0, 9:20] = 400
        path = write(tmp_path / 'a.tif', array)
        assert OpticalReader(find_optical(path)).offset == offset
        # Though B10 is not selected
        assert OpticalReader(find_optical(path), ['B2']).offset == offset
        other = 1000 - offset
        assert OpticalReader(find_optical(path), offset=other).offset == other

    def test_no_b10_and_no_offset(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        with pytest.raises(
            SceneError, match=r"a\.tif': has no B10.*Give `offset`: 1000"
        ):
            OpticalReader(product)

    def test_empty_b10(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers() * np.uint16(0)))
        with pytest.raises(SceneError, match='missing everywhere'):
            OpticalReader(product)

    def test_reflectances(self, tmp_path):
        array = (numbers() / 1e4).astype(np.float32)
        array[BANDS.index('B10')] /= 100
        array[:, :2] = 0
        array[3, 5, 5] = np.nan
        array[3, 6, 6] = -1
        path = write(tmp_path / 'a.tif', array)
        reader = OpticalReader(find_optical(path))
        image, valid = reader.read(reader.grid.all)
        assert (reader.offset, image.dtype) == (0, np.float32)
        np.testing.assert_allclose(image[:, valid], array[:, valid] * 1e4, rtol=1e-6)
        holes = np.argwhere(~valid[2:]).tolist()
        assert (holes, valid[:2].any()) == ([[3, 5], [4, 6]], False)
        assert reader.scales['B4'] == 1

    def test_missing_band(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        with pytest.raises(SceneError, match=r"a\.tif': has no B10\. Choose.*B8A"):
            OpticalReader(product, ['B10', 'B2'], offset=0)
        with pytest.raises(ValueError, match='B13'):
            OpticalReader(product, ['B13'], offset=0)

    @pytest.mark.parametrize(
        ('size', 'options', 'message'),
        [
            (36, {'resolution': 20, 'crs': 'EPSG:32633'}, r'is in EPSG:32633'),
            (36, {'resolution': 20, 'x': 600_020}, r'upper-left corner'),
            (48, {'resolution': 15}, r'multiple'),
            (35, {'resolution': 20}, r'is 35×35 pixels large.*36×36'),
        ],
    )
    def test_bands_that_do_not_lie_on_each_other(
        self, tmp_path, size, options, message
    ):
        write(tmp_path / 'x_B02.tif', numbers(1))
        write(tmp_path / 'x_B05.tif', numbers(1, size), **options)
        product = find_optical(tmp_path)
        with pytest.raises(SceneError, match=rf"x_B05\.tif': .*{message}"):
            OpticalReader(product, offset=0)
        assert OpticalReader(product, ['B5'], offset=0).grid.width == size

    def test_no_place_and_no_numbers(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(), crs=None)
        with pytest.raises(SceneError, match='no coordinate reference system'):
            OpticalReader(find_optical(path), offset=0)
        path = write(tmp_path / 'b.tif', numbers().astype(np.complex64))
        with pytest.raises(SceneError, match='holds complex64'):
            OpticalReader(find_optical(path), offset=0)

    def test_windows_beyond_the_scene(self, stack):
        reader = OpticalReader(find_optical(stack[0]), offset=0)
        for window in ((0, 0, SIZE + 1, 1), (-1, 0, 1, 1), (5, 5, 5, 6)):
            with pytest.raises(ValueError, match='empty or reaches beyond'):
                reader.read(PixelBox(*window))

    def test_a_damaged_file(self, tmp_path):
        array = numbers(1)
        for band in ('B02', 'B03'):
            write(tmp_path / f'x_{band}.tif', array, compress='deflate')
        reader = OpticalReader(find_optical(tmp_path), offset=0)
        path = tmp_path / 'x_B03.tif'
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(SceneError, match=r"x_B03\.tif': cannot be read"):
            reader.read(reader.grid.all)
        path.unlink()
        reader.close()
        with pytest.raises(SceneError, match=r"x_B03\.tif': cannot be read"):
            reader.read(reader.grid.all)


def _read_in_child(reader, window, queue):
    queue.put(reader.read(window)[0])


class TestProcesses:
    def test_pickling(self, safe):
        reader = OpticalReader(find_optical(safe[0]), ['B2', 'B1'])
        window = PixelBox(5, 6, 20, 30)
        image, _ = reader.read(window)
        copy = pickle.loads(pickle.dumps(reader))
        assert (copy.offset, copy.bands, copy.grid) == (1000, ('B2', 'B1'), reader.grid)
        np.testing.assert_array_equal(copy.read(window)[0], image)

    def test_few_readers_have_files_open(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        readers = [OpticalReader(find_optical(path), offset=0) for _ in range(20)]
        for _ in range(2):
            images = [reader.read(reader.grid.all)[0] for reader in readers]
        assert all((image == images[0]).all() for image in images)
        assert len(rasters._recent) == rasters._READERS
        assert [bool(reader._files._open) for reader in readers] == (
            [False] * 4 + [True] * 16
        )

    def test_forked_after_reading(self, stack):
        reader = OpticalReader(find_optical(stack[0]), offset=0)
        image, _ = reader.read(reader.grid.all)
        context = multiprocessing.get_context('fork')
        queue = context.Queue()
        child = context.Process(
            target=_read_in_child, args=(reader, reader.grid.all, queue)
        )
        child.start()
        try:
            np.testing.assert_array_equal(queue.get(timeout=20), image)
        finally:
            child.kill()
            child.join()
