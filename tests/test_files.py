# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from torchgeo_tdpcr import OSFCR, SceneDataModule, SyntheticOSFCR
from torchgeo_tdpcr.callbacks import SceneWriter
from torchgeo_tdpcr.commands.figures import load_task
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair
from torchgeo_tdpcr.files import expanded, replacing, write_text
from torchgeo_tdpcr.tasks.weights import load_weights


@pytest.fixture
def umask() -> Iterator[int]:
    """The permissions that new files do not have."""
    mask = os.umask(0o027)
    yield 0o027
    os.umask(mask)


def test_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', '/home/ada')
    assert expanded('~/a') == Path('/home/ada/a')
    assert expanded(Path('~/a')) == Path('/home/ada/a')
    assert expanded('./~') == Path('~')


def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / 'a.txt', 'text')
    assert stat.S_IMODE((tmp_path / 'a.txt').stat().st_mode) == 0o666 & ~umask


def test_nobody_foresees_the_name(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with replacing(tmp_path / 'a.txt') as part:
            assert part.suffix == '.txt'
            assert part.name.startswith('.a-')
            assert part.read_bytes() == b''
            names.add(part.name)
    assert len(names) == 2


def test_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / 'other'
    other.write_text('kept')
    monkeypatch.setattr('secrets.token_hex', lambda _: '0')
    (tmp_path / '.a-0.txt').symlink_to(other)
    with pytest.raises(OSError, match=r"a\.txt' could not be written: File exists"):
        write_text(tmp_path / 'a.txt', 'text')
    assert (tmp_path / '.a-0.txt').is_symlink()
    assert other.read_text() == 'kept'


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    write_text(tmp_path / 'a.txt', 'old')

    def fail() -> None:
        with replacing(tmp_path / 'a.txt') as part:
            part.write_text('half')
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


@pytest.mark.parametrize('stem', ['a' * 251, 'ä' * 125])
def test_a_name_as_long_as_names_can_be(tmp_path: Path, stem: str) -> None:
    write_text(tmp_path / f'{stem}.csv', 'text')
    assert [path.name for path in tmp_path.iterdir()] == [f'{stem}.csv']


def test_python_arguments(
    tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').symlink_to(synthetic_root)
    assert SceneWriter('~/maps').output_dir == tmp_path / 'maps'
    assert len(OSFCR('~/data', cache='~/cache')) == 25
    assert list((tmp_path / 'cache').iterdir())
    assert SyntheticOSFCR('~/made').root == tmp_path / 'made'
    paths = write_scene_pair('~/scene', size=60, sar_margin=12)
    assert paths.s2 == tmp_path / 'scene/scene_s2.tif'
    module = SceneDataModule('~/scene/scene_s2.tif', ['~/scene/scene_s1.tif'])
    module.setup('predict')
    assert module.scenes[0].inputs['s2'] == str(paths.s2)
    with pytest.raises(
        FileNotFoundError, match=rf'{tmp_path}/none.ckpt.`: there is no'
    ):
        load_weights(nn.Identity(), '~/none.ckpt')
    assert not (tmp_path / '~').exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x', r'TDPCRTask: it holds something else than weights and plain values\.$'),
        ('text', r'TDPCRTask: it is damaged, or no checkpoint\.$'),
    ],
)
def test_why_a_checkpoint_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'a.ckpt').write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_task(tmp_path / 'a.ckpt', 'cpu')
    assert 'weights_only' not in str(caught.value)
