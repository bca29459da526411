# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The commands that pages, docstrings and messages name are there."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / 'README.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted((ROOT / 'experiments').rglob('*.py')),
    *sorted((ROOT / 'torchgeo_tdpcr').rglob('*.py')),
]
TEXTS = {path: path.read_text(encoding='utf-8') for path in FILES}
NAMED = {
    name
    for text in TEXTS.values()
    for name in re.findall(r'python -m (experiments(?:\.[a-z_\d]+)+)', text)
}
#: What the tables' own command starts.
NO_PARSER = {'experiments.tables.collect', 'experiments.tables.with_models'}


def test_all_are_found() -> None:
    folders = {
        '.'.join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / 'experiments').rglob('__main__.py')
    }
    assert len(folders) >= 4
    assert folders < NAMED


@pytest.mark.parametrize('name', sorted(NAMED - NO_PARSER))
def test_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = find_spec(name)
    assert spec is not None
    module = import_module(
        f'{name}.__main__' if spec.submodule_search_locations else name
    )
    with pytest.raises(SystemExit) as ended:
        module.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f'usage: python -m {name} ')
    assert re.findall(r':\w+:`|``', text) == []
    assert f'    python -m {name}' in (module.__doc__ or '')


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('experiments.real', ['--samples', '/none', '--checkpoint', '/none']),
        ('experiments.tables', ['1', '--data', 'osfcr', '--root', '/none']),
    ],
)
def test_wrong_paths_are_told_at_once(name: str, arguments: list[str]) -> None:
    code = (
        'import sys\n'
        f'from {name}.__main__ import main\n'
        f'try: status = main({arguments!r})\n'
        'except SystemExit as ended: status = ended.code\n'
        'print(status, "torch" in sys.modules)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert done.stdout == '2 False\n'
    assert '/none`: ' in done.stderr
    assert 'no such folder' in done.stderr


def test_files_that_are_named_are_there() -> None:
    named = {
        name
        for text in TEXTS.values()
        for name in re.findall(r'experiments/[\w/-]+\.\w+', text)
    }
    assert len(named) >= 4
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_no_command_is_a_script() -> None:
    assert not [path for path, text in TEXTS.items() if 'python experiments/' in text]
