# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of finding the clouds of a scene that has no mask."""

import pickle

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows import detection
from torchgeo_tdpcr.datasets.scenes.windows.detection import (
    DetectedClouds,
    check_detector,
)
from torchgeo_tdpcr.datasets.scenes.windows.optical.reader import OpticalReader
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    return write_scene_pair(
        tmp_path_factory.mktemp('scene'), size=600, seed=2, cover=0.5
    )


@pytest.fixture(scope='module')
def truth(pair):
    with rasterio.open(pair.clouds) as file:
        return file.read(1) > 0


def detect(path, offset='auto'):
    product = find_optical(path)
    reader = OpticalReader(product, offset=offset)
    return DetectedClouds(product, reader.grid, reader.offset)


def shares(found, truth):
    return (found & truth).sum() / truth.sum(), (found & truth).sum() / found.sum()


class TestDetectedClouds:
    def test_finds_clouds_and_shadows(self, pair, truth):
        clouds = detect(pair.s2)
        recall, precision = shares(clouds.read(clouds.grid.all), truth)
        assert recall > 0.85
        assert precision > 0.55
        assert clouds.level == '1C'
        assert clouds.origin.startswith('ukis-csmask ')

    def test_windows_do_not_matter(self, pair):
        whole = detect(pair.s2)
        mask = whole.read(whole.grid.all)
        clouds = detect(pair.s2)
        # Begun elsewhere, and on no edge of the detector's pixels
        for box in (PixelBox(301, 333, 600, 600), PixelBox(0, 0, 600, 1)):
            part = clouds.read(box)
            assert part.dtype == np.bool_
            np.testing.assert_array_equal(
                part, mask[box.top : box.bottom, box.left : box.right]
            )
        clouds.close()
        again = pickle.loads(pickle.dumps(clouds))
        np.testing.assert_array_equal(again.read(clouds.grid.all), mask)
        with pytest.raises(ValueError, match='reaches beyond'):
            clouds.read(PixelBox(0, 0, 601, 600))

    def test_parts_fit(self, pair, monkeypatch):
        grid = OpticalReader(find_optical(pair.s2)).grid
        whole = detect(pair.s2).read(grid.all)
        monkeypatch.setattr(detection, '_BLOCK', 160)
        parts = detect(pair.s2).read(grid.all)
        # Windows of the network lie elsewhere, so that not all is the same
        assert (whole != parts).mean() < 0.1

    def test_missing_pixels_are_cloud(self, pair, tmp_path):
        with rasterio.open(pair.s2) as file:
            image, profile = file.read(), file.profile
        image[:, :, :200] = 0
        path = tmp_path / 's2.tif'
        with rasterio.open(path, 'w', **profile) as file:
            file.write(image)
            file.descriptions = [f'B{i}' for i in (*range(1, 9), '8A', *range(9, 13))]
        clouds = detect(path)
        assert clouds.read(PixelBox(0, 0, 200, 600)).all()
        assert not clouds.read(PixelBox(260, 0, 600, 600)).all()

    def test_without_short_wave_infrared(self, pair, truth, tmp_path):
        path = _bands(
            pair.s2, tmp_path / 's2.tif', {'B2': 2, 'B3': 3, 'B4': 4, 'B8': 8}
        )
        clouds = detect(path, 1000)
        assert clouds.level == '2A'
        recall, _ = shares(clouds.read(clouds.grid.all), truth)
        assert recall > 0.5

    def test_narrow_near_infrared_does(self, pair, tmp_path):
        names = {'B2': 2, 'B3': 3, 'B4': 4, 'B8A': 9, 'B11': 12, 'B12': 13}
        clouds = detect(_bands(pair.s2, tmp_path / 's2.tif', names), 1000)
        assert clouds.read(clouds.grid.all).any()

    def test_lacking_bands(self, pair, tmp_path):
        path = _bands(pair.s2, tmp_path / 's2.tif', {'B3': 3, 'B4': 4, 'B8': 8})
        with pytest.raises(
            SceneError, match=r"s2\.tif': has no B2, which.*Give a mask"
        ):
            detect(path, 1000)

    def test_finer_scene(self, pair):
        # As of a model that takes bands of 20 m alone, or the other way round
        product = find_optical(pair.s2)
        reader = OpticalReader(product)
        grid = reader.grid
        fine = grid._replace(
            transform=from_origin(grid.x, grid.y, 5, 5), width=1200, height=1200
        )
        twice = DetectedClouds(product, fine, reader.offset).read(fine.all)
        once = DetectedClouds(product, grid, reader.offset).read(grid.all)
        np.testing.assert_array_equal(twice[::2, ::2], once)
        np.testing.assert_array_equal(twice[1::2, 1::2], once)

    def test_averages_what_is_there(self, pair, tmp_path):
        numbers = np.full((13, 45, 45), 1500, np.uint16)
        numbers[:, 0, 0] = 0
        numbers[:, 1, 1] = 3500
        with rasterio.open(pair.s2) as file:
            profile = file.profile | {'width': 45, 'height': 45}
        with rasterio.open(tmp_path / 's2.tif', 'w', **profile) as file:
            file.write(numbers)
        clouds = detect(tmp_path / 's2.tif')
        image, there = clouds._average(PixelBox(0, 0, 23, 23), rows=5)
        assert image.shape == (23, 23, 6)
        assert there.all()
        # Of four pixels, the first is missing and one is 0.2 brighter
        np.testing.assert_allclose(image[0, 0], 0.05 + 0.2 / 3, rtol=1e-6)
        np.testing.assert_allclose(image[22, 22], 0.05, rtol=1e-6)


@pytest.mark.parametrize('package', ['ukis_csmask', 'onnxruntime'])
def test_detector_that_is_not_installed(monkeypatch, package):
    check_detector()
    find = detection.find_spec
    monkeypatch.setattr(
        detection, 'find_spec', lambda name: None if name == package else find(name)
    )
    with pytest.raises(
        ModuleNotFoundError, match=r"pip install 'torchgeo-tdpcr\[clouds\]'"
    ):
        check_detector()


def _bands(source, path, names):
    """Write some bands of a product."""
    with rasterio.open(source) as file:
        image, profile = file.read(list(names.values())), file.profile
    with rasterio.open(path, 'w', **(profile | {'count': len(names)})) as file:
        file.write(image)
        file.descriptions = list(names)
    return path
