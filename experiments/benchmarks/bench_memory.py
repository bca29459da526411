# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What it brings to keep freed memory, on a CPU: `torchgeo_tdpcr.memory`.

    python -m experiments.benchmarks.bench_memory

Each case runs in processes of its own, with and without, in turns. It prints a table and
writes it to `docs/results/memory.md`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.losses import JointLoss
from torchgeo_tdpcr.memory import keep_freed_memory
from torchgeo_tdpcr.models import get_model

from ..markdown import table
from .timing import machine

CASES = {
    'tdpcr, 4 × 256², fp32': ('tdpcr', False, False),
    'tdpcr, 4 × 256², bf16': ('tdpcr', True, False),
    'tdpcr_small, 4 × 256², fp32': ('tdpcr_small', False, False),
    'tdpcr_small, training step 16 × 128², fp32': ('tdpcr_small', False, True),
}
TURNS = 3

#: By which this command starts itself, in which `__name__` is ``'__main__'``.
MODULE = 'experiments.benchmarks.bench_memory'


def measure(case: str, keep: bool) -> None:
    """Run a case in this process and print the median time of a step, and the peak."""
    if keep and not keep_freed_memory():
        sys.exit('This C library, or the environment, does not let memory be kept.')
    name, mixed, train = CASES[case]
    torch.manual_seed(0)
    model = get_model(name, num_classes=7, in_channels=13, sar_channels=2)
    batch, size = (16, 128) if train else (4, 256)
    image, sar = torch.rand(batch, 13, size, size), torch.rand(batch, 2, size, size)
    mask = torch.randint(7, (batch, size, size))
    criterion, optimizer = JointLoss(), torch.optim.AdamW(model.parameters())

    def step() -> None:
        with torch.autocast('cpu', torch.bfloat16, enabled=mixed):
            outputs = model(image, sar)
        if train:
            criterion(outputs, image, mask)['loss'].backward()
            optimizer.step()
            optimizer.zero_grad()

    times = []
    with torch.set_grad_enabled(train):
        for _ in range(7):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([float(np.median(times[2:])), peak]))


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog=f'python -m {MODULE}', description='Measure what kept memory brings.'
    )
    parser.add_argument('--out', type=Path, default=Path('docs/results/memory.md'))
    parser.add_argument('--case', help=argparse.SUPPRESS)
    parser.add_argument('--keep', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.case:
        measure(args.case, bool(args.keep))
        return
    rows = []
    for case in CASES:
        results: dict[int, list[list[float]]] = {0: [], 1: []}
        for _ in range(TURNS):
            for keep, found in results.items():
                command = [sys.executable, '-m', MODULE]
                command += ['--case', case, '--keep', str(keep)]
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True
                )
                found.append(json.loads(done.stdout))
        given, kept = (np.array(results[keep]) for keep in (0, 1))
        ratio = float(np.median(given[:, 0] / kept[:, 0]))
        cells = [np.median(given[:, 0]) * 1e3, np.median(kept[:, 0]) * 1e3]
        peaks = [np.median(given[:, 1]), np.median(kept[:, 1])]
        rows.append(
            [
                case,
                *(f'{cell:.0f}' for cell in cells),
                f'{ratio:.2f}',
                *(f'{peak:.2f}' for peak in peaks),
            ]
        )
        print(rows[-1], flush=True)
    header = ['', 'ms, given back', 'ms, kept', 'ratio', 'GiB, given back', 'GiB, kept']
    text = (
        f'Measured on: {machine(torch.device("cpu"))}. Medians over {TURNS} turns of two '
        f'processes each.\n\n{table(header, rows)}\n'
    )
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
