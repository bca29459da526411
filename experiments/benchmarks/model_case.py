# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Speed and memory of one model in one process, which does nothing else.

What a process once held shows in its peak of resident memory for as long as it lives, so
each case gets a child. Children are forked off a server that has imported the models
already: importing takes longer than most cases.
"""

import contextlib
import ctypes
import multiprocessing
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchgeo_tdpcr.memory import keep_freed_memory
from torchgeo_tdpcr.models import get_model

from ..studies.model_costs import classes_of
from .bench_model import autocast
from .timing import median, take_turns

#: Bands of Sentinel-2 and polarisations of Sentinel-1.
OPTICAL, RADAR = 13, 2

#: What takes long to import.
PRELOAD = ['torchgeo_tdpcr.models', 'torchgeo_tdpcr.losses']

#: Side of the inputs that warm up: a full-size model may take minutes at 256.
SMALL = 64


class Case(NamedTuple):
    """What is measured.

    Attributes:
        model: Name of a registered model.
        dtype: ``'fp32'`` or ``'bf16'``, the latter by autocast.
        batch: Number of chips.
        side: Height and width of a chip.
        device: Type of the device.
        seconds: No further pass begins after this time.
    """

    model: str
    dtype: str
    batch: int
    side: int = 256
    device: str = 'cpu'
    seconds: float = 4.0


def status(field: str) -> int | None:
    """Bytes of a field of ``/proc/self/status``, None where the system has none."""
    try:
        lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f'{field}:')]
    return int(found[0]) * 1024 if found else None


def begin_peak(device: torch.device) -> int | None:
    """Forget earlier peaks of memory; returns the level now, in bytes."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    # What building freed would otherwise be used again, and the growth seem smaller
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    # Where this fails the peak of building the model stays, hardly above its level
    with contextlib.suppress(OSError):
        # 5 resets the peak alone, see proc_pid_clear_refs(5)
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    return status('VmRSS')


def end_peak(device: torch.device) -> int | None:
    """The highest that memory has been since :func:`begin_peak`, in bytes."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return status('VmHWM')


def make_inputs(batch: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Make random images and radar images."""
    image, sar = (torch.rand(batch, bands, side, side) for bands in (OPTICAL, RADAR))
    last = torch.channels_last
    return image.to(device, memory_format=last), sar.to(device, memory_format=last)


@torch.inference_mode()
def forward(model: nn.Module, inputs: tuple[Tensor, Tensor], dtype: str) -> None:
    """Run the model."""
    with autocast(inputs[0].device, dtype):
        model(*inputs)


def measure(case: Case) -> dict[str, Any]:
    """Measure a case in this process.

    Args:
        case: What to measure.

    Returns:
        ``seconds`` of a pass (the median), number of ``passes``, ``level`` of memory
        with model and input, and its ``peak``, both in bytes or None if not known.
    """
    device = torch.device(case.device)
    torch.manual_seed(0)
    model = get_model(
        case.model,
        in_channels=OPTICAL,
        sar_channels=RADAR,
        num_classes=classes_of(case.model),
    )
    model = model.eval().to(device).to(memory_format=torch.channels_last)
    inputs = make_inputs(case.batch, case.side, device)
    small = make_inputs(case.batch, min(SMALL, case.side), device)
    level = begin_peak(device)
    # As tasks do, but not before the level: it keeps also what building has freed
    keep_freed_memory()
    forward(model, small, case.dtype)
    times = take_turns(
        {'pass': partial(forward, model, inputs, case.dtype)},
        device,
        turns=(1, 200),
        seconds=case.seconds,
        warm_up=False,
    )['pass']
    return {
        'seconds': median(times),
        'passes': len(times),
        'level': level,
        'peak': end_peak(device),
    }


def child(case: Case, sender: Connection) -> None:
    """Measure a case and send what was found, or what went wrong."""
    try:
        found = measure(case)
    except Exception as error:
        # Whatever is raised goes into the table, in the words of its cause
        lines = str(error.__cause__ or error).strip().splitlines() or ['']
        found = {'cause': f'{type(error).__name__}: {lines[0][:160]}'}
    sender.send(found)


def ended(code: int | None) -> str:
    """Say why a child ended that sent nothing."""
    if code is None or code >= 0:
        return f'the process ended with status {code}'
    name = signal.Signals(-code).name
    # Linux kills so what asks for more memory than there is
    hint = ', most likely for lack of memory' if name == 'SIGKILL' else ''
    return f'the process was ended by {name}{hint}'


def measure_apart(
    case: Case,
    deadline: float,
    target: Callable[[Case, Connection], None] = child,
) -> dict[str, Any]:
    """Measure a case in a process of its own.

    Args:
        case: What to measure.
        deadline: Seconds after which to end it.
        target: What the process runs.

    Returns:
        What :func:`measure` returns, or ``cause``: why there is no figure.
    """
    servers = 'forkserver' in multiprocessing.get_all_start_methods()
    context: ForkServerContext | SpawnContext = (
        multiprocessing.get_context('forkserver')
        if servers
        else multiprocessing.get_context('spawn')
    )
    if servers:
        context.set_forkserver_preload(PRELOAD)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(case, sender), daemon=True)
    process.start()
    # Else the end of the child would not end the pipe
    sender.close()
    found: dict[str, Any]
    try:
        if receiver.poll(deadline):
            found = receiver.recv()
        else:
            found = {'cause': f'not done after {deadline:g} s'}
    except EOFError:
        process.join()
        found = {'cause': ended(process.exitcode)}
    finally:
        process.kill()
        process.join()
        receiver.close()
    return found
