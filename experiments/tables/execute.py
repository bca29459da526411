# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One run: fit and test with the `torchgeo` command, and note the result.

A run has a folder with `settings.yaml` (a configuration of the torchgeo command),
`checkpoints/last.ckpt`, the logs, and, once it is done, `result.json`. Started again, a
run that is done is not run, and one that was killed goes on from its checkpoint.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr.files import write_text

RESULT = 'result.json'
#: What went wrong the last time.
ERROR = 'error.txt'


class RunConflictError(ValueError):
    """A folder holds a run with other settings."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run with a seed, ready to be executed.

    Args:
        name: Name of the run.
        seed: The seed.
        folder: Where it is kept.
        settings: Configuration of the torchgeo command.
        fingerprint: Names the settings and what they build on.
        trains: Whether it trains, rather than tests the weights of its settings.
        modules: Python files to import first: they register models.
        threads: Threads of PyTorch, None to leave them.
    """

    name: str
    seed: int
    folder: Path
    settings: dict[str, Any]
    fingerprint: str
    trains: bool = True
    modules: Sequence[Path] = ()
    threads: int | None = None

    @property
    def checkpoint(self) -> Path:
        """Checkpoint of the last epoch."""
        return self.folder / 'checkpoints' / 'last.ckpt'

    def result(self) -> dict[str, Any] | None:
        """The result, None where the run is not done.

        Raises:
            RunConflictError: If the folder holds a run with other settings.
        """
        for name in (RESULT, 'started.json'):
            path = self.folder / name
            if not path.is_file():
                continue
            content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
            if content['fingerprint'] != self.fingerprint:
                raise RunConflictError(
                    f'{path} is of a run with other settings, or one that builds on '
                    'other checkpoints. Give another --out, or delete its folder to run '
                    'it anew.'
                )
            if name == RESULT:
                return content
        return None


def import_models(modules: Sequence[Path]) -> None:
    """Import Python files that register models, once in a process."""
    for module in modules:
        name = f'_tables_added_{module.stem}'
        if name not in sys.modules:
            spec = spec_from_file_location(name, module)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])


def execute(job: Job) -> dict[str, Any]:
    """Fit, if the run trains and has not yet, then test.

    Args:
        job: The run.

    Returns:
        What is in `result.json`: ``metrics`` by name, without the ``test_`` of the log.
    """
    if (done := job.result()) is not None:
        return done
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    import_models(job.modules)
    settings = job.folder / 'settings.yaml'
    write_text(settings, yaml.safe_dump(_with_logs(job), sort_keys=False))
    write_text(
        job.folder / 'started.json', json.dumps({'fingerprint': job.fingerprint})
    )
    start = time.perf_counter()
    tested = []
    if job.trains:
        resume = ['--ckpt_path', str(job.checkpoint)] if job.checkpoint.exists() else []
        torchgeo(['fit', '--config', str(settings), *_log(job, 'fit'), *resume])
        tested = ['--ckpt_path', str(job.checkpoint)]
    seconds = time.perf_counter() - start
    test = _log(job, 'test')
    # With a checkpoint, its arguments of the task win over those of the settings. So a
    # run that tests another's weights must not give it as one.
    torchgeo(['test', '--config', str(settings), *test, *tested])
    logged = pd.read_csv(job.folder / test[-1] / 'metrics.csv').iloc[-1]
    result = {
        'run': job.name,
        'seed': job.seed,
        'fingerprint': job.fingerprint,
        'metrics': {
            str(name)[5:]: float(value)
            for name, value in logged.items()
            if str(name).startswith('test_') and pd.notna(value)
        },
        # Of a run that was killed, only the last part
        'fit_seconds': round(seconds, 1),
        'torch': torch.__version__,
    }
    write_text(job.folder / RESULT, json.dumps(result, indent=1) + '\n')
    (job.folder / ERROR).unlink(missing_ok=True)
    return result


def execute_logged(job: Job) -> dict[str, Any]:
    """Execute in a process of its own, with all output in `log.txt`."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with _output_to(job.folder / 'log.txt'):
        return execute(job)


def _with_logs(job: Job) -> dict[str, Any]:
    """Settings with where to log and to keep the checkpoint."""
    trainer = {
        **job.settings['trainer'],
        'logger': {
            'class_path': 'lightning.pytorch.loggers.CSVLogger',
            'init_args': {'save_dir': str(job.folder), 'name': None, 'version': 'fit'},
        },
        'callbacks': [
            {
                'class_path': 'lightning.pytorch.callbacks.ModelCheckpoint',
                'init_args': {
                    'dirpath': str(job.checkpoint.parent),
                    'filename': job.checkpoint.stem,
                    'enable_version_counter': False,
                },
            }
        ],
    }
    return {**job.settings, 'trainer': trainer}


def _log(job: Job, kind: str) -> list[str]:
    """Arguments for a log that is new: what a killed run logged is kept."""
    number = len(list(job.folder.glob(f'{kind}[0-9]*')))
    return ['--trainer.logger.init_args.version', f'{kind}{number}']


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what this process prints to a file, below Python, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with path.open('ab') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(kept, 1):
                os.dup2(copy, number)
                os.close(copy)
