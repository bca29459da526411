# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter on scenes: what is written, and that nothing is lost when all fails."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from processes import fork
from rio_cogeo import cog_validate
from writer_models import (
    CALLS,
    DIE_AT,
    contents,
    make_task,
    pairs_csv,
    predict,
    read,
)

from torchgeo_tdpcr import SceneWriter
from torchgeo_tdpcr.callbacks import ScenesFailed
from torchgeo_tdpcr.callbacks.geotiff.raster import RawRaster
from torchgeo_tdpcr.datasets.synthetic.scene_dates import write_scene_dates
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair

ALL = ('image', 'classes', 'confidence', 'prompt', 'change')


def data(scene: ScenePaths, **kwargs: Any) -> dict[str, Any]:
    return {'s2': scene.s2, 's1': scene.s1, **kwargs}


def predict_all(output_dir: Path, scenes: dict[str, Any]) -> None:
    predict(output_dir, scenes, layers=ALL)


def test_identity_gives_the_input_back(tmp_path: Path, scene: ScenePaths) -> None:
    predict(tmp_path, data(scene), layers=ALL)
    folder = tmp_path / 'scene_s2'
    names = {f'scene_s2_{layer}.tif' for layer in ALL}
    assert {p.name for p in folder.iterdir()} == names | {
        'scene_s2.json',
        'scene_s2_classes.tif.aux.xml',
    }
    assert [path.name for path in tmp_path.iterdir()] == ['scene_s2']
    for name in names:
        assert cog_validate(folder / name, strict=True)[0], name

    observed = read(scene.s2)
    # Brighter than 1, or darker than 0, is beyond what a model sees
    expected = np.where(observed == 0, 0, observed.clip(1000, 11000))
    np.testing.assert_array_equal(read(folder / 'scene_s2_image.tif'), expected)
    missing = (observed == 0).all(0)
    assert 0.05 < missing.mean() < 0.3
    classes = read(folder / 'scene_s2_classes.tif')[0]
    np.testing.assert_array_equal(classes == 255, missing)
    brightness = (observed[0].clip(1000, 11000) - 1000.0) / 1000 % 3
    sure = ~missing & (np.abs(brightness % 1 - 0.5) > 1e-3) & (brightness < 2.5)
    np.testing.assert_array_equal(classes[sure], np.round(brightness)[sure])
    confidence = read(folder / 'scene_s2_confidence.tif')[0]
    np.testing.assert_array_equal(confidence == 255, missing)
    assert 33 <= confidence[~missing].min() <= confidence[~missing].max() <= 100
    change = read(folder / 'scene_s2_change.tif')[0]
    np.testing.assert_array_equal(change == 65535, missing)
    outside = np.abs(observed.astype(float) - expected).mean(0)
    assert np.abs(change - outside)[~missing].max() <= 0.5
    prompt = read(folder / 'scene_s2_prompt.tif')
    np.testing.assert_array_equal(np.isnan(prompt[0]), missing)
    # Against the principal components of all pixels at once
    flat = (observed[:4, ~missing].clip(1000, 11000) - 1000.0) / 10000
    flat -= flat.mean(1, keepdims=True)
    _, axes = np.linalg.eigh(flat @ flat.T)
    for i in range(3):
        axis = axes[:, -1 - i]
        axis *= np.sign(axis[np.abs(axis).argmax()])
        np.testing.assert_allclose(prompt[i, ~missing], axis @ flat, atol=1e-4)


def test_what_the_files_say(tmp_path: Path, scene: ScenePaths) -> None:
    predict(tmp_path, data(scene), layers=('image', 'classes'))
    folder = tmp_path / 'scene_s2'
    with (
        rasterio.open(scene.s2) as source,
        rasterio.open(folder / 'scene_s2_image.tif') as image,
        rasterio.open(folder / 'scene_s2_classes.tif') as classes,
    ):
        for file in (image, classes):
            assert file.crs == source.crs
            assert file.transform == source.transform
        assert image.descriptions == source.descriptions
        assert [c.name for c in image.colorinterp[1:4]] == ['blue', 'green', 'red']
        assert (image.nodata, classes.nodata) == (0, 255)
        assert image.offsets == (-0.1,) * 13
        assert classes.colormap(1)[0] == (65, 155, 223, 255)
    item = json.loads((folder / 'scene_s2.json').read_text())
    assert item['id'] == 'scene_s2'
    assert set(item['assets']) == {'image', 'classes'}
    for asset in item['assets'].values():
        assert (folder / asset['href']).is_file()
    properties = item['properties']
    assert properties['tdpcr:inputs'] == {'s2': str(scene.s2), 's1': str(scene.s1)}
    assert properties['tdpcr:model'] == 'identity_for_tests'
    assert properties['tdpcr:offset'] == 1000
    assert properties['proj:code'] == 'EPSG:32632'
    assert properties['datetime'].endswith('Z')
    names = [c['name'] for c in item['assets']['classes']['classification:classes']]
    assert names == ['water', 'trees', 'built']
    west, south, east, north = item['bbox']
    assert 11 < west < east < 12
    assert 48 < south < north < 49


