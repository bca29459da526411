# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The command `torchgeo-tdpcr`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rasterio.shutil
from osfcr_files import write_chip, write_strip

from torchgeo_tdpcr import OSFCR
from torchgeo_tdpcr.cli import main, make_parser
from torchgeo_tdpcr.commands.figures import parse_checkpoints
from torchgeo_tdpcr.datasets import synthetic
from torchgeo_tdpcr.datasets.chips.index import CACHE_NAME
from torchgeo_tdpcr.datasets.chips.layout import CorruptChipError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Chips of two covers in two zones."""
    write_strip(tmp_path, 2)
    write_chip(tmp_path, '60%-80%', epsg=32633)
    return tmp_path


def test_verify(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['verify', str(root)]) == 0
    assert capsys.readouterr().out == 'No faults.\n'
    broken = root / '60%-80%' / 's1' / 'ROIs_01_s1_p1.tif'
    broken.write_bytes(b'')
    assert main(['verify', str(root)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f'{broken}: unreadable: ')
    assert last == '1 faults in 1 files (unreadable: 1)'
    assert main(['verify', '--json', str(root)]) == 1
    (fault,) = json.loads(capsys.readouterr().out)
    assert fault['path'] == str(broken)
    assert fault['effect'] == 'error'


def test_verify_takes_the_number_of_classes(root: Path) -> None:
    assert main(['verify', str(root), '--num-classes', '3']) == 1


def test_index(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['index', str(root)]) == 0
    out = capsys.readouterr().out
    assert 'LuojiaSET-OSFCR, 3 chips, 3 of them placed' in out
    assert '0-20%: 2' in out
    assert '32633: 1' in out
    assert (root / CACHE_NAME).is_file()


def test_synthesize(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []

    class Writer:
        def __init__(self, root: str, **kwargs: Any) -> None:
            calls.append((root, kwargs))

        def generate(self) -> None:
            calls.append(('generated', {}))

    monkeypatch.setattr(synthetic, 'SyntheticOSFCR', Writer)
    args = ['--num-rois', '3', '--seed', '5', '--no-progress']
    assert main(['synthesize', str(tmp_path), *args]) == 0
    assert calls == [
        (str(tmp_path), {'progress': False, 'num_rois': 3, 'seed': 5}),
        ('generated', {}),
    ]
    assert str(tmp_path) in capsys.readouterr().out


@pytest.mark.parametrize('command', ['verify', 'index'])
def test_errors_without_traceback(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / 'nowhere')]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'torchgeo-tdpcr {command}: ')
    assert 'nowhere' in error
    assert 'Traceback' not in error


def test_a_home_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('HOME', str(root.parent))
    assert main(['index', f'~/{root.name}']) == 0
    assert main(['verify', f'~/{root.name}']) == 0
    args = ['map', '--checkpoint=~/no.ckpt', '--s2=~/a', '--s1=~/b', '--output=~/maps']
    parsed = make_parser().parse_args([*args, '--pairs=~/c', '--cloud-mask=~/d'])
    home = str(root.parent)
    assert (parsed.checkpoint, parsed.s2) == (f'{home}/no.ckpt', [f'{home}/a'])
    assert (parsed.s1, parsed.output_dir) == ([f'{home}/b'], f'{home}/maps')
    assert (parsed.pairs, parsed.cloud_mask) == (f'{home}/c', f'{home}/d')
    for text, mask in (('auto', 'auto'), ('./auto', str(Path('auto').absolute()))):
        assert make_parser().parse_args(['map', '--mask', text]).cloud_mask == mask
    parsed = make_parser().parse_args(['report', '~/a', '--truth=~/b', '--output=~/c'])
    assert [parsed.scene, parsed.truth, parsed.output] == [f'{home}/{x}' for x in 'abc']
    (root.parent / 'a=b.ckpt').touch()
    assert parse_checkpoints(['A=~/a=b.ckpt']) == {'A': root.parent / 'a=b.ckpt'}


def test_a_terminal_obeys_no_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['verify', str(tmp_path / 'a\x1b[2Jb')]) == 2
    assert r'a\x1b[2Jb' in capsys.readouterr().err


def test_chips_lead_nowhere(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / '60%-80%' / 's1' / 'ROIs_01_s1_p1.tif'
    other = root / 'other.tif'
    path.rename(other)
    rasterio.shutil.copy(other, root / 'a.vrt', driver='VRT')
    (root / 'a.vrt').rename(path)
    assert main(['verify', str(root)]) == 1
    assert f'{path}: unreadable' in capsys.readouterr().out
    dataset = OSFCR(root)
    with pytest.raises(CorruptChipError, match=r"p1\.tif': cannot be read"):
        [dataset[row] for row in range(len(dataset))]


def test_usage() -> None:
    with pytest.raises(SystemExit, match='2'):
        main([])


def test_help_imports_nothing_heavy() -> None:
    code = (
        'import sys; from torchgeo_tdpcr import cli; cli.make_parser(); '
        'print(any(name in sys.modules for name in ("torch", "rasterio", "pandas")))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert done.stdout == 'False\n'
