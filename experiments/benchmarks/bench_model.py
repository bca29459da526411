# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Speed of TDPCR beside the fastest that the machine multiplies matrices.

In each turn the model and the product of two large square matrices are timed one after
the other, in the same dtype. The model's arithmetic is what
:mod:`torch.utils.flop_counter` counts: forward, or forward and backward. What a training
step does besides (loss, optimizer) takes time, but does not count as arithmetic.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from torchgeo_tdpcr.losses import JointLoss
from torchgeo_tdpcr.models import TDPCR

from ..markdown import table
from .timing import Options, Times, median, synchronize, take_turns, verdict

CLASSES = 7
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}
#: Part of the peak to reach, on CPU.
AIMS = {'fp32': 0.8, 'bf16': 0.4}

Batch = dict[str, Tensor]


class Workload(NamedTuple):
    """One thing that the model does.

    Args:
        num_classes: Number of classes, or None for no head.
        train: A training step instead of a forward pass.
        batch: Size of the batch.
        side: Height and width.
    """

    num_classes: int | None
    train: bool
    batch: int
    side: int

    def __str__(self) -> str:
        """What the workload is, in words."""
        kind = 'training step' if self.train else 'forward'
        head = f'{self.num_classes} classes' if self.num_classes else 'no head'
        return f'{kind} {self.batch}×{self.side}×{self.side}, {head}'


#: The one that is compiled unless all are.
COMPILED = Workload(CLASSES, False, 4, 256)


def workloads(quick: bool) -> list[Workload]:
    """All of them; tiny ones if *quick*."""
    if quick:
        return [Workload(CLASSES, False, 1, 32), Workload(None, True, 1, 32)]
    return [
        Workload(num_classes, train, batch, side)
        for num_classes in (None, CLASSES)
        for train, batch, side in ((False, 1, 256), (False, 4, 256), (True, 8, 128))
    ]


def make_batch(workload: Workload, device: torch.device) -> Batch:
    """Make a random batch."""
    shape = (workload.batch, workload.side, workload.side)
    generator = torch.Generator().manual_seed(0)
    random = partial(torch.rand, generator=generator)
    batch = {
        'image': random(shape[0], 13, *shape[1:]),
        'image_sar': random(shape[0], 2, *shape[1:]),
        'image_clear': random(shape[0], 13, *shape[1:]),
    }
    if workload.num_classes:
        batch['mask'] = torch.randint(workload.num_classes, shape, generator=generator)
    return {key: value.to(device) for key, value in batch.items()}


@contextmanager
def autocast(device: torch.device, dtype: str) -> Iterator[None]:
    """Autocast to the dtype, if it is not float32."""
    with torch.autocast(device.type, DTYPES[dtype], enabled=dtype != 'fp32'):
        yield


def forward(model: nn.Module, batch: Batch, dtype: str) -> None:
    """Run the model."""
    with torch.no_grad(), autocast(batch['image'].device, dtype):
        model(batch['image'], batch['image_sar'])


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, dtype: str
) -> None:
    """Train on the batch: without a mask by the reconstruction loss alone."""
    with autocast(batch['image'].device, dtype):
        outputs = model(batch['image'], batch['image_sar'])
    losses = JointLoss()(outputs, batch['image_clear'], batch.get('mask'))
    losses['loss'].backward()
    optimizer.step()
    optimizer.zero_grad()


def count_flops(model: nn.Module, batch: Batch, train: bool) -> int:
    """Count floating-point operations of forward, in training of backward, too."""
    counter = FlopCounterMode(display=False)
    with torch.set_grad_enabled(train), counter:
        outputs = model(batch['image'], batch['image_sar'])
        if train:
            heads = [
                outputs[k].sum() for k in ('reconstruction', 'logits') if k in outputs
            ]
            torch.autograd.backward(heads)
    model.zero_grad()
    return counter.get_total_flops()


def product(
    device: torch.device, dtype: str, quick: bool
) -> tuple[int, Callable[[], float]]:
    """Multiply two square matrices several times.

    Args:
        device: Where.
        dtype: Of the matrices.
        quick: Whether to multiply small ones.

    Returns:
        Floating-point operations of a product, and a job that returns the seconds of
        the fastest of several.
    """
    # An accelerator is not kept busy by what suits two cores
    side = 256 if quick else 8192 if device.type == 'cuda' else 2048
    a, b = (torch.randn(side, side, device=device).to(DTYPES[dtype]) for _ in range(2))
    out = torch.empty_like(a)

    def job() -> float:
        def once() -> None:
            torch.mm(a, b, out=out)

        times = take_turns({'mm': once}, device, turns=(4, 4), warm_up=False)
        return float(times['mm'].min())

    return 2 * side**3, job


