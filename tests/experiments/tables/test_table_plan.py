# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the tables' files say, without training anything."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from tables_command import Tables, load

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.models import registry


@pytest.fixture(scope='module')
def tables() -> Iterator[Tables]:
    with load() as loaded:
        yield loaded


def files(tables: Tables) -> set[str]:
    return {path.stem for path in (tables.folder / 'runs').glob('*.yaml')}


def test_every_run_is_of_a_row_or_needed_by_one(tables: Tables) -> None:
    rows = [row for n in (1, 2, 3) for row in tables.rows.read_table(n).rows]
    names = [name for row in rows for name in row.runs]
    runs = tables.plan.with_needs(names, {})
    assert {run.name for run in runs} == files(tables)


def test_runs_come_after_what_they_need(tables: Tables) -> None:
    runs = tables.plan.with_needs(['clear-emrdm', 'peft-tdpcr', 'cr-emrdm'], {})
    assert [run.name for run in runs] == [
        'lcs-clear',
        'cr-emrdm',
        'clear-emrdm',
        'cr-tdpcr',
        'peft-tdpcr',
    ]
    assert [run.trains for run in runs] == [True, True, False, True, True]


@pytest.mark.parametrize('scale', ['tiny', 'small', 'full'])
def test_settings_are_arguments_of_the_task(tables: Tables, scale: str) -> None:
    plan = tables.plan
    for name in files(tables):
        run = plan.read_run(name)
        for data in ('osfcr', 'synthetic'):
            what = plan.read_yaml(tables.folder / 'data' / f'{data}.yaml')
            settings = plan.compose(run, plan.read_scale(scale), what, 3)
            arguments = settings['model']['init_args']
            # Without arguments of the scale, models are as they are by default
            if data == 'synthetic' and scale == 'tiny':
                with torch.device('meta'):
                    task = TDPCRTask(**arguments)
                # What a run needs is that which its training goes on from
                needed = set(run.needs)
                goes_on = arguments['training'] in ('peft', 'fpft')
                assert ('weights' in needed) == (goes_on or not run.trains)
                assert ('lcs_input' not in needed) or arguments['training'] == 'lcs'
                assert task.hparams['lr'] == settings['model']['init_args']['lr']
            assert settings['seed_everything'] == 3
            assert settings['trainer']['max_epochs'] > 0


def test_paper_figures_of_the_same_system_agree(tables: Tables) -> None:
    """The full method is in all three tables."""
    full = {
        metric: value
        for n in (1, 2, 3)
        for row in tables.rows.read_table(n).rows
        if row.run == 'peft-tdpcr'
        for metric, value in row.paper.items()
    }
    for n in (1, 2, 3):
        for row in tables.rows.read_table(n).rows:
            if row.run == 'peft-tdpcr':
                assert row.paper.items() <= full.items()
    assert full['psnr'] == 33.10
    assert full['miou'] == 61.8


def test_merging(tables: Tables) -> None:
    merged = tables.plan.merged
    assert merged({'a': {'b': 1, 'c': 2}}, {'a': {'c': 3}, 'd': 4}) == {
        'a': {'b': 1, 'c': 3},
        'd': 4,
    }
    assert merged({'a': 1}, {'a': {'b': 2}}) == {'a': {'b': 2}}


def test_own_recipe(tables: Tables) -> None:
    plan = tables.plan
    scale = plan.read_scale('tiny')
    for name, recipe in (
        ('cr-dsen2cr', 'own'),
        ('cr-emrdm', 'own'),
        ('cr-tdpcr', None),
    ):
        settings = plan.compose(plan.read_run(name), scale, {}, 0, recipe='own')
        assert settings['model']['init_args'].get('recipe') == recipe


def test_overrides_win_and_change_the_fingerprint(tables: Tables) -> None:
    plan = tables.plan
    run, scale = plan.read_run('cr-dsen2cr'), plan.read_scale('tiny')
    override = plan.parse_override('trainer.max_epochs=2')
    plain, other = (plan.compose(run, scale, {}, 0, o) for o in ((), (override,)))
    assert other['trainer']['max_epochs'] == 2
    prints = {plan.fingerprint(s, n) for s in (plain, other) for n in ((), ('x',))}
    assert len(prints) == 4


@pytest.mark.parametrize('text', ['trainer.max_epochs', 'max_epochs=2', 'model=2'])
def test_overrides_that_are_none(tables: Tables, text: str) -> None:
    with pytest.raises(ValueError, match='expected KEY=VALUE'):
        tables.plan.parse_override(text)