def test_no_seam_between_windows(tmp_path: Path, scene: ScenePaths) -> None:
    predict(tmp_path, data(scene), make_task('window_mean'), layers=('image',))
    image = read(tmp_path / 'scene_s2/scene_s2_image.tif').astype(float)
    there = image > 0
    for axis in (1, 2):
        both = np.diff(there.astype(int), axis=axis) == 0
        steps = np.abs(np.diff(image, axis=axis))[both]
        # Windows differ by hundreds; the ramp spreads that over the overlap
        spread = image[there].max() - image[there].min()
        assert steps.max() < spread / 16 + 1


def test_keep_clear(tmp_path: Path, scene: ScenePaths) -> None:
    task = make_task()
    torch.nn.init.constant_(task.model.scale, 0.5)
    options = {'layers': ('image', 'change'), 'keep_clear': True, 'feather': 8}
    predict(tmp_path, data(scene, cloud_mask=scene.clouds), task, **options)
    image = read(tmp_path / 'scene_s2/scene_s2_image.tif').astype(float)
    observed, clouds = read(scene.s2).astype(float), read(scene.clouds)[0] > 0
    there = (observed > 0).all(0)
    rows, cols = np.nonzero(clouds)
    near = np.zeros_like(clouds)
    for row, col in zip(rows, cols, strict=True):
        near[max(row - 8, 0) : row + 9, max(col - 8, 0) : col + 9] = True
    assert (there & ~near).mean() > 0.02
    np.testing.assert_array_equal(image[:, there & ~near], observed[:, there & ~near])
    halved = (observed.clip(1000, 11000) - 1000) / 2 + 1000
    np.testing.assert_allclose(
        image[:, there & clouds], halved[:, there & clouds], atol=0.51
    )
    border = there & near & ~clouds
    low, high = np.minimum(halved, observed), np.maximum(halved, observed)
    assert (image >= low - 1)[:, border].all()
    assert (image <= high + 1)[:, border].all()
    change = read(tmp_path / 'scene_s2/scene_s2_change.tif')[0]
    assert not change[there & ~near].any()


def test_cloud_mask(tmp_path: Path, scene: ScenePaths) -> None:
    layers = {'layers': ['image', 'cloud_mask']}
    predict(tmp_path / 'given', data(scene, cloud_mask=scene.clouds), **layers)
    there = (read(scene.s2) > 0).all(0)
    mask = read(tmp_path / 'given/scene_s2/scene_s2_cloud_mask.tif')[0]
    np.testing.assert_array_equal(mask[there], read(scene.clouds)[0][there] > 0)
    assert (mask[~there] == 255).all()
    found = {'keep_clear': True, 'feather': 0, **layers}
    task = make_task()
    torch.nn.init.constant_(task.model.scale, 0.5)
    predict(tmp_path / 'found', data(scene, cloud_mask='auto'), task, **found)
    folder = tmp_path / 'found/scene_s2'
    mask = read(folder / 'scene_s2_cloud_mask.tif')[0]
    assert (mask[there] == 1).any()
    # What is kept is what is clear by the same mask
    same = (read(folder / 'scene_s2_image.tif') == read(scene.s2)).all(0)
    np.testing.assert_array_equal(same[there], mask[there] == 0)
    item = json.loads((folder / 'scene_s2.json').read_text())
    assert item['properties']['tdpcr:cloud_detector'].startswith('ukis-csmask')
    classes = item['assets']['cloud_mask']['classification:classes']
    assert [(c['value'], c['name']) for c in classes] == [
        (0, 'clear'),
        (1, 'cloud or shadow'),
    ]


