# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Timing things against each other in turns.

What is compared is run in turns (A B A B …), so that a machine that slows down does so
for all; ratios are taken within a turn, and of all turns the median is given.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch

#: Seconds of each job, a column of one entry a turn.
Times = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line chose.

    Args:
        device: Where the model runs.
        compile: What to compile: ``'none'``, ``'one'`` case, or ``'all'``.
        quick: Whether to only try that everything runs, on next to no data.
    """

    device: torch.device
    compile: str
    quick: bool


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def take_turns(
    jobs: Mapping[str, Callable[[], object]],
    device: torch.device,
    turns: tuple[int, int] = (3, 9),
    seconds: float = 10.0,
    warm_up: bool = True,
) -> Times:
    """Time jobs in turns.

    Args:
        jobs: What to time, by name. A job that returns a float is taken to have timed
            itself, in seconds.
        device: Waited for before a time is taken.
        turns: The fewest and the most turns.
        seconds: No further turn, above the fewest, begins after this time.
        warm_up: Whether to run every job once before.

    Returns:
        Seconds of each job in each turn.
    """
    if warm_up:
        for job in jobs.values():
            job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    begin = time.perf_counter()
    for turn in range(turns[1]):
        if turn >= turns[0] and time.perf_counter() - begin > seconds:
            break
        for name, job in jobs.items():
            synchronize(device)
            start = time.perf_counter()
            own = job()
            synchronize(device)
            took = time.perf_counter() - start
            times[name].append(own if isinstance(own, float) else took)
    return {name: np.array(values) for name, values in times.items()}


def median(values: np.ndarray) -> float:
    """The median of the turns."""
    return float(np.median(values))


def verdict(met: bool) -> str:
    """Say whether an aim was met."""
    return 'met' if met else 'missed'


def cpu_model() -> str:
    """Name of the processor."""
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(device: torch.device) -> str:
    """Describe the machine and what it runs, in one line."""
    parts = [
        f'{cpu_model()}, {os.cpu_count()} cores '
        f'({torch.backends.cpu.get_cpu_capability()})',
        f'{torch.get_num_threads()} threads',
        f'torch {torch.__version__}',
        f'rasterio {rasterio.__version__} (GDAL {rasterio.__gdal_version__})',
        f'Python {platform.python_version()}',
    ]
    if device.type == 'cuda':
        parts.insert(1, torch.cuda.get_device_name(device))
    return ', '.join(parts)