def test_faulty_files(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"huge\.yaml: no .*'full', 'small'"):
        tables.plan.read_scale('huge')
    path = tmp_path / 'scale.yaml'
    path.write_text('epoch: {cr: 1}')
    with pytest.raises(ValueError, match='A scale has the keys epochs, synthetic'):
        tables.plan.read_scale(str(path))
    path.write_text('epochs: {cr: 1')
    with pytest.raises(ValueError, match=r'scale\.yaml is no YAML'):
        tables.plan.read_scale(str(path))
    path.write_text('epochs: {cr: 1}')
    scale = tables.plan.read_scale(str(path))
    with pytest.raises(ValueError, match="no `epochs` of 'lcs', as lcs-sar needs"):
        tables.plan.compose(tables.plan.read_run('lcs-sar'), scale, {}, 0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['1', '--data', 'osfcr'], 'give the folder of LuojiaSET-OSFCR as --root'),
        (['1', '--seeds', '1', '1'], 'give each once'),
        (['1', '--jobs', '-1'], 'give 0 or more'),
        (['1', '--add', 'none.py'], '--add none.py: no such file'),
        (['4'], 'invalid choice'),
    ],
)
def test_faulty_arguments(
    tables: Tables,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        tables.main(arguments)
    assert message in capsys.readouterr().err


def test_a_file_that_adds_no_model(
    tables: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'nothing_in_here.py'
    path.write_text('x = 1\n')
    assert tables.main(['1', '--add', str(path), '--plan']) == 2
    assert 'it registers no model' in capsys.readouterr().err


MODEL = """
import torch
from torchgeo_tdpcr.models import register_model

@register_model({name!r})
class Model(torch.nn.Module):
    def __init__(self, {arguments}):
        super().__init__()

    def forward(self, image, image_sar):
        return {returned}
"""


@pytest.mark.parametrize(
    ('arguments', 'returned', 'message'),
    [
        (
            'in_channels',
            "{'reconstruction': image}",
            'cannot be built with the arguments',
        ),
        ('**kwargs', 'image', "It returns <class 'torch.Tensor'>"),
        ('**kwargs', "{'image': image}", "It returns <class 'dict'>"),
        ('**kwargs', "{'reconstruction': image_sar}", 'of shape (1, 2, 64, 64)'),
        ('**kwargs', 'image + image_sar', 'fails on an image of shape (1, 13, 64, 64)'),
    ],
)
def test_a_model_that_does_not_fit_in(
    tables: Tables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    returned: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is told before anything is trained."""
    monkeypatch.setattr(registry, '_MODELS', dict(registry._MODELS))
    name = f'misfit_{len(returned)}'
    path = tmp_path / f'{name}.py'
    path.write_text(MODEL.format(name=name, arguments=arguments, returned=returned))
    wanted = ['--add', str(path), '--rows', f'cr-{name}', '--plan']
    assert tables.main(['1', *wanted, '--out', str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert f'--add: the model {name!r}' in printed
    assert message in printed


def test_rows_that_are_not_there(
    tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tables.main(['1', '--rows', 'cr-tdpcr', 'TDP-CR', '--plan']) == 2
    printed = capsys.readouterr().err
    assert '--rows TDP-CR: no such rows' in printed
    assert 'cr-glfcr' in printed


def test_data_that_are_not_there(
    tables: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / 'LuojiaSET-OSFCR'
    arguments = ['1', '--data', 'osfcr', '--root', str(root), '--out', str(tmp_path)]
    assert tables.main(arguments) == 2
    assert f'--root {root}: no such folder' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert tables.main([*arguments, '--plan']) == 0


def row(tables: Tables, label: str, paper: float, run: str | None = None) -> Any:
    return tables.rows.Row(label, run or label, paper={'psnr': paper})


def test_order(tables: Tables) -> None:
    column = tables.rows.Column('psnr', 'PSNR', 1)
    rows = [
        row(tables, 'a', 3),
        row(tables, 'b', 2),
        row(tables, 'c', 1),
        row(tables, 'the same as a', 3, 'a'),
        tables.rows.Row('not in the paper', 'x'),
    ]
    table = tables.rows.Table(1, 'title', [column], rows)
    # b before a with every seed, c between them or below both
    found = [{'psnr': [5.0, 5.0]}, {'psnr': [6.0, 7.0]}, {'psnr': [5.5, 4.0]}]
    found += [{'psnr': [5.0, 5.0]}, {'psnr': [9.0, 9.0]}]
    same, reverse, undecided = tables.order.compare(table, found, column)
    assert same == [('b', 'c')]
    assert reverse == [('b', 'a')]
    assert undecided == 1
    text = tables.order.order_in_words(table, found)
    assert 'of 3 pairs of systems 1 in the order' in text
    assert 'In reverse: b over a.' in text


def test_a_missing_seed_shows(tables: Tables) -> None:
    cells = import_module('table_cells')
    column = tables.rows.Column('psnr', 'PSNR', 1)
    rows = [row(tables, 'a', 3), row(tables, 'b', 2), row(tables, 'c', 1)]
    table = tables.rows.Table(1, 'title', [column], rows)
    found = [{'psnr': [5.0, 5.2]}, {'psnr': [6.04]}, {}]
    header, lines = cells.table_cells(table, found, [{}, {}, {}])
    assert header == ['System', 'PSNR', 'paper']
    assert lines == [
        ['a', '5.1 ± 0.1', '3.0'],
        ['b', '6.0 (n = 1)', '2.0'],
        ['c', '–', '1.0'],
    ]


def test_order_where_less_is_better(tables: Tables) -> None:
    column = tables.rows.Column('psnr', 'error', 1, best='min')
    rows = [row(tables, 'a', 1), row(tables, 'b', 2)]
    table = tables.rows.Table(1, 'title', [column], rows)
    found = [{'psnr': [0.1]}, {'psnr': [0.2]}]
    assert tables.order.compare(table, found, column) == ([('a', 'b')], [], 0)
    assert tables.order.order_in_words(table, [{}, {}]) == ''
