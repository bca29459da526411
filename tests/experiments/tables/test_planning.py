# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the tables' files say, without training anything."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.cli import LightningCLI
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from experiments.tables import order, plan, table_cells
from experiments.tables.__main__ import main
from experiments.tables.jobs import Job
from experiments.tables.options import Options
from experiments.tables.planning import make_plan
from experiments.tables.rows import Column, Row, Table, read_table
from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.models import count_costs, registry

FILES = {path.stem for path in (plan.HERE / 'runs').glob('*.yaml')}


def test_every_run_is_of_a_row_or_needed_by_one() -> None:
    rows = [row for n in (1, 2, 3) for row in read_table(n).rows]
    names = [name for row in rows for name in row.runs]
    runs = plan.with_needs(names, {})
    assert {run.name for run in runs} == FILES


def test_runs_come_after_what_they_need() -> None:
    runs = plan.with_needs(['clear-emrdm', 'peft-tdpcr', 'cr-emrdm'], {})
    assert [run.name for run in runs] == [
        'lcs-clear',
        'cr-emrdm',
        'clear-emrdm',
        'cr-tdpcr',
        'peft-tdpcr',
    ]
    assert [run.trains for run in runs] == [True, True, False, True, True]


class Parsing(LightningCLI):
    """The torchgeo command, which parses and does nothing."""

    def instantiate_classes(self) -> None:
        pass


def parsed(job: Job) -> Any:
    """The configuration of a job, as the torchgeo command merges and checks it."""
    cli = Parsing(
        BaseTask,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=job.arguments(),
    )
    return cli.config.as_dict()


def planned(*tables: int, **options: Any) -> dict[str, Job]:
    # Not the folder that the command would take, where a user's runs may lie
    options = {'out': 'no-runs'} | options
    jobs = make_plan(Options(tables=tables or (1, 2, 3), **options)).jobs
    return {name: job for (name, _), job in jobs.items()}


@pytest.mark.filterwarnings('ignore:LightningCLI')
def test_settings_are_arguments_of_the_task() -> None:
    jobs = planned(seeds=(3,))
    assert set(jobs) == FILES
    for name, job in jobs.items():
        settings = parsed(job)
        arguments = settings['model']['init_args']
        needed = set(job.run.needs)
        for what, other in job.needs.items():
            assert arguments[what] == str(other.checkpoint)
        # What a run needs is that which its training goes on from
        goes_on = arguments['training'] in ('peft', 'fpft')
        assert ('weights' in needed) == (goes_on or not job.run.trains)
        assert ('lcs_input' not in needed) or arguments['training'] == 'lcs'
        # Small batches take small steps
        often = job.run.name.endswith('-often')
        assert arguments['lr'] == (0.001 if often else 0.002), name
        assert arguments['scheduler'] == 'cosine'
        assert settings['seed_everything'] == 3
        assert settings['trainer']['max_epochs'] == job.epochs > 0
        assert settings['trainer']['limit_val_batches'] == 0
        assert settings['data']['init_args']['split_by'] == 'roi'
        with torch.device('meta'):
            TDPCRTask(**{k: v for k, v in arguments.items() if k not in needed})


@pytest.mark.parametrize('scale', ['small', 'full'])
@pytest.mark.filterwarnings('ignore:LightningCLI')
def test_settings_of_real_data(scale: str) -> None:
    jobs = planned(data='osfcr', root='data', scale=scale)
    assert set(jobs) == FILES
    settings = parsed(jobs['peft-tdpcr-blind'])
    arguments = settings['model']['init_args']
    assert arguments['model_kwargs'] == {'prompt': 'blind'}
    assert arguments['labels'] is None
    assert arguments['lr'] == (0.0005 if scale == 'small' else 0.002)
    assert arguments['scheduler'] == ('cosine' if scale == 'small' else 'multistep')
    assert settings['trainer']['precision'] == 'bf16-mixed'
    assert settings['trainer']['max_epochs'] == jobs['peft-tdpcr-blind'].epochs
    assert settings['data']['init_args']['paths'] == 'data'
    assert settings['data']['init_args']['split_by'] == 'published'


def test_models_of_the_cpu_scale_cost_about_the_same() -> None:
    """Within a factor of 1.5 of one number; the diffusions for one of their steps."""
    costs, kinds = {}, plan.read_scale('cpu').model_kwargs
    for name, kwargs in kinds.items():
        classes = 7 if name in ('cloudseg', 'segcr', 'segformer') else None
        calls = {'emrdm': 5, 'diffcr': kwargs.get('steps', 0) + 1}.get(name, 1)
        costs[name] = count_costs(name, classes, **kwargs).multiply_adds / calls
    middle = 5.4e9
    assert {n for n, c in costs.items() if not middle / 1.5 < c < middle * 1.5} == set()
    used = {plan.read_run(run).task['model'] for run in FILES}
    assert used == set(costs)


