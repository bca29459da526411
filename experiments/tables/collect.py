# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a tested run leaves: its metrics in one file, and the settings beside them.

    python -m experiments.tables.collect FOLDER

The rule `test` of the Snakefile ends with it.
"""

import csv
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

from torchgeo_tdpcr.files import write_text

from .jobs import RESULT, SETTINGS, STARTED


def collect(folder: Path) -> None:
    """Write `settings.yaml` and `result.json` of a run that has just been tested.

    Args:
        folder: Folder of the run, ``<run>/seed<k>``.
    """
    tests = _logs(folder, 'test')
    # The first fit had no checkpoint to go on from, so its settings can be used again
    saved = (log / 'config.yaml' for log in [*_logs(folder, 'fit'), *tests])
    first = next(path for path in saved if path.is_file())
    write_text(folder / SETTINGS, first.read_text(encoding='utf-8'))
    with (tests[-1] / 'metrics.csv').open(newline='', encoding='utf-8') as file:
        *_, logged = csv.DictReader(file)
    started = json.loads((folder / STARTED).read_text(encoding='utf-8'))
    result = {
        'run': folder.parent.name,
        'seed': int(folder.name.removeprefix('seed')),
        'fingerprint': started['fingerprint'],
        'metrics': {
            name.removeprefix('test_'): float(value)
            for name, value in logged.items()
            if name.startswith('test_') and value
        },
        'torch': version('torch'),
    }
    write_text(folder / RESULT, json.dumps(result, indent=1) + '\n')


def _logs(folder: Path, kind: str) -> list[Path]:
    """Folders of the logs of a kind, the oldest first."""
    found = (re.fullmatch(rf'{kind}(\d+)', path.name) for path in folder.iterdir())
    numbers = sorted(int(match[1]) for match in found if match)
    return [folder / f'{kind}{number}' for number in numbers]


if __name__ == '__main__':
    collect(Path(sys.argv[1]))
