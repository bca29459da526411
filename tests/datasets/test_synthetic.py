# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The synthetic data set has OSFCR's layout and depends on its parameters alone."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from torchgeo_tdpcr.datasets import OSFCR
from torchgeo_tdpcr.datasets.synthetic import SyntheticOSFCR
from torchgeo_tdpcr.datasets.synthetic.biomes import BIOMES, Biome
from torchgeo_tdpcr.datasets.synthetic.dataset import _make_roi
from torchgeo_tdpcr.datasets.synthetic.landscape import build_landscape
from torchgeo_tdpcr.datasets.synthetic.scene import build_scene, scene_shape, windows
from torchgeo_tdpcr.datasets.synthetic.writer import COVERS, cover_folder

ROIS, CHIPS, SIZE = 2, 6, 64

LAYERS = {
    's2': (13, 'uint16', r'ROIs_\d\d_s2_p\d+\.tif'),
    's2_cloudy': (13, 'uint16', r'ROIs_\d\d_s2_cloudy_p\d+\.tif'),
    's1': (2, 'float32', r'ROIs_\d\d_s1_p\d+\.tif'),
    'land_cover_maps': (1, 'uint8', r'ROIs_\d\d_s2_p\d+\.tif'),
    'cloud_detection_results': (1, 'float32', r'ROIs_\d\d_s2_cloudy_p\d+\.tif'),
    'cloud_thickness': (1, 'float32', r'ROIs_\d\d_s2_cloudy_p\d+\.tif'),
}


def make(root: Path, **kwargs: int) -> SyntheticOSFCR:
    options: dict[str, int] = {
        'num_rois': ROIS,
        'chips_per_roi': CHIPS,
        'chip_size': SIZE,
        'workers': 0,
    }
    return SyntheticOSFCR(root, progress=False, **(options | kwargs))


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp('synthetic')).generate()


def layer_path(chip: Path, layer: str) -> Path:
    """File of another layer of the chip whose clear image is `chip`."""
    name = chip.name
    if layer == 's1':
        name = name.replace('_s2_', '_s1_')
    elif layer in ('s2_cloudy', 'cloud_detection_results', 'cloud_thickness'):
        name = name.replace('_s2_', '_s2_cloudy_')
    return chip.parent.parent / layer / name


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_layout_and_names(folder: Path) -> None:
    assert folder.name == 'LuojiaSET-OSFCR'
    assert {path.name for path in folder.iterdir()} == {*COVERS, 'synthetic.json'}
    chips = sorted(folder.glob('*/s2/*.tif'))
    assert len(chips) == ROIS * CHIPS
    for cover in COVERS:
        assert {path.name for path in (folder / cover).iterdir()} == set(LAYERS)
    for layer, (_, _, pattern) in LAYERS.items():
        files = list(folder.glob(f'*/{layer}/*'))
        assert len(files) == ROIS * CHIPS
        assert all(re.fullmatch(pattern, path.name) for path in files)
    for chip in chips:
        assert all(layer_path(chip, layer).exists() for layer in LAYERS)
    assert {path.name for path in chips} == {
        f'ROIs_{roi:02d}_s2_p{patch}.tif'
        for roi in range(1, ROIS + 1)
        for patch in range(1, CHIPS + 1)
    }


def test_bands_types_and_grids(folder: Path) -> None:
    zones = set()
    for chip in folder.glob('*/s2/*.tif'):
        with rasterio.open(chip) as file:
            crs, grid = file.crs, file.transform
            assert file.interleaving.name == 'pixel'
            assert file.compression is None
            assert file.nodata is None
        zones.add(crs.to_epsg())
        for layer, (count, dtype, _) in LAYERS.items():
            with rasterio.open(layer_path(chip, layer)) as file:
                assert (file.count, file.width, file.height) == (count, SIZE, SIZE)
                assert set(file.dtypes) == {dtype}
                assert file.crs == crs
                shift = (file.transform.c - grid.c, file.transform.f - grid.f)
            expected = (3.688, -4.128) if layer == 's1' else (0, 0)
            assert shift == pytest.approx(expected, abs=1e-3)
        assert (grid.a, grid.e) == (10, -10)
    assert len(zones) == ROIS
    assert min(zones) < 32700 < max(zones)


def test_values(folder: Path) -> None:
    labels = set()
    for chip in folder.glob('*/s2/*.tif'):
        clear, cloudy = read(chip), read(layer_path(chip, 's2_cloudy'))
        assert clear.min() > 900
        assert 1000 <= clear[10].mean() < 1040
        assert not np.array_equal(clear, cloudy)
        sar = read(layer_path(chip, 's1'))
        assert np.isfinite(sar).all()
        assert (sar[0].mean() > sar[1].mean() + 3) & (-28 < sar[0].mean() < -3)
        mask = read(layer_path(chip, 'cloud_detection_results'))
        thickness = read(layer_path(chip, 'cloud_thickness'))
        assert set(np.unique(mask)) <= {0.0, 1.0}
        assert not thickness[mask == 0].any()
        assert (thickness >= 0).all()
        labels |= set(np.unique(read(layer_path(chip, 'land_cover_maps'))).tolist())
    assert labels <= {*range(7), 255}
    assert len(labels) >= 5


def test_folder_is_the_real_cover(folder: Path) -> None:
    chips = {cover: list((folder / cover / 's2').iterdir()) for cover in COVERS}
    assert all(chips.values())
    for cover, paths in chips.items():
        for path in paths:
            mask = read(layer_path(path, 'cloud_detection_results'))
            assert cover_folder(float(mask.mean())) == cover


