# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which share of a training step of tdpcr_small is not the model.

The step is the trainer's: wait for the batch, crop and normalise it, forward, loss,
backward, optimizer. The backward pass is cut at the model's outputs, so that the loss
and the model are timed apart.
"""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from torchgeo_tdpcr.datamodules import OSFCRDataModule
from torchgeo_tdpcr.losses import JointLoss
from torchgeo_tdpcr.models import get_model

from ..markdown import table
from .timing import Options, median, synchronize

CLASSES = 7
MODEL_PARTS = ('forward', 'backward')
PARTS = ('reading', 'augmentation', 'forward', 'loss', 'backward', 'optimizer')


class Clock:
    """Adds up the seconds of the parts of a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.parts: dict[str, float] = defaultdict(float)
        self.restart()

    def restart(self) -> None:
        """Begin a part here."""
        synchronize(self.device)
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """End a part here, and begin the next."""
        synchronize(self.device)
        now = time.perf_counter()
        self.parts[part] += now - self._last
        self._last = now


def train_on(
    batch: dict[str, Tensor],
    model: nn.Module,
    augmentation: nn.Module,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    clock: Clock,
) -> None:
    """Make a training step, on the clock."""
    kept = ('bounds', 'transform', 'epsg')
    batch = {k: v.to(clock.device) for k, v in batch.items() if k not in kept}
    batch = augmentation(batch)
    clock.lap('augmentation')
    outputs = model(batch['image'], batch['image_sar'])
    clock.lap('forward')
    cut = {
        k: outputs[k].detach().requires_grad_() for k in ('reconstruction', 'logits')
    }
    criterion(cut, batch['image_clear'], batch['mask'])['loss'].backward()
    clock.lap('loss')
    torch.autograd.backward([outputs[k] for k in cut], [v.grad for v in cut.values()])
    clock.lap('backward')
    optimizer.step()
    optimizer.zero_grad()
    clock.lap('optimizer')


def epoch(
    loader: DataLoader[Any],
    model: nn.Module,
    augmentation: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> dict[str, float]:
    """Train for an epoch; returns seconds of each part."""
    criterion = JointLoss().to(device)
    clock = Clock(device)
    for batch in loader:
        clock.lap('reading')
        train_on(batch, model, augmentation, criterion, optimizer, clock)
    return clock.parts


def run(root: Path, options: Options) -> str:
    """Measure the training step.

    Args:
        root: Folder of the set of :func:`bench_io.make_set`.
        options: What the command line chose.

    Returns:
        Markdown.
    """
    device = options.device
    torch.manual_seed(0)
    model = get_model('tdpcr_small', num_classes=CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    size: dict[str, Any] = {'batch_size': 4, 'patch_size': 64} if options.quick else {}
    loaders, modules = {}, {}
    for workers in (0, 2):
        module = OSFCRDataModule(root, num_workers=workers, **size)
        module.setup('fit')
        modules[workers] = cast(nn.Module, module.train_aug).to(device)
        loaders[workers] = module.train_dataloader()
    steps = len(loaders[0])

    # The first epoch in each way starts the workers and warms up
    found: dict[int, list[dict[str, float]]] = {workers: [] for workers in loaders}
    for _ in range(2 if options.quick else 5):
        for workers, loader in loaders.items():
            parts = epoch(loader, model, modules[workers], optimizer, device)
            found[workers].append(parts)
    rows = []
    for workers, epochs in found.items():
        seconds = {part: np.array([e[part] for e in epochs[1:]]) for part in PARTS}
        whole = np.sum(list(seconds.values()), axis=0)
        own = np.sum([seconds[part] for part in MODEL_PARTS], axis=0)
        cells = [f'{1000 * median(seconds[part]) / steps:.1f}' for part in PARTS]
        total = f'{1000 * median(whole) / steps:.1f}'
        share = f'{median(1 - own / whole):.1%}'
        rows.append([f'{workers} workers', *cells, total, share])
    return (
        '## Training step\n\n'
        f'`tdpcr_small` with {CLASSES} classes on {device.type.upper()}, fp32, eager, on '
        f'batches of `OSFCRDataModule` ({module.batch_size} crops of '
        f'{module.patch_size}×{module.patch_size}) with `JointLoss` and AdamW: '
        f'milliseconds a step, medians of {len(found[0]) - 1} epochs of {steps} steps. '
        'Reading is the wait for the next batch, of whole chips; loss is its forward '
        'and backward; with workers, reading goes on while the other parts run.\n\n'
        + table(['', *PARTS, 'whole', 'not the model'], rows)
        + '\n'
    )
