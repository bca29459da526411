# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Speed and memory of every registered model, beside what it costs on paper.

    python -m experiments.benchmarks.bench_models

It prints tables and writes them to `docs/results/speed.md`, and all figures to
`docs/results/speed.json` after each case: started again, it goes on where it was stopped.
With `--again` it measures anew, all models or those of `--models`. Leave the machine
alone meanwhile; on two cores it takes about a quarter of an hour.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.memory import keep_freed_memory
from torchgeo_tdpcr.models import list_models
from torchgeo_tdpcr.models.costs import count_costs

from ..markdown import table
from ..studies.model_costs import classes_of
from .bench_model import DTYPES
from .model_case import OPTICAL, RADAR, SMALL, Case, measure_apart
from .timing import machine

#: What the others are compared with.
BASE = 'tdpcr'
BATCHES = (1, 8)
#: Seconds that a pass of several chips may take, going by that of one chip.
LIMIT = 60.0
#: Seconds after which a case is given up.
DEADLINE = 300.0

#: Settings, costs by model and cases, as they lie in the JSON file.
Results = dict[str, Any]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.benchmarks.bench_models',
        description='Measure how fast the models are.',
    )
    parser.add_argument(
        '--device',
        choices=('cpu', 'cuda'),
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='where the models run (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/speed.md'),
        help='where to write the tables, with a .json beside (default: %(default)s)',
    )
    parser.add_argument(
        '--models',
        nargs='+',
        choices=list_models(),
        default=list_models(),
        metavar='NAME',
        help='models to measure (default: all)',
    )
    parser.add_argument(
        '--again', action='store_true', help='measure anew what is in the file already'
    )
    parser.add_argument('--quick', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.out.suffix == '.json':
        parser.error(
            f'`--out {args.out}`: name the Markdown file; the JSON is written beside it.'
        )
    return args


def computed(device: str) -> list[str]:
    """Dtypes that a device has instructions for; without AVX-512, bf16 is emulated."""
    slow = torch.backends.cpu.get_cpu_capability() in ('DEFAULT', 'AVX2')
    return [name for name in DTYPES if name == 'fp32' or device != 'cpu' or not slow]


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What figures must have in common to stand in one table."""
    return {
        'machine': machine(torch.device(args.device)),
        'device': args.device,
        'dtypes': computed(args.device),
        'side': 32 if args.quick else 256,
        'seconds': 0.1 if args.quick else 4.0,
        'memory_kept': keep_freed_memory(),
        'tf32': args.device == 'cuda' and torch.backends.cudnn.allow_tf32,
    }


def load(path: Path, wanted: dict[str, Any], again: bool) -> Results:
    """Take up figures that were measured before.

    Args:
        path: The JSON file.
        wanted: What :func:`settings` returns.
        again: Whether figures of other settings may be dropped.

    Returns:
        The figures, none at first.

    Raises:
        SystemExit: If the file is none of this command, or has other settings.
    """
    fresh: Results = {'settings': wanted, 'costs': {}, 'cases': []}
    if not path.exists():
        return fresh
    try:
        kept: Results = json.loads(path.read_text(encoding='utf-8'))
        known = kept['settings']
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SystemExit(
            f"'{path}' holds no figures of this command ({error!r}). Move it away, or "
            'give another `--out`.'
        ) from error
    if known == wanted:
        return kept
    if again:
        return fresh
    other = [
        f'`{k}={known.get(k)!r}`, now `{v!r}`'
        for k, v in wanted.items()
        if known.get(k) != v
    ]
    raise SystemExit(
        f"'{path}' holds figures of another machine or setting: {'; '.join(other)}. Give "
        'another `--out`, or `--again` to drop them.'
    )


def find(results: Results, model: str, dtype: str, batch: int) -> dict[str, Any] | None:
    """The figures of a case, None if there are none yet."""
    for case in results['cases']:
        if (case['model'], case['dtype'], case['batch']) == (model, dtype, batch):
            found: dict[str, Any] = case
            return found
    return None


def measure(results: Results, case: Case) -> dict[str, Any]:
    """Measure a case, unless one chip took so long that several would take too long."""
    one = find(results, case.model, case.dtype, 1)
    expected = case.batch * one['seconds'] if one and 'seconds' in one else 0.0
    if case.batch > 1 and expected > LIMIT:
        return {'cause': f'not measured: a pass would take about {expected:.0f} s'}
    found = measure_apart(case, DEADLINE)
    if 'seconds' in found:
        found['chips_per_s'] = case.batch / found['seconds']
    return found


def run(
    results: Results, models: list[str], batches: tuple[int, ...], out: Path
) -> None:
    """Measure all cases that have no figures yet, and write after each.

    Args:
        results: Taken up, and added to.
        models: Names.
        batches: Numbers of chips, one first.
        out: The Markdown file.
    """
    common = {key: results['settings'][key] for key in ('side', 'device', 'seconds')}
    # What the ratios are taken to comes first, so that a stopped run has them, too
    for model in sorted(set(models), key=lambda name: (name != BASE, name)):
        if model not in results['costs']:
            costs = count_costs(model, classes_of(model))
            results['costs'][model] = {
                'parameters': costs.parameters,
                'multiply_adds': costs.multiply_adds,
            }
        for dtype in results['settings']['dtypes']:
            for batch in batches:
                if find(results, model, dtype, batch):
                    continue
                found = measure(results, Case(model, dtype, batch, **common))
                entry = {'model': model, 'dtype': dtype, 'batch': batch, **found}
                results['cases'].append(entry)
                write(results, out)
                print(entry, flush=True)


def digits(value: float) -> str:
    """Three digits, without an exponent."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def cells(results: Results, model: str, dtype: str, batch: int) -> list[str]:
    """Cells of a case: chips per second, ratio, and memory."""
    case = find(results, model, dtype, batch)
    if case is None:
        return ['–'] * 3
    if 'cause' in case:
        return [case['cause'].replace('|', '/'), '–', '–']
    rate = digits(case['chips_per_s'])
    base = find(results, BASE, dtype, batch) or {}
    ratio = case['chips_per_s'] / base['chips_per_s'] if 'chips_per_s' in base else None
    memory = None
    if case['peak'] is not None and case['level'] is not None:
        lower = 0 if results['settings']['device'] == 'cuda' else case['level']
        memory = max(case['peak'] - lower, 0) / 2**20
    return [
        f'*{rate}*' if case['passes'] == 1 else rate,
        '–' if ratio is None else digits(ratio),
        '–' if memory is None else f'{memory:.0f}',
    ]


def markdown(results: Results) -> str:
    """Write the tables, one for each size of batch.

    Args:
        results: The figures.

    Returns:
        Markdown.
    """
    given = results['settings']
    side, small = given['side'], min(SMALL, given['side'])
    memory = (
        'MiB are the most that tensors held, model and input included'
        if given['device'] == 'cuda'
        else 'MiB are the growth of resident memory above its level with model and input'
    )
    tf32 = ', convolutions in fp32 may use TF32' if given['tf32'] else ''
    kept = ', which keeps freed memory' if given['memory_kept'] else ''
    half = 'bf16 is autocast'
    if 'bf16' not in given['dtypes']:
        half = 'bf16 is left out, which this CPU can only emulate'
    text = (
        f'Measured on: {given["machine"]}. Chips of {side}×{side} pixels with {OPTICAL} + '
        f'{RADAR} bands, random, channels last; models in full size with untrained '
        f'weights, in inference mode, eager; {half}{tf32}. Each case has a '
        f'process of its own{kept}: after a pass at {small}×{small} pixels as many as '
        f'begin within {given["seconds"]:g} s, of which the median is given; *in italics* '
        f'where there was time for one only. × {BASE} is the speed to that of `{BASE}` in '
        f'this table, in the same column. {memory}. Parameters, in millions, and '
        'multiply-adds for a chip of 256×256 pixels, in 10⁹, are counted.\n'
    )
    if side != 256:
        text = f'**A trial run on tiny chips: the figures mean nothing.**\n\n{text}'
    header = ['Model', 'Parameters (M)', 'Multiply-adds (G)']
    for dtype in given['dtypes']:
        header += [f'{dtype}, chips/s', f'× {BASE}', 'MiB']
    for batch in sorted({case['batch'] for case in results['cases']}):
        rows = []
        for model, costs in sorted(results['costs'].items()):
            row = [
                f'`{model}`',
                f'{costs["parameters"] / 1e6:.3f}',
                f'{costs["multiply_adds"] / 1e9:.1f}',
            ]
            for dtype in given['dtypes']:
                row += cells(results, model, dtype, batch)
            rows.append(row)
        title = 'One chip at a time' if batch == 1 else f'Batches of {batch} chips'
        text += f'\n{title}:\n\n{table(header, rows)}\n'
    return text


def write(results: Results, out: Path) -> None:
    """Write the JSON file and the Markdown file."""
    write_text(out.with_suffix('.json'), json.dumps(results, indent=1) + '\n')
    write_text(out, markdown(results))


def main(argv: list[str] | None = None) -> None:
    """Measure, write and print."""
    args = arguments(argv)
    results = load(args.out.with_suffix('.json'), settings(args), args.again)
    if args.again:
        results['costs'] = {
            k: v for k, v in results['costs'].items() if k not in args.models
        }
        results['cases'] = [
            case for case in results['cases'] if case['model'] not in args.models
        ]
    run(results, args.models, (1, 2) if args.quick else BATCHES, args.out)
    # Also where nothing was left to measure
    write(results, args.out)
    print(markdown(results))


if __name__ == '__main__':
    main()