def test_composite(tmp_path: Path, scene: ScenePaths) -> None:
    (paths,) = write_scene_dates(
        tmp_path, [9], size=(150, 204), seed=3, sar_margin=24, cover=0.3
    )
    table = tmp_path / 'pairs.csv'
    table.write_text(
        's2,s1,other_dates,cloud_mask\n'
        f'{scene.s2},{scene.s1},{paths.s2},{scene.clouds}|{paths.clouds}\n'
    )
    task = make_task()
    torch.nn.init.constant_(task.model.scale, 0.5)
    out = tmp_path / 'maps'
    layers = ['image', 'source', 'cloud_mask']
    predict(out, {'pairs': table}, task, feather=0, layers=layers)
    folder = out / 'scene_s2'
    image, observed = read(folder / 'scene_s2_image.tif'), read(scene.s2)
    source = read(folder / 'scene_s2_source.tif')[0]
    there = (observed > 0).all(0)
    clouds, others = read(scene.clouds)[0] > 0, read(paths.clouds)[0] > 0
    expected = np.where(clouds, np.where(others, 2, 1), 0)
    np.testing.assert_array_equal(source, np.where(there, expected, 255))
    np.testing.assert_array_equal(image[:, source == 0], observed[:, source == 0])
    halved = (observed.clip(1000, 11000) - 1000.0) / 2 + 1000
    np.testing.assert_allclose(image[:, source == 2], halved[:, source == 2], atol=0.51)
    # Of the other date, but as bright as this one
    clear = read(paths.s2).astype(float)
    taken = image[7, source == 1].astype(float)
    assert np.corrcoef(taken, clear[7, source == 1])[0, 1] > 0.99
    apart = clear[7, (source < 2) & ~others].mean() - observed[7, source == 0].mean()
    assert abs(taken.mean() - observed[7, source == 0].mean()) < abs(apart) + 60
    item = json.loads((folder / 'scene_s2.json').read_text())
    assert item['properties']['tdpcr:composite'] is True
    assert item['properties']['tdpcr:inputs']['s2_2'] == str(paths.s2)
    classes = item['assets']['source']['classification:classes']
    assert [c['name'] for c in classes] == ['observed', 'other date', 'restored']

    # With a border both fade, and all other settings are another map
    predict(tmp_path / 'soft', {'pairs': table}, task, layers=['image', 'source'])
    soft = read(tmp_path / 'soft/scene_s2/scene_s2_image.tif').astype(float)
    low = np.minimum(np.minimum(halved, observed), image)
    assert (soft[1] >= np.minimum(low, clear)[1] - 600)[there].all()
    assert (soft[:, there] != image[:, there]).any()


def test_keep_clear_without_a_mask(tmp_path: Path, scene: ScenePaths) -> None:
    with pytest.raises(ScenesFailed, match='has no cloud mask of its own'):
        predict(tmp_path, data(scene), keep_clear=True)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(tmp_path, data(scene))
    before = contents(tmp_path)
    predict(tmp_path, data(scene))
    assert not CALLS
    assert '0 of 1 scenes mapped' in capsys.readouterr().out
    with pytest.raises(ScenesFailed, match='with other settings'):
        predict(tmp_path, data(scene, overlap=20))
    assert not CALLS
    assert contents(tmp_path) == before
    style = tmp_path / 'scene_s2' / 'scene_s2_classes.qml'
    style.write_text('mine')
    predict(tmp_path, data(scene, overlap=20), overwrite=True, layers=['image'])
    assert CALLS
    assert style.read_text() == 'mine'
    names = {path.name for path in style.parent.iterdir()}
    assert names == {'scene_s2.json', 'scene_s2_image.tif', style.name}


def test_what_belongs_to_others_is_never_replaced(
    tmp_path: Path, scene: ScenePaths
) -> None:
    mine = tmp_path / 'scene_s2' / 'notes.txt'
    mine.parent.mkdir()
    mine.write_text('mine')
    with pytest.raises(ScenesFailed, match='holds something else than a map'):
        predict(tmp_path, data(scene), overwrite=True)
    assert mine.read_text() == 'mine'
    assert not CALLS


@pytest.mark.parametrize(('die_at', 'saved'), [(3, 0), (6, 2)])
def test_a_killed_run_goes_on(
    tmp_path: Path, scene: ScenePaths, die_at: int, saved: int
) -> None:
    arguments = tmp_path / 'maps', data(scene, batch_size=2)
    killed = fork(predict_all, *arguments, **{DIE_AT: str(die_at)})
    assert killed.returncode == -9, killed.stderr
    left = {path.name for path in (tmp_path / 'maps').iterdir()}
    assert left == {'.scene_s2.part', '.scene_s2.lock'}

    predict_all(*arguments)
    rest = len(CALLS)
    predict_all(tmp_path / 'whole', data(scene, batch_size=2))
    # Three rows of windows, two batches each: the first need not be made again
    assert (rest, len(CALLS)) == (6 - saved, 6)
    assert contents(tmp_path / 'maps') == contents(tmp_path / 'whole')
    assert [path.name for path in (tmp_path / 'maps').iterdir()] == ['scene_s2']


