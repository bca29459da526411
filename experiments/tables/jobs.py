# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A run with a seed: its folder, its command, and its result once it is done.

The folder holds `started.json` (what names its settings), `log.txt`, `checkpoints/`, a
folder of logs for each fit and test that was begun, and in the end `settings.yaml` (the
whole configuration, as the torchgeo command merged it) and `result.json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .plan import Run, Settings

STARTED = 'started.json'
LOG = 'log.txt'
SETTINGS = 'settings.yaml'
RESULT = 'result.json'


def fitted_file(folder: Path, epochs: int) -> Path:
    """The checkpoint that a fit leaves once its last epoch has ended.

    Args:
        folder: Folder of the run.
        epochs: Epochs that it trains.
    """
    return folder / 'checkpoints' / f'epoch={epochs - 1}.ckpt'


class RunConflictError(ValueError):
    """A folder holds a run with other settings."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run with a seed, ready to be executed.

    Args:
        run: The run.
        seed: The seed.
        folder: Where it is kept.
        layers: Layers of its configuration, files or their content.
        overrides: Settings that win over the layers, ``KEY=VALUE``.
        epochs: Epochs that it trains.
        fingerprint: Names the settings and what they build on.
        needs: The jobs whose checkpoints it needs, by the argument that takes them.
        data: Where the data lie.
    """

    run: Run
    seed: int
    folder: Path
    layers: Sequence[Path | Settings]
    overrides: Sequence[str]
    epochs: int
    fingerprint: str
    needs: Mapping[str, 'Job']
    data: Path

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name

    @property
    def model_kwargs(self) -> Settings:
        """Arguments of its model, besides the numbers of channels and classes."""
        # What `compose` implies comes last, and has those of all layers in one
        implied = self.layers[-1]
        assert not isinstance(implied, Path)
        kwargs: Settings = implied['model']['init_args'].get('model_kwargs', {})
        return kwargs

    @property
    def checkpoint(self) -> Path:
        """Checkpoint of the last epoch."""
        return self.folder / 'checkpoints' / 'last.ckpt'

    @property
    def fitted(self) -> Path:
        """Checkpoint that there is only once the last epoch has ended."""
        return fitted_file(self.folder, self.epochs)

    @property
    def result_file(self) -> Path:
        """File of the result, which there is only once the run is done."""
        return self.folder / RESULT

    def arguments(self) -> list[str]:
        """Arguments of the torchgeo command after its subcommand."""
        taken = {what: str(job.checkpoint) for what, job in self.needs.items()}
        checkpoints = {
            'class_path': 'lightning.pytorch.callbacks.ModelCheckpoint',
            'init_args': {
                'dirpath': str(self.checkpoint.parent),
                'filename': '{epoch}',
                'save_last': True,
                'enable_version_counter': False,
            },
        }
        own = {
            'trainer': {
                'logger': {'init_args': {'save_dir': str(self.folder)}},
                'callbacks': [checkpoints],
            },
            'model': {'init_args': taken},
            'data': {'init_args': {'paths': str(self.data)}},
        }
        configs = [
            str(layer) if isinstance(layer, Path) else json.dumps(layer)
            for layer in (*self.layers, own)
        ]
        layered = [word for config in configs for word in ('--config', config)]
        return [*layered, *(f'--{override}' for override in self.overrides)]

    def result(self) -> dict[str, Any] | None:
        """The result, None where the run is not done.

        Raises:
            RunConflictError: If the folder holds a run with other settings.
        """
        started = self.folder / STARTED
        if started.is_file() and _read(started)['fingerprint'] != self.fingerprint:
            raise RunConflictError(
                f"'{self.folder}' is of a run with other settings, or one that builds on "
                'other checkpoints. Give another `--out`, or delete that folder to run '
                'it anew.'
            )
        return _read(self.result_file) if self.result_file.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return content