def test_overlapping_chips_share_pixels(folder: Path) -> None:
    half = SIZE // 2
    left, right = (
        next(folder.glob(f'*/s2/ROIs_01_s2_p{patch}.tif')) for patch in (1, 2)
    )
    for layer in ('s2', 's1', 'land_cover_maps'):
        one, two = layer_path(left, layer), layer_path(right, layer)
        np.testing.assert_array_equal(read(one)[..., half:], read(two)[..., :half])
        with rasterio.open(one) as a, rasterio.open(two) as b:
            assert b.transform.c - a.transform.c == pytest.approx(10 * half)


def test_same_files_whatever_the_number_of_workers(
    folder: Path, tmp_path: Path
) -> None:
    assert digests(make(tmp_path, workers=2).generate()) == digests(folder)


def test_another_seed_makes_another_set(folder: Path, tmp_path: Path) -> None:
    other = make(tmp_path, seed=1, num_rois=1, chips_per_roi=1).generate()
    chip = next(other.glob('*/s2/*.tif'))
    assert not np.array_equal(read(chip), read(next(folder.glob(f'*/s2/{chip.name}'))))


def test_hundreds_of_regions_have_names_and_places_of_their_own(
    tmp_path: Path,
) -> None:
    # Those that are made in the same sites, made alone
    parameters = make(tmp_path, num_rois=999, chips_per_roi=1).parameters
    same_site = range(3, 999, 24)
    for roi in same_site:
        _make_roi(str(tmp_path), roi, parameters, [])
    index = OSFCR(tmp_path).index
    assert sorted(index['roi']) == [roi + 1 for roi in same_site]
    boxes = list(index.geometry)
    for number, one in enumerate(boxes):
        assert not any(one.intersects(other) for other in boxes[number + 1 :])
    west, _, east, _ = index.to_crs(4326).total_bounds
    assert east - west < 3


def test_complete_set_is_reused(tmp_path: Path) -> None:
    data = make(tmp_path, num_rois=1, chips_per_roi=1)
    assert not data.complete
    folder = data.generate()
    assert data.complete
    chip = next(folder.glob('*/s2/*.tif'))
    before = chip.stat().st_mtime_ns
    make(tmp_path, num_rois=1, chips_per_roi=1).generate()
    assert chip.stat().st_mtime_ns == before


def test_interrupted_run_is_finished(folder: Path, tmp_path: Path) -> None:
    data = make(tmp_path)
    data.generate()
    (data.folder / 'synthetic.json').rename(data.folder / 'synthetic.json.part')
    next(data.folder.glob('*/s1/*.tif')).unlink()
    data.generate()
    assert digests(data.folder) == digests(folder)


def test_other_parameters_are_refused(tmp_path: Path) -> None:
    make(tmp_path, num_rois=1, chips_per_roi=1).generate()
    with pytest.raises(FileExistsError, match=r"'seed': 0.*'seed': 3.*another folder"):
        make(tmp_path, num_rois=1, chips_per_roi=1, seed=3).generate()


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    chip = tmp_path / 'LuojiaSET-OSFCR' / '0-20%' / 's2' / 'ROIs_01_s2_p1.tif'
    chip.parent.mkdir(parents=True)
    chip.write_bytes(b'real')
    with pytest.raises(FileExistsError, match='did not write'):
        make(tmp_path).generate()
    assert chip.read_bytes() == b'real'


def test_unreadable_manifest_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'LuojiaSET-OSFCR'
    folder.mkdir()
    (folder / 'synthetic.json').write_text('{')
    with pytest.raises(FileExistsError, match='did not write'):
        make(tmp_path).generate()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('num_rois', 0),
        ('num_rois', 1000),
        ('chips_per_roi', 0),
        ('chip_size', 16),
        ('chip_size', 65),
        ('seed', -1),
        ('workers', -1),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f'`{name}={value}`'):
        make(tmp_path, **{name: value})


def test_manifest_counts_chips(folder: Path) -> None:
    manifest = json.loads((folder / 'synthetic.json').read_text())
    assert sum(manifest['chips'].values()) == ROIS * CHIPS
    assert list(manifest['chips']) == list(COVERS)
    assert not (folder / 'synthetic.json.part').exists()
    assert len(manifest['classes']) == 7


@pytest.mark.parametrize('biome', BIOMES, ids=lambda biome: biome.name)
def test_every_biome_makes_a_place(biome: Biome) -> None:
    place = build_landscape(np.random.default_rng(0), (96, 130), biome)
    assert place.label.shape == (96, 130)
    assert len(np.unique(place.label)) >= 3
    assert all(1 <= epsg % 100 <= 60 for epsg, _, _ in biome.sites)


def test_scene_follows_physics() -> None:
    """Water is dark in the infrared and to the radar, trees are red-edge bright."""
    scene = build_scene(np.random.default_rng(2), (256, 256), BIOMES[1])
    water, trees = scene.label == 0, scene.label == 1
    of_water = np.median(scene.clear[:, water], axis=1)
    of_trees = np.median(scene.clear[:, trees], axis=1)
    assert of_water[11] < 0.5 * of_trees[11]
    assert of_trees[7] > 2 * of_trees[3]
    assert scene.sar[:, water].mean() < scene.sar[:, trees].mean() - 3
    assert not np.array_equal(scene.clear, scene.other)


def test_windows_step_by_half() -> None:
    assert list(windows(4, 64)) == [(0, 0), (0, 32), (32, 0), (32, 32)]
    assert scene_shape(4, 64) == (96, 96)
    assert scene_shape(1, 64) == (64, 64)


@pytest.mark.parametrize(
    ('cover', 'name'), [(0.0, '0-20%'), (0.2, '20%-40%'), (0.9999, '80%-100%')]
)
def test_cover_folder(cover: float, name: str) -> None:
    assert cover_folder(cover) == name