@pytest.mark.parametrize('scale', ['tiny', 'cpu'])
def test_13_bands_fit_through_the_first_stage(scale: str) -> None:
    for name, kwargs in plan.read_scale(scale).model_kwargs.items():
        widths = [kwargs.get(key) for key in ('channels', 'dim', 'width')]
        widths.append(kwargs.get('dims', [None])[0])
        # The Mix Transformers have 32 channels there
        assert all(width >= 16 for width in widths if width), name
        assert any(widths) or kwargs['encoder'].startswith('mit_b'), name


@pytest.mark.filterwarnings('ignore:LightningCLI')
def test_arguments_of_a_model_are_those_of_the_scale_and_its_own() -> None:
    job = planned(3, rows=('peft-tdpcr-blind',))['peft-tdpcr-blind']
    expected = {'dims': [16, 16, 32, 64], 'depths': [1, 1, 1, 1], 'prompt': 'blind'}
    assert job.model_kwargs == expected
    assert parsed(job)['model']['init_args']['model_kwargs'] == expected


def test_paper_figures_of_the_same_system_agree() -> None:
    """The full method is in all three tables."""
    full = {
        metric: value
        for n in (1, 2, 3)
        for row in read_table(n).rows
        if row.run == 'peft-tdpcr'
        for metric, value in row.paper.items()
    }
    for n in (1, 2, 3):
        for row in read_table(n).rows:
            if row.run == 'peft-tdpcr':
                assert row.paper.items() <= full.items()
    assert full['psnr'] == 33.10
    assert full['miou'] == 61.8


@pytest.mark.filterwarnings('ignore:LightningCLI')
def test_own_recipe() -> None:
    jobs = planned(1, recipe='own')
    for name, recipe in (
        ('cr-dsen2cr', 'own'),
        ('cr-emrdm', 'own'),
        ('cr-tdpcr', 'common'),
    ):
        assert parsed(jobs[name])['model']['init_args']['recipe'] == recipe


@pytest.mark.filterwarnings('ignore:LightningCLI')
def test_overrides_win_and_change_the_fingerprint() -> None:
    rows = {'rows': ('cr-dsen2cr',)}
    override = 'trainer.max_epochs=2', 'model.init_args.lr=0.5'
    plain = planned(1, **rows)['cr-dsen2cr']
    other = planned(1, **rows, set=override)['cr-dsen2cr']
    assert other.epochs == 2
    assert other.fitted.name == 'epoch=1.ckpt'
    settings = parsed(other)
    assert settings['trainer']['max_epochs'] == 2
    assert settings['model']['init_args']['lr'] == 0.5
    assert plain.fingerprint != other.fingerprint
    # Where the data lie is no part of what a run is
    moved = planned(1, **rows, root='elsewhere')['cr-dsen2cr']
    assert moved.fingerprint == plain.fingerprint


def test_what_a_run_builds_on_is_part_of_its_fingerprint() -> None:
    first, second = (
        plan.fingerprint([{}], (), needed) for needed in (['weights:a'], ['weights:b'])
    )
    assert first != second


@pytest.mark.parametrize('text', ['trainer.max_epochs', 'max_epochs=2', 'model=2'])
def test_overrides_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match='expected KEY=VALUE'):
        plan.check_override(text)


def test_faulty_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"huge\.yaml': no .*'full', 'small'"):
        plan.read_scale('huge')
    path = tmp_path / 'scale.yaml'
    path.write_text('epoch: {cr: 1}')
    with pytest.raises(ValueError, match='A scale has the keys `epochs`, `synthetic`'):
        plan.read_scale(str(path))
    path.write_text('epochs: {cr: 1')
    with pytest.raises(ValueError, match=r"scale\.yaml' is no YAML"):
        plan.read_scale(str(path))
    path.write_text('epochs: {cr: 1}')
    scale = plan.read_scale(str(path))
    with pytest.raises(ValueError, match="no `epochs` of 'lcs', as lcs-sar needs"):
        plan.compose(plan.read_run('lcs-sar'), scale, 'osfcr', 0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['1', '--data', 'osfcr'], 'give the folder of LuojiaSET-OSFCR as --root'),
        (['1', '--seeds', '1', '1'], 'give each once'),
        (['1', '--jobs', '0'], 'give 1 or more'),
        (['1', '--add', 'none.py'], '--add none.py: no such file'),
        (['4'], 'invalid choice'),
    ],
)
def test_faulty_arguments(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_file_that_adds_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'nothing_in_here.py'
    path.write_text('x = 1\n')
    assert main(['1', '--add', str(path), '--plan']) == 2
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
    assert main(['1', *wanted, '--out', str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert f'--add: the model {name!r}' in printed
    assert message in printed


def test_rows_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['1', '--rows', 'cr-tdpcr', 'TDP-CR', '--plan']) == 2
    printed = capsys.readouterr().err
    assert '`--rows TDP-CR`: no such rows' in printed
    assert 'cr-glfcr' in printed


def test_some_rows_keep_what_they_are_compared_with() -> None:
    """By a run of theirs, so that nothing else is trained for it."""
    options = Options(tables=(1, 2), rows=('cr-glfcr', 'lcs-sar'))
    plan_ = make_plan(options)
    rows = {
        number: [(row.label, row.run, row.prefix + row.suffix) for row in table.rows]
        for number, table in plan_.tables.items()
    }
    assert rows[1] == [
        ('Cloudy input', 'cr-glfcr', 'input_'),
        ('GLF-CR', 'cr-glfcr', ''),
    ]
    assert rows[2][0] == (
        'Commonest class',
        'lcs-sar',
        '_majority',
    )
    assert {name for name, _ in plan_.jobs} == {'cr-glfcr', 'lcs-sar'}


def test_data_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / 'LuojiaSET-OSFCR'
    arguments = ['1', '--data', 'osfcr', '--root', str(root), '--out', str(tmp_path)]
    assert main(arguments) == 2
    assert f'`--root {root}`: no such folder' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*arguments, '--plan']) == 0


