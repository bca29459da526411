# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Synthetic data of level 2A, and by the land-cover maps of real places."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from torchgeo_tdpcr import OSFCRDataModule
from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.synthetic import SyntheticOSFCR, spectra
from torchgeo_tdpcr.datasets.synthetic.biomes import (
    BIOMES,
    BUILT,
    CROPS,
    GRASS,
    TREES,
    WATER,
)
from torchgeo_tdpcr.datasets.synthetic.landscape import (
    FIRST_PARCEL,
    FIRST_ROOF,
    GARDEN,
    ROAD,
    build_landscape,
)
from torchgeo_tdpcr.datasets.synthetic.layouts import draw_layout, lay_out
from torchgeo_tdpcr.datasets.synthetic.spectra import (
    Palette,
    draw_date,
    place_tints,
    render,
    take_off_air,
)
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

LEVEL_2A = [band for band in SENTINEL2_BANDS if band != 'B10']


def make(root: Path, **options: Any) -> Path:
    sizes = {'num_rois': 1, 'chips_per_roi': 2, 'chip_size': 64, 'workers': 0}
    return SyntheticOSFCR(root, progress=False, **(sizes | options)).generate()


def layer(folder: Path, name: str) -> np.ndarray:
    paths = sorted(folder.glob(f'*/{name}/*'), key=lambda path: path.name)
    arrays = []
    for path in paths:
        with rasterio.open(path) as file:
            arrays.append(file.read())
    return np.stack(arrays).astype(np.float32)


def write_map(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = labels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=height, width=width, dtype='uint8'
    ) as file:
        file.write(labels.astype(np.uint8), 1)


def test_the_air_is_taken_off_as_it_was_put_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    place = build_landscape(rng, (48, 48), BIOMES[0])
    date = draw_date(rng, northern=True)
    palette = Palette(rng, BIOMES[0])
    image = render(np.random.default_rng(0), place, palette, date)
    corrected = take_off_air(image, date.aerosol, date.vapour)
    assert not corrected[10].any()
    # The same place where there is no air; the sensor's noise is divided as well
    monkeypatch.setattr(spectra, '_PATH', (0,) * 13)
    monkeypatch.setattr(spectra, '_THROUGH', (1,) * 13)
    surface = render(np.random.default_rng(0), place, palette, date)
    for i, band in enumerate(SENTINEL2_BANDS):
        if band not in ('B9', 'B10'):
            np.testing.assert_allclose(corrected[i], surface[i], atol=25)
            assert abs(float((corrected[i] - surface[i]).mean())) < 1
    assert (image[0] - surface[0]).mean() > 400


def test_level_2a(tmp_path: Path) -> None:
    upper, surface = (make(tmp_path / level, level=level) for level in ('1C', '2A'))
    for name in 's1', 'land_cover_maps', 'cloud_detection_results', 'cloud_thickness':
        np.testing.assert_array_equal(layer(upper, name), layer(surface, name))
    for name in 's2', 's2_cloudy':
        one, other = layer(upper, name), layer(surface, name)
        assert (other[:, 10] == 1000).all()
        assert (one[:, 10] > 1000).all()
        assert np.median(one[:, 0] - other[:, 0]) > 300
        near = np.corrcoef(one[:, 7].ravel(), other[:, 7].ravel())
        assert near[0, 1] > 0.99


def test_a_model_of_level_2a_takes_twelve_bands(tmp_path: Path) -> None:
    module = OSFCRDataModule(
        tmp_path,
        synthetic=True,
        synthetic_args={
            'num_rois': 3,
            'chips_per_roi': 2,
            'chip_size': 64,
            'level': '2A',
        },
        bands=LEVEL_2A,
        split_by='roi',
        batch_size=2,
    )
    module.prepare_data()
    module.setup('fit')
    assert next(iter(module.train_dataloader()))['image'].shape[1] == 12