def test_one_bad_scene_does_not_keep_the_others(
    tmp_path: Path, scene: ScenePaths, other: ScenePaths
) -> None:
    # Opens, but ends in the middle
    broken = write_scene_pair(tmp_path / 'broken', size=150, seed=5)
    with broken.s2.open('r+b') as file:
        file.truncate(broken.s2.stat().st_size // 2)
    far = write_scene_pair(tmp_path / 'far', size=64, seed=6)
    with rasterio.open(far.s1, 'r+') as file:
        file.transform = rasterio.transform.from_origin(0, 0, 10, 10)
    table = pairs_csv(tmp_path / 'pairs.csv', scene, broken, far, other)
    with pytest.raises(ScenesFailed) as error:
        predict(tmp_path / 'maps', {'pairs': table})
    message = str(error.value)
    assert message.startswith('2 of 4 scenes could not be mapped:')
    assert f"scene1: '{broken.s2}': " in message
    assert f"scene2: '{far.s1}': does not cover any of '{far.s2}'" in message
    assert {p.name for p in (tmp_path / 'maps').iterdir()} == {'scene0', 'scene3'}
    observed = read(scene.s2)
    expected = np.where(observed == 0, 0, observed.clip(1000, 11000))
    np.testing.assert_array_equal(
        read(tmp_path / 'maps/scene0/scene0_image.tif'), expected
    )


def test_full_disk(
    tmp_path: Path, scene: ScenePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'disk_usage', lambda _: usage)
        with pytest.raises(ScenesFailed, match=r'but 0\.0 GB are free'):
            predict(tmp_path, data(scene))
    assert not list(tmp_path.iterdir())
    # Or it fills while the scene is written
    write = RawRaster.write

    def full(self: RawRaster, top: int, rows: np.ndarray) -> None:
        if top > 40:
            raise OSError(errno.ENOSPC, 'No space left on device', str(self.path))
        write(self, top, rows)

    monkeypatch.setattr(RawRaster, 'write', full)
    with pytest.raises(ScenesFailed, match='No space left on device'):
        predict(tmp_path, data(scene))
    assert not list(tmp_path.iterdir())
    # What comes after is not even tried
    assert len(CALLS) < 16


def test_folder_that_cannot_be_written(tmp_path: Path, scene: ScenePaths) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'`output_dir=.*cannot be written'):
        predict(tmp_path / 'file' / 'maps', data(scene))
    assert not CALLS


def test_scene_without_data(tmp_path: Path, scene: ScenePaths) -> None:
    empty = tmp_path / 'empty.tif'
    shutil.copy(scene.s2, empty)
    with rasterio.open(empty, 'r+') as file:
        file.write(np.zeros((13, file.height, file.width), np.uint16))
    with pytest.raises(ScenesFailed, match='holds no pixel with data'):
        predict(tmp_path / 'maps', {'s2': empty, 's1': scene.s1, 'offset': 1000})
    assert not CALLS
    assert not list((tmp_path / 'maps').iterdir())


def test_windows_without_data_are_skipped(tmp_path: Path, scene: ScenePaths) -> None:
    half = tmp_path / 'half.tif'
    shutil.copy(scene.s2, half)
    with rasterio.open(half, 'r+') as file:
        array = file.read()
        array[:, :, :120] = 0
        file.write(array)
    predict(tmp_path / 'maps', {'s2': half, 's1': scene.s1, 'batch_size': 9})
    # Columns start at 0, 48, 96 and 140; the first two hold nothing
    assert max(CALLS) == 2
    image = read(tmp_path / 'maps/half/half_image.tif')
    assert not image[:, :, :120].any()
    assert image[:, :, 120:].any()


def test_image_only(tmp_path: Path, scene: ScenePaths) -> None:
    task = make_task()
    task.model.num_classes = None
    predict(tmp_path / 'maps', data(scene), task)
    assert not list((tmp_path / 'maps/scene_s2').glob('*classes*'))
    with pytest.raises(ValueError, match=r"predicts .*reconstruction.*'classes'"):
        predict(tmp_path / 'more', data(scene), task, layers=['classes'])


def test_wrong_number_of_names(tmp_path: Path, scene: ScenePaths) -> None:
    with pytest.raises(ValueError, match='`class_names` has 2 entries, but the task'):
        predict(tmp_path, data(scene), class_names=['a', 'b'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'layers': ['images']}, "'images' is none of"),
        ({'feather': -1}, '`feather=-1`'),
        ({'name': 'a/b'}, 'must not be a path'),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneWriter('maps', **arguments)
