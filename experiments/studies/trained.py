# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Finding the runs of the tables, and loading what they trained and on what.

A folder of runs holds `<run>/seed<k>/checkpoints/last.ckpt`, and beside `checkpoints` the
`settings.yaml` of the fit, as the `torchgeo` command reads it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor
from torchgeo.datasets import stack_samples

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.datasets import ChipDataset

#: What is kept of a sample; where it lies is of no use here.
KEYS = (
    'image', 'image_sar', 'image_clear', 'mask', 'mask_cloud', 'image_thickness',
)  # fmt: skip

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class TrainedRun:
    """One fit.

    Args:
        name: Name of the run.
        seed: Its seed.
        checkpoint: Its last checkpoint.
        settings: What it was fitted with.
    """

    name: str
    seed: int
    checkpoint: Path
    settings: dict[str, Any]

    @property
    def restores(self) -> bool:
        """Whether its model was trained to remove clouds."""
        arguments: dict[str, Any] = self.settings['model'].get('init_args', {})
        return arguments.get('training') != 'lcs'


class Chips(NamedTuple):
    """Some chips of a data set.

    Args:
        batches: Normalised batches, in order.
        files: The file that each chip is known by.
    """

    batches: list[Batch]
    files: list[str]


def find_runs(root: Path, names: Sequence[str] = ()) -> list[TrainedRun]:
    """Find the runs that were trained to remove clouds.

    Args:
        root: Folder of runs.
        names: Names of the runs to take, in this order (defaults to all).

    Returns:
        The runs, by name and seed.

    Raises:
        FileNotFoundError: If there is no run, or one has no settings.
        ValueError: If a name is none of theirs.
    """
    runs = []
    for checkpoint in sorted(root.glob('*/seed*/checkpoints/last.ckpt')):
        folder = checkpoint.parent.parent
        path = folder / 'settings.yaml'
        if names and folder.parent.name not in names and not path.is_file():
            # One that is under way, which nobody asked for
            continue
        if not path.is_file():
            raise FileNotFoundError(
                f"'{path}' is missing, which says what '{checkpoint}' was trained on. "
                'Put the configuration of the fit there.'
            )
        seed = int(folder.name.removeprefix('seed'))
        settings = yaml.safe_load(path.read_text())
        runs.append(TrainedRun(folder.parent.name, seed, checkpoint, settings))
    runs = [run for run in runs if run.restores]
    if not runs:
        raise FileNotFoundError(
            f"'{root}' has no '<run>/seed<k>/checkpoints/last.ckpt' of a run that "
            'removes clouds. Train one first.'
        )
    known = {run.name for run in runs}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"'{root}' has no runs `{' '.join(unknown)}` that remove clouds; choose of "
            f'`{" ".join(sorted(known))}`.'
        )
    order = list(names) or sorted(known)
    return sorted(
        (run for run in runs if run.name in order),
        key=lambda run: (order.index(run.name), run.seed),
    )


def load_task(run: TrainedRun, device: str = 'cpu') -> TDPCRTask:
    """Load what a run trained, for evaluation."""
    task = TDPCRTask.load_from_checkpoint(run.checkpoint, map_location=device)
    return task.to(device).eval()


def data_module(settings: dict[str, Any]) -> Any:
    """Build the data module of some settings.

    Args:
        settings: What a run was fitted with.

    Returns:
        The data module, not set up.
    """
    data = settings['data']
    home, _, name = data['class_path'].rpartition('.')
    found = getattr(import_module(home or 'torchgeo_tdpcr'), name)
    return found(**data.get('init_args', {}))


def read_chips(module: Any, dataset: ChipDataset, rows: Sequence[int]) -> Chips:
    """Read some chips in batches of eight.

    Args:
        module: Data module that normalises them.
        dataset: Their dataset.
        rows: Their rows in its index.

    Returns:
        The chips.
    """
    batches = []
    for start in range(0, len(rows), 8):
        samples = [dataset[int(row)] for row in rows[start : start + 8]]
        batch = module.aug(stack_samples(samples))
        batches.append({key: batch[key] for key in KEYS if key in batch})
    return Chips(batches, dataset.index['filepath'].iloc[list(rows)].tolist())


def chips_of(run: TrainedRun, split: str, limit: int) -> Chips:
    """Read the chips of a split of a run's data, once for all runs with the same data.

    Args:
        run: The run.
        split: ``'train'``, ``'val'`` or ``'test'``.
        limit: Most chips to read; if there are more, some spread over all of them.

    Returns:
        The chips.
    """
    return _read(json.dumps(run.settings['data'], sort_keys=True), split, limit)


@lru_cache(maxsize=4)
def _read(data: str, split: str, limit: int) -> Chips:
    module = data_module({'data': json.loads(data)})
    module.setup('test' if split == 'test' else 'fit')
    dataset = getattr(module, f'{split}_dataset')
    rows = np.linspace(0, len(dataset) - 1, min(limit, len(dataset)))
    return read_chips(module, dataset, rows.round().astype(int).tolist())


def outputs_of(task: TDPCRTask, image: Tensor, image_sar: Tensor) -> Batch:
    """Run the model of a task, and bring its outputs back.

    Args:
        task: The task.
        image: Cloudy optical image, B×C×H×W, in [0, 1].
        image_sar: SAR image, B×S×H×W, in [0, 1].

    Returns:
        Its outputs, the reconstruction clipped to [0, 1] as in testing. A model that
        draws random numbers draws the same for every image it is given in turn.
    """
    device = next(task.model.parameters()).device
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        found = task(image.to(device), image_sar.to(device))
    outputs = {key: value.cpu() for key, value in found.items()}
    outputs['reconstruction'] = outputs['reconstruction'].clamp(0, 1)
    return outputs