def row(label: str, paper: float, run: str | None = None) -> Any:
    return Row(label, run or label, paper={'psnr': paper})


def test_order() -> None:
    column = Column('psnr', 'PSNR', 1)
    rows = [
        row('a', 3),
        row('b', 2),
        row('c', 1),
        row('the same as a', 3, 'a'),
        Row('not in the paper', 'x'),
    ]
    table = Table(1, 'title', [column], rows)
    # b before a with every seed, c between them or below both
    found = [{'psnr': [5.0, 5.0]}, {'psnr': [6.0, 7.0]}, {'psnr': [5.5, 4.0]}]
    found += [{'psnr': [5.0, 5.0]}, {'psnr': [9.0, 9.0]}]
    same, reverse, undecided = order.compare(table, found, column)
    assert same == [('b', 'c')]
    assert reverse == [('b', 'a')]
    assert undecided == 1
    text = order.order_in_words(table, found)
    assert 'of 3 pairs of systems 1 in the order' in text
    assert 'In reverse: b over a.' in text


def test_a_missing_seed_shows() -> None:
    column = Column('psnr', 'PSNR', 1)
    rows = [row('a', 3), row('b', 2), row('c', 1)]
    table = Table(1, 'title', [column], rows)
    found = [{'psnr': [5.0, 5.2]}, {'psnr': [6.04]}, {}]
    header, lines = table_cells.table_cells(table, found, [{}, {}, {}], 2)
    assert header == ['System', 'PSNR', 'paper']
    assert lines == [
        ['a', '5.1 ± 0.1', '3.0'],
        ['b', '6.0 (n = 1)', '2.0'],
        ['c', '–', '1.0'],
    ]
    # Also where no row has all
    _, (_, line, _) = table_cells.table_cells(table, [{}, found[1], {}], [{}] * 3, 2)
    assert line == ['b', '6.0 (n = 1)', '2.0']


def test_order_where_less_is_better() -> None:
    column = Column('psnr', 'error', 1, best='min')
    rows = [row('a', 1), row('b', 2)]
    table = Table(1, 'title', [column], rows)
    found = [{'psnr': [0.1]}, {'psnr': [0.2]}]
    assert order.compare(table, found, column) == ([('a', 'b')], [], 0)
    assert order.order_in_words(table, [{}, {}]) == ''


def test_a_reference_is_told_by_its_own_run_or_by_any(tmp_path: Path) -> None:
    """Any run can tell of the commonest class, none but its own what it has learnt."""

    def references(*rows: str) -> dict[str, str]:
        options = Options((2,), out=str(tmp_path), rows=rows)
        (table,) = make_plan(options).tables.values()
        return {row.label: row.run for row in table.rows if row.reference}

    assert references('joint-cloudseg') == {'Commonest class': 'joint-cloudseg'}
    both = {'Commonest class': 'lcs-clear', 'Clear': 'lcs-clear'}
    assert references('lcs-clear', 'joint-cloudseg') == both


KEPT = Path(__file__).parents[3] / 'docs' / 'results'


def test_the_documentation_shows_what_the_kept_results_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tables are those of its own command, which neither trains nor needs Snakemake."""
    page = (KEPT.parent / 'explanation' / 'tables.md').read_text()
    written = page.split('```sh\npython -m experiments.tables ')[1].split('\n```')[0]
    command = shlex.split(written.replace('\\\n', ' '))
    assert '--done' in command
    assert (KEPT.parents[1] / command[command.index('--out') + 1]) == KEPT / 'runs'
    monkeypatch.chdir(KEPT.parents[1])
    monkeypatch.setattr('experiments.tables.__main__.find_spec', lambda name: None)
    assert main([*command, '--results', str(tmp_path)]) == 0
    capsys.readouterr()
    made = sorted(tmp_path.glob('*.md'))
    assert len(made) == 3
    for path in made:
        assert path.read_text() == (KEPT / path.name).read_text()


def test_tables_of_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ['1', '--done', '--rows', 'cr-tdpcr', '--out', str(tmp_path)]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert str(tmp_path) in told
    assert '`docs/results/runs`' in told
    assert not list(tmp_path.glob('**/*.md'))