def test_usual_options_are_those_of_sets_that_do_not_say(tmp_path: Path) -> None:
    folder = make(tmp_path)
    manifest = folder / 'synthetic.json'
    content = json.loads(manifest.read_text())
    assert (content.pop('level'), content.pop('layouts')) == ('1C', None)
    assert content.pop('layout_share') == 1
    names = 'variety', 'soft_clouds', 'cities'
    assert [content.pop(name) for name in names] == [0, 0, 0]
    manifest.write_text(json.dumps(content))
    assert make(tmp_path) == folder
    with pytest.raises(FileExistsError, match="'level': '1C'"):
        make(tmp_path, level='2A')


def test_regions_are_laid_out_by_maps(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:100, :100]
    labels = np.where(rows < 50, TREES, np.where(cols < 50, WATER, CROPS))
    labels[40:60, 40:60] = 255
    write_map(tmp_path / 'maps' / 'a.tif', labels)
    maps = tmp_path / 'maps'
    folder = make(tmp_path / 'set', layouts=maps)
    found = layer(folder, 'land_cover_maps')
    assert set(np.unique(found).tolist()) <= {TREES, WATER, CROPS, 255}
    assert len(np.unique(found)) >= 3
    clear = layer(folder, 's2')
    infrared = clear[:, 7]
    water, trees = found[:, 0] == WATER, found[:, 0] == TREES
    assert np.median(infrared[water]) < np.median(infrared[trees]) - 500
    # Other maps make another set
    write_map(maps / 'b.tif', np.full((64, 64), GRASS))
    with pytest.raises(FileExistsError, match='layouts'):
        make(tmp_path / 'set', layouts=maps)


def test_a_part_of_the_regions_is_laid_out(tmp_path: Path) -> None:
    write_map(tmp_path / 'maps' / 'a.tif', np.full((64, 64), WATER))
    options = {'num_rois': 12, 'chips_per_roi': 1, 'layouts': tmp_path / 'maps'}
    folder = make(tmp_path / 'set', layout_share=0.5, **options)
    found = layer(folder, 'land_cover_maps')
    lakes = sum(bool((chip == WATER).all()) for chip in found)
    assert 2 <= lakes <= 10
    with pytest.raises(ValueError, match=r'`layout_share=1\.5`'):
        make(tmp_path / 'set', layout_share=1.5, **options)


def town(seed: int, variety: float, cities: float = 0.0) -> np.ndarray:
    """Mean spectrum of the built-up land of a place, without the lights of the day."""
    palette = Palette(np.random.default_rng(seed), BIOMES[0], variety, cities)
    found, _ = palette.surface(draw_date(np.random.default_rng(0), northern=True))
    return np.asarray(found[:, FIRST_ROOF:].mean(1))


def test_places_differ_by_variety() -> None:
    alike, varied = (
        np.stack([town(seed, variety) for seed in range(40)])[:, [3, 7, 11]]
        for variety in (0.0, 0.3)
    )
    for one, other in zip(alike.T, varied.T, strict=True):
        assert np.log(one).std() < 0.1
        assert 0.2 < np.log(other).std() < 0.5
        # Places differ, all of them together do not
        assert abs(np.log(other).mean() - np.log(one).mean()) < 0.15


def test_tints_are_smooth_over_the_wavelengths() -> None:
    tints = np.log(place_tints(np.random.default_rng(0), 0.3))
    assert 0.2 < tints.std() < 0.4
    # B6, B7, B8 and B8A are neighbours
    assert np.abs(np.diff(tints[:, 5:9], axis=1)).max() < 0.1
    np.testing.assert_array_equal(place_tints(np.random.default_rng(0), 0.0), 1)


def test_variety_changes_colours_only(tmp_path: Path) -> None:
    plain, varied = (
        make(tmp_path / str(variety), variety=variety) for variety in (0.0, 0.3)
    )
    for name in 's1', 'land_cover_maps', 'cloud_thickness':
        np.testing.assert_array_equal(layer(plain, name), layer(varied, name))
    assert np.abs(layer(plain, 's2') - layer(varied, 's2')).mean() > 20
    with pytest.raises(ValueError, match=r'`variety=-0\.1`'):
        make(tmp_path / 'set', variety=-0.1)


