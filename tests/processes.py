# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Processes of their own, without their price.

Python takes long to import TorchGeo. A server that has imported it forks a process that
is as good as new, at once. What must import something else, or in another order, starts
an interpreter (:func:`interpreter`).
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

PRELOAD = ['torchgeo.main']

#: A function and its arguments.
Call = tuple[Any, ...]


class Finished(NamedTuple):
    """How a process ended.

    Args:
        returncode: Its exit status, minus the signal that killed it.
        stdout: What it printed.
        stderr: What it printed there.
    """

    returncode: int
    stdout: str
    stderr: str


def forkserver() -> ForkServerContext:
    """Starts processes that need not import TorchGeo."""
    context = ForkServerContext()
    # Heeded by the first process of the session
    context.set_forkserver_preload(PRELOAD)
    return context


def fork(function: Callable[..., object], *args: Any, **environ: str) -> Finished:
    """Call a function of a module in a process that knows TorchGeo and no more.

    Args:
        function: What to call.
        args: Its arguments.
        environ: Environment variables.
    """
    return fork_all([(function, *args)], [environ])[0]


def fork_all(
    calls: Sequence[Call], environs: Sequence[Mapping[str, str]], patience: float = 180
) -> list[Finished]:
    """Call functions in processes, all at a time.

    Args:
        calls: The functions, with their arguments.
        environs: Environment variables of each.
        patience: Seconds after which to kill them.
    """
    context = forkserver()
    with TemporaryDirectory() as folder:
        paths = [Path(folder, str(number)) for number, _ in enumerate(calls)]
        processes = [
            context.Process(target=_call, args=(path, Path.cwd(), dict(environ), *call))
            for path, environ, call in zip(paths, environs, calls, strict=True)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(patience)
            process.kill()
            process.join()
        return [
            Finished(process.exitcode or 0, *(_read(path, n) for n in (1, 2)))
            for process, path in zip(processes, paths, strict=True)
        ]


def as_torchrun(processes: int) -> Iterator[dict[str, str]]:
    """Environment variables of processes that torchrun would start."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for rank in range(processes):
        yield {
            'MASTER_ADDR': '127.0.0.1',
            'MASTER_PORT': str(port),
            'WORLD_SIZE': str(processes),
            'LOCAL_WORLD_SIZE': str(processes),
            'GROUP_RANK': '0',
            'RANK': str(rank),
            'LOCAL_RANK': str(rank),
            'TORCHELASTIC_RUN_ID': 'tests',
        }


def interpreter(code: str, **environ: str) -> Finished:
    """Run code in a new interpreter."""
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _read(path: Path, number: int) -> str:
    file = path.with_suffix(f'.{number}')
    return file.read_text() if file.exists() else ''


def _call(
    path: Path,
    folder: Path,
    environ: dict[str, str],
    function: Callable[..., object],
    *args: Any,
) -> None:
    for number in (1, 2):
        with path.with_suffix(f'.{number}').open('wb') as file:
            os.dup2(file.fileno(), number)
    os.environ.update(environ)
    os.chdir(folder)
    torch.set_num_threads(1)
    function(*args)
