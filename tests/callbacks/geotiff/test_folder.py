# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The folder of a scene: how far it is, and how it becomes whole."""

import json
import shutil
from pathlib import Path

import pytest

from torchgeo_tdpcr.callbacks.geotiff.folder import (
    SavedProgress,
    SceneFolder,
    write_json,
)


@pytest.fixture
def folder(tmp_path: Path) -> SceneFolder:
    folder = SceneFolder(tmp_path, 'a')
    folder.begin(0)
    return folder


def test_progress_is_kept(folder: SceneFolder) -> None:
    states = {'image': None, 'prompt': [3, [1.0], [[2.0]]]}
    folder.save(SavedProgress('f00d', 96, states))
    assert folder.saved('f00d') == SavedProgress('f00d', 96, states)
    # Made otherwise, so nothing can be gone on with
    assert folder.saved('beef') == SavedProgress('beef')


def test_what_earlier_versions_left(folder: SceneFolder) -> None:
    """Version 0.1 wrote this file; its runs must go on."""
    text = (
        '{\n  "fingerprint": "f00d",\n  "rows": 48,\n  "states": {"image": null}\n}\n'
    )
    (folder.part / 'progress.json').write_text(text)
    assert folder.part.name == '.a.part'
    assert folder.saved('f00d') == SavedProgress('f00d', 48, {'image': None})


@pytest.mark.parametrize('text', ['', '{', '[]'])
def test_progress_that_cannot_be_read(folder: SceneFolder, text: str) -> None:
    (folder.part / 'progress.json').write_text(text)
    assert folder.saved('f00d').rows == 0


def test_nothing_but_the_files_is_shown(folder: SceneFolder) -> None:
    folder.save(SavedProgress('f00d', 1))
    kept = {'a.json', 'a_image.tif', 'a_classes.tif.aux.xml'}
    left = {'image.raw', '.progress-12.json', '.a-12.json', '.progress.json.part'}
    for name in kept | left:
        (folder.part / name).touch()
    folder.show()
    assert {path.name for path in folder.whole.iterdir()} == kept
    assert not folder.part.exists()


def test_what_the_user_put_beside_a_map_stays(folder: SceneFolder) -> None:
    folder.whole.mkdir()
    item = {'assets': {'image': {'href': './a_image.tif'}}}
    write_json(folder.whole / 'a.json', item)
    for name in ('a_image.tif', 'a_image.tif.aux.xml', 'notes.txt'):
        (folder.whole / name).write_text('old')
    (folder.part / 'a.json').write_text('{}')
    folder.show()
    assert {path.name for path in folder.whole.iterdir()} == {'a.json', 'notes.txt'}
    assert [path.name for path in folder.output_dir.iterdir()] == ['a']


def test_fingerprints(folder: SceneFolder) -> None:
    assert folder.fingerprint() is None
    folder.whole.mkdir()
    assert folder.fingerprint() == ''
    write_json(folder.whole / 'a.json', {'properties': {'tdpcr:fingerprint': 'f00d'}})
    assert folder.fingerprint() == 'f00d'
    assert json.loads((folder.whole / 'a.json').read_text()) == {
        'properties': folder.properties()
    }


def test_full_disk(folder: SceneFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder.output_dir)._replace(free=10**9)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(OSError, match=r"': a needs about 2\.0 GB there, but 1\.0 GB"):
        folder.begin(2 * 10**9)
    assert not folder.part.exists()
