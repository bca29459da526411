# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The page and the picture of a mapped scene."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from torchgeo_tdpcr.commands import report as command
from torchgeo_tdpcr.datasets.grids import Grid
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.figures import plot_scene, write_report
from torchgeo_tdpcr.figures.scenes.files import open_map, overview_shape, read_overview
from torchgeo_tdpcr.figures.scenes.numbers import (
    class_areas,
    largest_changes,
    pixel_hectares,
    scene_scores,
)
from torchgeo_tdpcr.metrics.functional import restoration_scores
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

HEIGHT, WIDTH = 80, 96
BANDS = tuple(SENTINEL2_BANDS)
UTM = CRS.from_epsg(32632)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close('all')


def write(
    path: Path, array: NDArray[Any], nodata: float | None, x: float = 600_000.0
) -> Path:
    array = array if array.ndim == 3 else array[None]
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=array.shape[0],
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=UTM,
        transform=from_origin(x, 5_400_000, 10, 10),
        nodata=nodata,
    ) as file:
        file.write(array)
        if array.shape[0] == len(BANDS):
            file.descriptions = BANDS
    return path


def image() -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    clear = rng.integers(1200, 4000, (len(BANDS), HEIGHT, WIDTH)).astype('uint16')
    clear[BANDS.index('B10')] = 1010
    return clear


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene with every asset; the first ten rows have no data."""
    folder = tmp_path / 'S2_one'
    folder.mkdir()
    clear = image()
    write(tmp_path / 'clear.tif', clear, 0)
    cloudy = clear.copy()
    cloudy[:, 20:60, 30:70] = 9000
    cloudy[BANDS.index('B10')] = 1010
    write(tmp_path / 'cloudy.tif', cloudy, 0)
    made = clear + np.uint16(100)
    made[:, :10] = 0
    labels = np.zeros((HEIGHT, WIDTH), 'uint8')
    labels[:, 48:] = 2
    labels[:10] = 255
    confidence = np.where(labels == 2, 80, 60).astype('uint8')
    confidence[:10] = 255
    change = np.zeros((HEIGHT, WIDTH), 'uint16')
    change[20:60, 30:70] = 5000
    change[:10] = 65535
    layers: dict[str, tuple[NDArray[Any], float]] = {
        'image': (made, 0),
        'classes': (labels, 255),
        'confidence': (confidence, 255),
        'prompt': (np.random.default_rng(1).random((3, HEIGHT, WIDTH), 'f4'), np.nan),
        'change': (change, 65535),
    }
    for key, (array, nodata) in layers.items():
        write(folder / f'S2_one_{key}.tif', array, nodata)
    assets: dict[str, Any] = {key: {'href': f'./S2_one_{key}.tif'} for key in layers}
    assets['classes']['classification:classes'] = [
        {'value': 0, 'name': 'water', 'color_hint': '1F77B4'},
        {'value': 1, 'name': 'trees', 'color_hint': '00FF00'},
        {'value': 2, 'name': '<i>built</i> $', 'color_hint': '"><b>'},
    ]
    item = {
        'type': 'Feature',
        'id': 'S2_one',
        'assets': assets,
        'properties': {
            'datetime': '2020-06-04T10:00:00Z',
            'proj:code': 'EPSG:32632',
            'tdpcr:model': '<script>alert(1)</script>',
            'tdpcr:inputs': {'s2': str(tmp_path / 'cloudy.tif'), 's1': 's1.tif'},
            'tdpcr:keep_clear': True,
            'tdpcr:offset': 1000,
            'tdpcr:bands': list(BANDS),
        },
    }
    (folder / 'S2_one.json').write_text(json.dumps(item))
    return folder


def change_item(folder: Path, **properties: Any) -> None:
    path = folder / 'S2_one.json'
    item = json.loads(path.read_text())
    item['properties'].update(properties)
    path.write_text(json.dumps(item))


class TestPage:
    def test_everything(self, scene: Path) -> None:
        path = write_report(scene)
        assert path == scene / 'report.html'
        assert [p for p in scene.iterdir() if p.name.startswith('.')] == []
        text = path.read_text(encoding='utf-8')
        for title in (
            'Before and after',
            'Land cover',
            'What the model did',
            'Where it changed most',
        ):
            assert f'<h2>{title}</h2>' in text
        assert 'Against the truth' not in text
        assert '2020-06-04T10:00:00Z' in text
        assert 'EPSG:32632' in text
        assert '<dt>Clear pixels kept</dt><dd>yes</dd>' in text
        # 70 rows of 48 pixels of 0.01 ha
        assert '<td>33.6</td><td>3,360</td><td>50.0 %</td><td>80 %</td>' in text
        assert '<td>0.0</td><td>0</td><td>0.0 %</td><td>–</td>' in text

    def test_nothing_is_loaded_and_everything_escaped(self, scene: Path) -> None:
        text = write_report(scene).read_text(encoding='utf-8')
        sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^">)]{0,22})', text)
        assert len(sources) >= 7
        assert all(source.startswith('data:image/') for source in sources)
        assert 'http:' not in text
        assert 'https:' not in text
        assert "default-src 'none'" in text
        assert '<script' not in text
        assert '&lt;script&gt;alert(1)&lt;/script&gt;' in text
        assert '&lt;i&gt;built&lt;/i&gt;' in text
        assert '"><b>' not in text

    def test_input_gone(self, scene: Path, tmp_path: Path) -> None:
        (tmp_path / 'cloudy.tif').unlink()
        text = write_report(scene).read_text(encoding='utf-8')
        assert 'cloudy.tif&#x27;: is no longer there.' in text
        assert 'slider"' not in text
        assert 'Before:' not in text

    def test_input_on_another_grid(self, scene: Path, tmp_path: Path) -> None:
        write(tmp_path / 'cloudy.tif', image(), 0, x=600_010.0)
        text = write_report(scene).read_text(encoding='utf-8')
        assert 'give it on the grid of the scene' in text

    def test_input_not_named(self, scene: Path) -> None:
        change_item(scene, **{'tdpcr:inputs': None})
        text = write_report(scene).read_text(encoding='utf-8')
        assert 'does not name its Sentinel-2 product' in text

    def test_input_beside_the_scene(self, scene: Path) -> None:
        change_item(scene, **{'tdpcr:inputs': {'s2': '../cloudy.tif'}})
        assert 'slider"' in write_report(scene).read_text(encoding='utf-8')

    def test_image_alone(self, scene: Path, tmp_path: Path) -> None:
        for key in ('classes', 'confidence', 'prompt', 'change'):
            (scene / f'S2_one_{key}.tif').unlink()
        text = write_report(scene).read_text(encoding='utf-8')
        assert '<h2>Land cover' not in text
        assert 'Degradation prompt' not in text
        # Worked out from the image and the input
        assert 'Where it changed most' in text
        (tmp_path / 'cloudy.tif').unlink()
        text = write_report(scene).read_text(encoding='utf-8')
        assert re.findall('<h2>(.*?)</h2>', text) == ['After']

    def test_truth(self, scene: Path, tmp_path: Path) -> None:
        output = tmp_path / 'new' / 'page.html'
        assert write_report(scene, output, tmp_path / 'clear.tif') == output
        text = output.read_text(encoding='utf-8')
        row = re.search(
            '<td>After, all pixels</td><td>(.*?) dB</td><td>.*?</td><td>(.*?)<', text
        )
        assert row is not None
        assert row.groups() == ('40.00', '0.0100')
        assert '<td>Before, all pixels</td>' in text
        assert 'names no cloud mask' in text
        assert '<figcaption>Truth: the clear image given</figcaption>' in text

    def test_cloudy_pixels(self, scene: Path, tmp_path: Path) -> None:
        clouds = np.zeros((HEIGHT, WIDTH), 'uint8')
        clouds[20:60, 30:70] = 1
        mask = write(tmp_path / 'clouds.tif', clouds, None)
        inputs = {'s2': str(tmp_path / 'cloudy.tif'), 'cloud_mask': str(mask)}
        change_item(scene, **{'tdpcr:inputs': inputs})
        text = write_report(scene, truth=tmp_path / 'clear.tif').read_text('utf-8')
        assert f'Cloud or shadow by {mask}' in text
        found = dict(re.findall(r'<td>(\w+, \w+) pixels</td><td>([\d.]+) dB', text))
        assert list(found) == [
            'Before, all',
            'After, all',
            'Before, cloudy',
            'After, cloudy',
        ]
        assert found['After, cloudy'] == found['After, all'] == '40.00'
        images = [
            (image()[:, 20:60, 30:70].astype(float) - 1000) / 10_000,
            np.full((len(BANDS), 40, 40), 0.8),
        ]
        images[1][BANDS.index('B10')] = images[0][BANDS.index('B10')]
        mse = np.mean((images[0] - images[1]) ** 2)
        assert float(found['Before, cloudy']) == pytest.approx(
            -10 * np.log10(mse), abs=0.01
        )

    def test_true_land_cover(self, scene: Path, tmp_path: Path) -> None:
        labels = np.zeros((HEIGHT, WIDTH), 'uint8')
        labels[:, 60:] = 2
        labels[-10:] = 255
        truth = write(tmp_path / 'labels.tif', labels, None)
        text = write_report(scene, truth_land_cover=truth).read_text('utf-8')
        # Columns 48 to 59 are wrong, of 96; rows without data or truth do not count
        wrong, right_0, right_2 = 12 / WIDTH, 48 / WIDTH, (WIDTH - 60) / WIDTH
        iou = [right_0 / (right_0 + wrong), right_2 / (right_2 + wrong)]
        pa, miou = 100 * (1 - wrong), 100 * sum(iou) / 2
        assert f'<td>Mapped</td><td>{pa:.1f} %</td><td>{miou:.1f} %</td>' in text
        share = 100 * 60 / WIDTH
        commonest = f'<td>{share:.1f} %</td><td>{share / 2:.1f} %</td>'
        assert f'<td>Commonest class everywhere</td>{commonest}' in text
        assert '<figcaption>Land cover, truth</figcaption>' in text
        figure = plot_scene(scene, truth_land_cover=truth)
        titles = [axis.get_title() for axis in figure.axes]
        assert (
            titles.index('Land cover, truth') == titles.index('Land cover, mapped') + 1
        )

    @pytest.mark.parametrize(
        ('fault', 'message'),
        [
            ('elsewhere', r"labels\.tif': has 96×80 pixels"),
            ('float', r"labels\.tif': has 1 bands of float32"),
            ('no map', 'has no land cover to compare'),
        ],
    )
    def test_true_land_cover_that_does_not_fit(
        self, scene: Path, tmp_path: Path, fault: str, message: str
    ) -> None:
        labels = np.zeros((HEIGHT, WIDTH), 'float32' if fault == 'float' else 'uint8')
        x = 0.0 if fault == 'elsewhere' else 600_000.0
        truth = write(tmp_path / 'labels.tif', labels, None, x)
        if fault == 'no map':
            (scene / 'S2_one_classes.tif').unlink()
        with pytest.raises(SceneError, match=message):
            write_report(scene, truth_land_cover=truth)

    def test_truth_elsewhere(self, scene: Path, tmp_path: Path) -> None:
        truth = write(tmp_path / 'other.tif', image(), 0, x=0.0)
        with pytest.raises(SceneError, match=r"other\.tif': has 96×80 pixels"):
            write_report(scene, truth=truth)


class TestFolder:
    def test_no_item(self, tmp_path: Path) -> None:
        (tmp_path / 'other.json').write_text('[]')
        with pytest.raises(SceneError, match='holds no STAC item'):
            open_map(tmp_path)

    def test_item_is_not_json(self, scene: Path) -> None:
        (scene / 'S2_one.json').write_text('{')
        with pytest.raises(SceneError, match=r"S2_one\.json': is not JSON"):
            open_map(scene)

    @pytest.mark.parametrize(
        'text',
        [
            '[' * 100_000,
            '{"type": "Feature", "properties": [1]}',
            '{"type": "Feature", "properties": {"tdpcr:inputs": 5}}',
            '{"type": "Feature", "assets": {"image": 5}}',
        ],
    )
    def test_item_is_of_something_else(self, scene: Path, text: str) -> None:
        path = scene / f'{scene.name}.json'
        path.write_text(text)
        with pytest.raises(SceneError, match=rf"{path.name}': is (not JSON|no STAC)"):
            write_report(scene)

    @pytest.mark.parametrize('inputs', [{'s2': [5]}, {'s2': {'a': 1}}])
    def test_input_is_no_path(self, scene: Path, inputs: dict[str, Any]) -> None:
        change_item(scene, **{'tdpcr:inputs': inputs})
        text = write_report(scene).read_text()
        assert 'names a Sentinel-2 product that is no path' in text

    def test_folder_renamed(self, scene: Path) -> None:
        assert open_map(scene.rename(scene.with_name('moved'))).name == 'S2_one'

    def test_no_image(self, scene: Path) -> None:
        (scene / 'S2_one_image.tif').unlink()
        with pytest.raises(SceneError, match=r'asset `image`.*does not exist'):
            open_map(scene)

    def test_no_red(self, scene: Path) -> None:
        change_item(scene, **{'tdpcr:bands': ['B2', 'B3', 'B8']})
        with pytest.raises(SceneError, match='has no band B4'):
            open_map(scene)

    def test_broken_asset(self, scene: Path) -> None:
        (scene / 'S2_one_change.tif').write_bytes(b'no raster')
        with pytest.raises(SceneError, match=r"change\.tif': cannot be read"):
            write_report(scene)


def test_overview(scene: Path) -> None:
    grid = open_map(scene).grid
    assert overview_shape(grid, 48) == (40, 48)
    assert overview_shape(grid, 5000) == (HEIGHT, WIDTH)
    change = read_overview(scene / 'S2_one_change.tif', [1], (40, 48))[0]
    assert np.isnan(change[:5]).all()
    assert change[20, 20] == 5000
    with pytest.raises(SceneError, match='has 1 bands, not 3'):
        read_overview(scene / 'S2_one_change.tif', [3], (4, 4))


def test_areas_do_not_depend_on_blocks(scene: Path) -> None:
    opened = open_map(scene)
    assert class_areas(opened, 32) == class_areas(opened)
    (scene / 'S2_one_confidence.tif').unlink()
    assert {area.confidence for area in class_areas(open_map(scene))} == {None}


def test_confidence_of_another_size(scene: Path) -> None:
    write(scene / 'S2_one_confidence.tif', np.zeros((4, 4), 'uint8'), 255)
    with pytest.raises(SceneError, match='map the scene again'):
        class_areas(open_map(scene))


def test_no_area_in_degrees() -> None:
    degrees = Grid(CRS.from_epsg(4326), from_origin(0, 0, 1e-4, 1e-4), 9, 9)
    assert pixel_hectares(degrees) is None
    feet = Grid(CRS.from_epsg(2263), from_origin(0, 0, 100, 100), 9, 9)
    assert pixel_hectares(feet) == pytest.approx(0.0929, rel=1e-3)


def test_scores_of_windows_are_those_of_the_whole(scene: Path, tmp_path: Path) -> None:
    opened = open_map(scene)
    truth = OpticalReader(find_optical(tmp_path / 'clear.tif'), BANDS)
    cloudy = OpticalReader(find_optical(tmp_path / 'cloudy.tif'), BANDS)
    parts = scene_scores(opened, truth, cloudy, size=33)
    images = [
        torch.from_numpy((r.read(opened.grid.all)[0] / 1e4 - 0.1).clip(0, 1)).float()
        for r in (cloudy, truth)
    ]
    whole = restoration_scores(images[0][None], images[1][None])
    assert parts == pytest.approx({k: float(v) for k, v in whole.items()}, rel=1e-4)


def test_pixels_without_data_do_not_count(scene: Path, tmp_path: Path) -> None:
    truth = OpticalReader(find_optical(tmp_path / 'clear.tif'), BANDS)
    scores = scene_scores(open_map(scene), truth, size=40)
    assert scores['mae'] == pytest.approx(0.01, rel=1e-4)
    nothing = np.zeros((len(BANDS), HEIGHT, WIDTH), 'uint16')
    write(scene / 'S2_one_image.tif', nothing, 0)
    assert scene_scores(open_map(scene), truth) == {}


class TestChanges:
    grid = Grid(UTM, from_origin(0, 0, 10, 10), 4000, 2000)

    def test_largest_first_and_apart(self) -> None:
        change = np.full((100, 200), np.nan, np.float32)
        change[10:60, 20:60] = 1
        change[70:80, 150:160] = 50
        found = largest_changes(change, self.grid)
        assert len(found) == 3
        left, top, right, bottom = found[0]
        assert left <= 3000
        assert right >= 3200
        assert top <= 1400
        assert bottom >= 1600
        for window in found:
            assert (window.right - window.left, window.bottom - window.top) == (
                384,
                384,
            )
            assert window.left >= 0
            assert window.bottom <= 2000
        for i, one in enumerate(found):
            for other in found[:i]:
                apart = max(abs(one.left - other.left), abs(one.top - other.top))
                assert apart >= 384

    def test_no_change(self) -> None:
        assert largest_changes(np.zeros((50, 100), np.float32), self.grid) == []

    def test_small_scene(self) -> None:
        grid = self.grid._replace(width=100, height=50)
        found = largest_changes(np.ones((50, 100), np.float32), grid)
        assert [tuple(window) for window in found] == [(0, 0, 100, 50)]


class TestPicture:
    def test_panels(self, scene: Path, tmp_path: Path) -> None:
        figure = plot_scene(scene, tmp_path / 'clear.tif', size=40)
        assert [ax.get_title() for ax in figure.axes] == [
            'Before: Sentinel-2 as it was',
            'After: clouds removed',
            'Truth: the clear image given',
            'Land cover, mapped',
            'Change (0 to 5000)',
        ]
        shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
        assert {picture.shape for picture in shown} == {(33, 40, 3)}
        assert shown[0][16, 20].min() == 1  # cloud
        assert shown[1][16, 20].max() < 1
        assert np.allclose(shown[1][0], 0.85)  # no data
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts == ['water', '<i>built</i> $']

    def test_after_alone(self, scene: Path, tmp_path: Path) -> None:
        for key in ('classes', 'change'):
            (scene / f'S2_one_{key}.tif').unlink()
        (tmp_path / 'cloudy.tif').unlink()
        assert [ax.get_title() for ax in plot_scene(scene).axes] == [
            'After: clouds removed'
        ]


class TestCommand:
    def run(self, *args: str) -> int:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        parsed = parser.parse_args(args)
        command.check(parsed)
        return command.run(parsed)

    def test_page_and_picture(
        self, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(str(scene)) == 0
        assert (scene / 'report.html').is_file()
        assert capsys.readouterr().out == f'Wrote {scene / "report.html"}\n'
        picture = tmp_path / 'x.PNG'
        assert self.run(str(scene), '--output', str(picture)) == 0
        assert picture.read_bytes()[1:4] == b'PNG'
        assert not plt.get_fignums()

    def test_truth(self, scene: Path, tmp_path: Path) -> None:
        labels = write(tmp_path / 'labels.tif', np.zeros((HEIGHT, WIDTH), 'u1'), None)
        truth = '--truth', str(tmp_path / 'clear.tif')
        truth += '--truth-land-cover', str(labels)
        assert self.run(str(scene), *truth) == 0
        text = (scene / 'report.html').read_text('utf-8')
        assert '<h2>Against the truth</h2>' in text
        assert '<figcaption>Land cover, truth</figcaption>' in text
        picture = tmp_path / 'x.png'
        assert self.run(str(scene), *truth, '--output', str(picture)) == 0
        with pytest.raises(FileNotFoundError, match='--truth-land-cover'):
            self.run(str(scene), '--truth-land-cover', 'nowhere.tif')

    def test_other_ending(self, scene: Path) -> None:
        with pytest.raises(ValueError, match=r'`--output x\.txt`: give it one of'):
            self.run(str(scene), '--output', 'x.txt')