def test_soft_clouds_change_skies_only(tmp_path: Path) -> None:
    plain, some, soft = (
        make(tmp_path / str(share), soft_clouds=share) for share in (0.0, 0.5, 1.0)
    )
    for name in 's1', 's2', 'land_cover_maps':
        np.testing.assert_array_equal(layer(plain, name), layer(soft, name))
    cloudy = [layer(folder, 's2_cloudy') for folder in (plain, some, soft)]
    # Of some, each chip is as in one of the others
    for one, either, other in zip(*cloudy, strict=True):
        assert (either == one).all() or (either == other).all()
    assert (cloudy[0] != cloudy[2]).any()
    with pytest.raises(ValueError, match=r'`soft_clouds=2`'):
        make(tmp_path / 'set', soft_clouds=2)


def test_roofs_of_cities_are_bright() -> None:
    few, some, all_of_them = (
        np.mean([town(seed, 0.0, cities)[3] for seed in range(40)])
        for cities in (0.0, 0.5, 1.0)
    )
    assert 1.25 * few < all_of_them < 1.6 * few
    assert some == pytest.approx((few + all_of_them) / 2, rel=0.05)


def test_cities_are_larger(tmp_path: Path) -> None:
    options = {'num_rois': 12, 'chips_per_roi': 1, 'chip_size': 128}
    villages, towns = (
        make(tmp_path / str(cities), cities=cities, **options) for cities in (0.0, 1.0)
    )
    built = [layer(folder, 'land_cover_maps') == BUILT for folder in (villages, towns)]
    assert built[1].mean() > 1.2 * built[0].mean()
    with pytest.raises(ValueError, match=r'`cities=-1`'):
        make(tmp_path / 'set', cities=-1)


def test_what_lies_on_a_layout() -> None:
    rng = np.random.default_rng(0)
    place = build_landscape(rng, (90, 120), BIOMES[0])
    layout = np.full((90, 120), BUILT, np.uint8)
    layout[:, :40], layout[:, 100:] = CROPS, 255
    laid = lay_out(rng, place, layout, BIOMES[0])
    assert laid.label is layout
    fields, town = laid.segment[:, :40], laid.segment[:, 40:100]
    assert ((fields >= FIRST_PARCEL) & (fields < FIRST_ROOF)).all()
    assert len(np.unique(fields)) > 3
    assert set(town[town < FIRST_ROOF].tolist()) <= {ROAD, GARDEN}
    np.testing.assert_array_equal(laid.segment[:, 100:], place.segment[:, 100:])
    assert not laid.furrow[:, 40:].any()


def test_small_maps_are_continued_by_their_mirror_image(tmp_path: Path) -> None:
    write_map(tmp_path / 'a.tif', np.array([[0, 1], [2, 3]]))
    drawn = draw_layout(np.random.default_rng(0), [tmp_path / 'a.tif'], (4, 3))
    assert drawn.shape == (4, 3)
    np.testing.assert_array_equal(drawn[:2], drawn[3:1:-1])
    np.testing.assert_array_equal(drawn[:, 1], drawn[:, 2])
    assert set(np.unique(drawn[:2, :2]).tolist()) == {0, 1, 2, 3}


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`level='L2A'`: choose"):
        make(tmp_path, level='L2A')
    with pytest.raises(FileNotFoundError, match=r"`layouts='.*'` has no '\*\.tif'"):
        make(tmp_path, layouts=tmp_path)
    write_map(tmp_path / 'a.tif', np.full((64, 64), 9))
    with pytest.raises(ValueError, match=r"'.*a\.tif' has the labels \[9\]"):
        make(tmp_path / 'set', layouts=tmp_path)


def test_on_the_command_line(tmp_path: Path) -> None:
    write_map(tmp_path / 'maps' / 'a.tif', np.full((64, 64), WATER))
    arguments = ['--num-rois=1', '--chips-per-roi=1', '--chip-size=64', '--level=2A']
    maps, root = str(tmp_path / 'maps'), str(tmp_path / 'set')
    assert main(['synthesize', *arguments, '--layouts', maps, root]) == 0
    manifest = json.loads((tmp_path / 'set/LuojiaSET-OSFCR/synthetic.json').read_text())
    assert manifest['level'] == '2A'
    assert len(manifest['layouts']) == 12
    assert main(['synthesize', '--layouts', str(tmp_path / 'none'), root]) == 2
