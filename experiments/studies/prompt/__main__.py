# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether the prompt encodes cloud, and SAR is used where there is some.

    python -m experiments.studies.prompt RUNS [--samples DIR] [--out docs/results/prompt.md]

RUNS is a folder of runs of the tables on a synthetic set, whose cloud thickness is known;
all runs that have a prompt or prompt-guided fusion are measured. DIR holds the real
samples, of whose clouds there are masks. Written are tables, and a JSON file beside them
with the figures of every seed. What they are compared with: the cloudy bands themselves,
and the same models before any training.
"""

import argparse
from pathlib import Path
from typing import Any

from ...markdown import write_page
from ..trained import Chips, TrainedRun, chips_of, find_runs, load_task
from .features import PROMPT, has_features
from .figure import draw
from .measuring import Controls, measure, sample_chips
from .page import page


def main(argv: list[str] | None = None) -> None:
    """Measure all runs, and write the page, the figures and the picture."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.prompt',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('root', type=Path, metavar='RUNS', help='folder of runs')
    add(
        '--runs',
        nargs='+',
        default=[],
        help='names of runs (default: all that have one)',
    )
    add('--samples', type=Path, help='folder of the real samples')
    add('--fit', choices=['train', 'val'], default='train', help='split to fit on')
    add('--chips', type=int, default=60, help='most chips of a split')
    add('--inits', type=int, default=3, help='untrained models of each kind')
    add('--device', default='cpu')
    add('--out', type=Path, default=Path('docs/results/prompt.md'))
    add('--figure', type=Path, default=Path('docs/_static/prompt_truth.jpg'))
    options = parser.parse_args(argv)
    groups: dict[str, dict[str, list[Any]]] = {'test': {}, 'samples': {}}
    controls = Controls(options.inits)
    pictured: dict[str, tuple[TrainedRun, int]] = {}
    real: tuple[Chips, Chips] | None = None
    for run in find_runs(options.root, options.runs):
        task = load_task(run, options.device)
        if not has_features(task.model):
            continue
        print(f'{run.name}, seed {run.seed}', flush=True)
        fit = chips_of(run, options.fit, options.chips)
        held = chips_of(run, 'test', options.chips)
        result = {'seed': run.seed} | measure(task, fit, held, controls)
        groups['test'].setdefault(run.name, []).append(result)
        if 'rho' in (prompt := result['trained'].get(PROMPT, {})):
            pictured.setdefault(run.name, (run, int(prompt['channel'])))
        if options.samples is not None:
            real = real or sample_chips(options.samples, run)
            result = {'seed': run.seed} | measure(task, *real, controls)
            groups['samples'].setdefault(run.name, []).append(result)
    if not groups['test']:
        raise SystemExit(
            f"'{options.root}' has no run whose model has a prompt or prompt-guided "
            'fusion. Train `tdpcr`.'
        )
    text = f'## Test chips\n\n{page(groups["test"])}\n'
    if groups['samples']:
        text += f'\n## Real pairs\n\n{page(groups["samples"])}\n'
    write_page(options.out, text, groups)
    if pictured:
        draw(list(pictured.values()), options.chips, options.device, options.figure)
    print(text)


if __name__ == '__main__':
    main()