def compiled(job: Callable[[], None], device: torch.device) -> str:
    """Run a compiled job for the first time; returns what went wrong, '' if nothing."""
    try:
        job()
        synchronize(device)
    except Exception as error:
        # Whatever the compiler raises goes into the table, in the words of its cause
        lines = str(error.__cause__ or error).strip().splitlines() or ['']
        return f'{type(error).__name__}: {lines[0][:120]}'.replace('|', '/')
    return ''


def measure(
    workload: Workload, options: Options, with_compiled: bool
) -> list[list[str]]:
    """Measure a workload: rows of the table."""
    device = options.device
    torch.manual_seed(0)
    batch = make_batch(workload, device)
    size: dict[str, Any] = {'dims': (8, 16), 'depths': (1, 1)} if options.quick else {}
    model = (
        TDPCR(num_classes=workload.num_classes, **size).to(device).train(workload.train)
    )
    flops = count_flops(model, batch, workload.train)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def job(network: nn.Module, dtype: str) -> Callable[[], None]:
        if workload.train:
            return partial(training_step, network, optimizer, batch, dtype)
        return partial(forward, network, batch, dtype)

    jobs: dict[str, Callable[[], object]] = {}
    faults: dict[str, str] = {}
    products = {}
    # Counts of what was compiled before must not keep this from being compiled
    torch.compiler.reset()
    network = cast(nn.Module, torch.compile(model, dynamic=False))
    for dtype in DTYPES:
        products[dtype], jobs[f'{dtype} peak'] = product(device, dtype, options.quick)
        jobs[f'{dtype} eager'] = job(model, dtype)
        if with_compiled:
            fast = job(network, dtype)
            if fault := compiled(fast, device):
                faults[f'{dtype} compiled'] = fault
            else:
                jobs[f'{dtype} compiled'] = fast
    turns = (1, 1) if options.quick else (3, 9)
    times = take_turns(jobs, device, turns, seconds=6)
    rows = []
    for dtype in DTYPES:
        for mode in ('eager', 'compiled'):
            name = f'{dtype} {mode}'
            if name in times:
                figures = speed(times, name, dtype, flops, products[dtype], device)
                rows.append([str(workload), dtype, mode, *figures])
            elif name in faults:
                rows.append(
                    [str(workload), dtype, f'failed: {faults[name]}', *['–'] * 5]
                )
    return rows


def speed(
    times: Times, name: str, dtype: str, flops: int, mm: int, device: torch.device
) -> list[str]:
    """Cells of a row: milliseconds, rate, peak, part of it, and aim."""
    rate = flops / times[name]
    peak = mm / times[f'{dtype} peak']
    part = median(rate / peak)
    aim = AIMS[dtype]
    return [
        f'{1000 * median(times[name]):.1f}',
        f'{median(rate) / 1e9:.0f}',
        f'{median(peak) / 1e9:.0f}',
        f'{part:.0%}',
        '' if device.type != 'cpu' else f'≥ {aim:.0%}: {verdict(part >= aim)}',
    ]


def run(options: Options) -> str:
    """Measure the model.

    Args:
        options: What the command line chose.

    Returns:
        Markdown.
    """
    rows: list[list[str]] = []
    tiny = workloads(quick=True)[0]
    for workload in workloads(options.quick):
        only = options.compile == 'one' and workload in (COMPILED, tiny)
        rows += measure(workload, options, options.compile == 'all' or only)
    header = ['TDPCR', 'dtype', 'mode', 'ms', 'GFLOP/s', 'peak', 'of peak', 'aim']
    side = 8192 if options.device.type == 'cuda' else 2048
    return (
        '## Model\n\n'
        f'`TDPCR()` on {options.device.type.upper()}. bf16 is autocast. Peak is the '
        f'rate, in GFLOP/s, of a {side}³ matrix product of that dtype, the best of four '
        'in each turn; parts of it are taken within a turn. A training step is forward, '
        '`ReconstructionLoss` (with classes `JointLoss`, which adds the cross-entropy), '
        'backward and AdamW; arithmetic is counted of the model’s forward and backward '
        'alone.\n\n' + table(header, rows) + '\n'
    )
