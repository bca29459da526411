# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a tested run leaves: its result in one file, and the settings beside it.

    python -m experiments.tables.collect FOLDER

The rule `test` of the Snakefile ends with it.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import yaml

from torchgeo_tdpcr.files import write_text

from .jobs import RESULT, SETTINGS, STARTED

#: Arguments of the task that say what model was run. Others, such as `weights`, may be
#: places on this machine, and a result can be kept elsewhere.
MODEL = (
    'model', 'model_kwargs', 'in_channels', 'sar_channels', 'num_classes', 'training',
)  # fmt: skip


def collect(folder: Path) -> None:
    """Write `settings.yaml` and `result.json` of a run that has just been tested.

    Args:
        folder: Folder of the run, ``<run>/seed<k>``.
    """
    fits, tests = _logs(folder, 'fit'), _logs(folder, 'test')
    # The first fit had no checkpoint to go on from, so its settings can be used again
    saved = (log / 'config.yaml' for log in [*fits, *tests])
    first = next(path for path in saved if path.is_file()).read_text(encoding='utf-8')
    write_text(folder / SETTINGS, first)
    arguments = yaml.safe_load(first)['model']['init_args']
    started = json.loads((folder / STARTED).read_text(encoding='utf-8'))
    *_, tested = _logged(tests[-1], 'test')
    # A fit that went on may have validated an epoch again
    validated = dict(pair for fit in fits for pair in _logged(fit, 'val'))
    result = {
        'run': folder.parent.name,
        'seed': int(folder.name.removeprefix('seed')),
        'fingerprint': started['fingerprint'],
        'task': {key: arguments[key] for key in MODEL if key in arguments},
        'metrics': tested[1],
        'validation': [
            {'epoch': epoch, **metrics} for epoch, metrics in validated.items()
        ],
        'torch': version('torch'),
    }
    write_text(folder / RESULT, json.dumps(result, indent=1) + '\n')


def _logged(log: Path, split: str) -> Iterator[tuple[int, dict[str, float]]]:
    """What was measured on a split, by the epoch, from 0, after which it was."""
    path = log / 'metrics.csv'
    # A fit that was killed early has none
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    for row in csv.DictReader(lines):
        metrics = {
            name.removeprefix(f'{split}_'): float(value)
            for name, value in row.items()
            if name.startswith(f'{split}_') and value
        }
        if metrics:
            yield int(row['epoch']), metrics


def _logs(folder: Path, kind: str) -> list[Path]:
    """Folders of the logs of a kind, the oldest first."""
    found = (re.fullmatch(rf'{kind}(\d+)', path.name) for path in folder.iterdir())
    numbers = sorted(int(match[1]) for match in found if match)
    return [folder / f'{kind}{number}' for number in numbers]


if __name__ == '__main__':
    collect(Path(sys.argv[1]))
