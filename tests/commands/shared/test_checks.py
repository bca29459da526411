# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Wrong arguments are told at once, and what is being done."""

import subprocess
import sys
from pathlib import Path

import pytest

from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.commands.shared.checks import check_output

HERE = Path(__file__)
SCENE = ['--s2', str(HERE), '--s1', str(HERE), '--checkpoint', str(HERE)]


def test_nothing_heavy_is_imported_for_what_is_missing(tmp_path: Path) -> None:
    """All commands in one interpreter, since others have imported torch before."""
    (tmp_path / 'empty').mkdir()
    missing, empty = str(tmp_path / 'missing'), str(tmp_path / 'empty')
    below = str(HERE / 'below a file')
    cases = [
        (['verify', missing], 'there is no such folder'),
        (['verify', str(HERE)], 'is a file. Give a folder'),
        (['index', missing], 'there is no such folder'),
        (['index', empty], 'the folder is empty'),
        (['synthesize', below], 'is no folder'),
        (['synthesize-scene', below], 'is no folder'),
        (['report', missing], '`SCENE_FOLDER'),
        (['report', str(HERE.parent), '--truth', missing], '`--truth'),
        (['report', str(HERE.parent), '--output', 'x.txt'], 'the endings'),
        (['report', str(HERE.parent), '--output', f'{below}/x.png'], '`--output'),
        (['figures', '--checkpoint', f'a={missing}', '--data', '.'], 'no such file'),
        (['figures', '--checkpoint', f'a={HERE}', '--data', missing], '`--data'),
        (['map', *SCENE, '--s1', missing], '`--s1'),
        (['map', *SCENE, '--checkpoint', missing], '`--checkpoint'),
        (['map', *SCENE, '--output', below], '`--output'),
        (['map', *SCENE, '--pairs', str(HERE)], 'and not both'),
        (['map', '--checkpoint', str(HERE)], 'Give `--s2` and `--s1`'),
    ]
    code = (
        'import sys\n'
        'from torchgeo_tdpcr.cli import main\n'
        f'for arguments in {[arguments for arguments, _ in cases]!r}:\n'
        '    assert main(arguments) == 2, arguments\n'
        'heavy = {"torch", "torchgeo", "rasterio", "pandas", "numpy"}\n'
        'print(sorted(heavy & set(sys.modules)))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert done.stdout == '[]\n'
    lines = done.stderr.splitlines()
    assert len(lines) == len(cases)
    for line, (arguments, message) in zip(lines, cases, strict=True):
        assert line.startswith(f'torchgeo-tdpcr {arguments[0]}: ')
        assert message in line


@pytest.mark.parametrize(
    'arguments',
    [
        ['map', *SCENE, '--batch-size', '0'],
        ['map', *SCENE, '--overlap', '-1'],
        ['map', *SCENE, '--min-sar-cover', '1.5'],
        ['map', *SCENE, '--max-days', 'nan'],
        ['verify', '.', '--num-classes', '0'],
        ['synthesize', 'x', '--chip-size', 'large'],
        ['synthesize-scene', 'x', '--cover', '2'],
    ],
)
def test_numbers_out_of_range(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match='2'):
        main(arguments)
    option = next(word for word in arguments[::-1] if word.startswith('--'))
    assert f'argument {option}: {arguments[-1]}'.replace("'", '') in (
        capsys.readouterr().err.replace("'", '')
    )


def test_places_to_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output('--output', str(tmp_path / 'new' / 'deep'))
    check_output('--output', str(tmp_path))
    check_output('--output', str(tmp_path / 'new' / 'page.html'), folder=False)
    check_output('--output', 'page.html', folder=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    check_output('--output', '~/maps')
    with pytest.raises(IsADirectoryError, match='is a folder'):
        check_output('--output', str(tmp_path), folder=False)
    monkeypatch.setattr('os.access', lambda *_: False)
    with pytest.raises(PermissionError, match='nothing may be written'):
        check_output('--output', str(tmp_path / 'new'))


def test_what_is_done_is_told_first(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'file').touch()

    def run(args: object) -> int:
        told.append(capsys.readouterr().err)
        return 0

    told: list[str] = []
    monkeypatch.setattr('torchgeo_tdpcr.commands.verify.run', run)
    assert main(['verify', str(tmp_path)]) == 0
    monkeypatch.setenv('LOCAL_RANK', '1')
    assert main(['verify', str(tmp_path)]) == 0
    assert told == [f"Verifying '{tmp_path}' …\n", '']
