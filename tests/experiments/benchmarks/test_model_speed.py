# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import json
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks import bench_models as bench
from experiments.benchmarks import model_case
from experiments.benchmarks.model_case import Case

NAMES = ['tdpcr', 'tdpcr_small']
#: More chips than any address space has room for.
FAR_TOO_MANY = 10**12


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Cases that are measured from here on, of which each takes two seconds."""
    seen: list[Any] = []

    def measure(case: Any, deadline: float) -> dict[str, Any]:
        seen.append(case)
        return {'seconds': 2.0, 'passes': 3, 'level': 2**20, 'peak': 2**22}

    monkeypatch.setattr(bench, 'measure_apart', measure)
    # Whatever the machine has
    monkeypatch.setattr(bench, 'computed', lambda device: ['fp32', 'bf16'])
    return seen


def command(out: Path, *more: str) -> list[str]:
    return ['--quick', '--device', 'cpu', '--out', str(out), '--models', *NAMES, *more]


def killed(case: Any, sender: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def slow(case: Any, sender: Connection) -> None:
    time.sleep(60)


def test_measures_in_children(tmp_path: Path) -> None:
    out = tmp_path / 'speed.md'
    bench.main(command(out))
    results = json.loads(out.with_suffix('.json').read_text())
    cases = {(c['model'], c['dtype'], c['batch']): c for c in results['cases']}
    count = 4 * len(bench.computed('cpu'))
    assert len(cases) == len(results['cases']) == count
    for (_, _, batch), found in cases.items():
        assert found['passes'] >= 1
        assert found['chips_per_s'] == pytest.approx(batch / found['seconds'])
    assert results['costs']['tdpcr']['parameters'] == 5953916
    text = out.read_text()
    assert 'A trial run' in text
    assert text.count('| `tdpcr_small` | 1.077 | 5.8 |') == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'speed.json',
        'speed.md',
    ]


def test_goes_on(counted: list[Any], tmp_path: Path) -> None:
    out = tmp_path / 'speed.md'
    bench.main(command(out))
    # The model that the ratios are taken to is measured first
    assert [c.model for c in counted] == ['tdpcr'] * 4 + ['tdpcr_small'] * 4
    path = out.with_suffix('.json')
    results = json.loads(path.read_text())
    lost = results['cases'].pop(5)
    results['cases'][0]['seconds'] = 7.0
    path.write_text(json.dumps(results))

    counted.clear()
    bench.main(command(out))
    assert [c[:3] for c in counted] == [(lost['model'], lost['dtype'], lost['batch'])]
    again = json.loads(path.read_text())
    assert again['cases'] == [*results['cases'], lost]

    counted.clear()
    bench.main([*command(out)[:-2], 'tdpcr_small', '--again'])
    assert [c.model for c in counted] == ['tdpcr_small'] * 4
    assert json.loads(path.read_text())['cases'][0]['seconds'] == 7.0


def test_stopped_run_leaves_what_it_has(
    counted: list[Any], tmp_path: Path, monkeypatch: Any
) -> None:
    measure = bench.measure_apart

    def stop(case: Any, deadline: float) -> dict[str, Any]:
        if len(counted) == 3:
            raise KeyboardInterrupt
        found: dict[str, Any] = measure(case, deadline)
        return found

    monkeypatch.setattr(bench, 'measure_apart', stop)
    out = tmp_path / 'speed.md'
    with pytest.raises(KeyboardInterrupt):
        bench.main(command(out))
    assert len(json.loads(out.with_suffix('.json').read_text())['cases']) == 3


def test_other_machine(counted: list[Any], tmp_path: Path) -> None:
    out = tmp_path / 'speed.md'
    bench.main(command(out))
    path = out.with_suffix('.json')
    results = json.loads(path.read_text())
    results['settings']['machine'] = 'Another'
    path.write_text(json.dumps(results))
    with pytest.raises(
        SystemExit, match=r"speed\.json' holds .* `machine='Another'`, now"
    ):
        bench.main(command(out))
    counted.clear()
    bench.main([*command(out), '--again'])
    assert len(counted) == 8
    path.write_text('{"rows": []}')
    with pytest.raises(SystemExit, match='holds no figures of this command'):
        bench.main(command(out))


@pytest.mark.parametrize('wrong', [['--models', 'no_such'], ['--out', 'speed.json']])
def test_refuses(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(wrong)


def test_failing_case_is_told(tmp_path: Path) -> None:
    out = tmp_path / 'speed.md'
    results = bench.load(out.with_suffix('.json'), bench.settings(arguments()), False)
    bench.run(results, ['tdpcr_small'], (FAR_TOO_MANY,), out)
    kept = json.loads(out.with_suffix('.json').read_text())
    assert all('allocate memory' in found['cause'] for found in kept['cases'])
    told = out.read_text().count("can't allocate memory")
    assert told == len(bench.computed('cpu'))


def arguments() -> Any:
    return bench.arguments(command(Path('unused.md')))


@pytest.mark.parametrize(
    ('target', 'deadline', 'cause'),
    [
        (killed, 60, 'ended by SIGKILL, most likely for lack of memory'),
        (slow, 0.2, 'not done after 0.2 s'),
    ],
)
def test_child_that_sends_nothing(
    target: Callable, deadline: float, cause: str
) -> None:
    found = model_case.measure_apart(Case('tdpcr', 'fp32', 1), deadline, target)
    assert cause in found['cause']


def test_ended() -> None:
    assert model_case.ended(3) == 'the process ended with status 3'
    assert model_case.ended(-signal.SIGSEGV) == 'the process was ended by SIGSEGV'


def test_passes_that_take_too_long(counted: list[Any]) -> None:
    one = {'model': 'emrdm', 'dtype': 'fp32', 'batch': 1, 'seconds': 20.0}
    made = Case('emrdm', 'fp32', 8)
    found = bench.measure({'cases': [one]}, made)
    assert found == {'cause': 'not measured: a pass would take about 160 s'}
    assert not counted
    found = bench.measure({'cases': [one | {'seconds': 7.0}]}, made)
    assert found['chips_per_s'] == 4.0
    # Also where that of one chip failed, or is of another dtype
    bench.measure({'cases': [one | {'dtype': 'bf16'}]}, made)
    assert len(counted) == 2


@pytest.mark.parametrize(
    ('device', 'capability', 'dtypes'),
    [
        ('cpu', 'AVX2', ['fp32']),
        ('cpu', 'AVX512', ['fp32', 'bf16']),
        ('cuda', 'AVX2', ['fp32', 'bf16']),
    ],
)
def test_dtypes_that_a_device_computes_in(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: str, dtypes: list[str]
) -> None:
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    assert bench.computed(device) == dtypes


def test_table() -> None:
    common = {'dtype': 'fp32', 'batch': 1, 'passes': 3, 'level': 2**20}
    cases = [
        {'model': 'a', **common, 'chips_per_s': 0.25, 'peak': 2**20 * 6, 'passes': 1},
        {'model': 'tdpcr', **common, 'chips_per_s': 5.0, 'peak': 2**20 * 4},
        {'model': 'a', 'dtype': 'bf16', 'batch': 1, 'cause': 'no a|b'},
    ]
    costs = {'parameters': 2_500_000, 'multiply_adds': 1.5e9}
    given = {'machine': 'M', 'device': 'cpu', 'side': 256, 'seconds': 4.0}
    given |= {'memory_kept': False, 'tf32': False, 'dtypes': ['fp32', 'bf16']}
    results = {'settings': given, 'costs': {'a': costs, 'tdpcr': costs}, 'cases': cases}
    text = bench.markdown(results)
    assert '| `a` | 2.500 | 1.5 | *0.25* | 0.05 | 5 | no a/b | – | – |\n' in text
    assert '| `tdpcr` | 2.500 | 1.5 | 5 | 1 | 3 | – | – | – |\n' in text
    assert 'growth of resident memory' in text
    assert 'bf16 is autocast' in text
    without = bench.markdown({**results, 'settings': {**given, 'dtypes': ['fp32']}})
    assert '| `tdpcr` | 2.500 | 1.5 | 5 | 1 | 3 |\n' in without
    assert 'bf16 is left out' in without
    # On a GPU all that was held, model and input included
    given |= {'device': 'cuda', 'tf32': True}
    text = bench.markdown(results)
    assert '| *0.25* | 0.05 | 6 |' in text
    assert 'may use TF32' in text


def test_peak_of_memory() -> None:
    if model_case.status('VmHWM') is None:
        pytest.skip('this system does not tell the peak of memory')
    device = torch.device('cpu')
    torch.ones(2**26).sum()
    level = model_case.begin_peak(device)
    torch.ones(2**24).sum()
    grown = model_case.end_peak(device) - level
    assert grown >= 2**26 * 0.9
    assert model_case.status('VmNothing') is None
