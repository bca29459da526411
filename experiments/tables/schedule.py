# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Executing many runs, each after those that it needs, several at a time."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path

from torchgeo_tdpcr.files import write_text

from .execute import ERROR, Job, execute, execute_logged

#: A run with a seed.
Key = tuple[str, int]


def execute_all(
    jobs: Sequence[Job], needs: Mapping[Key, Iterable[Key]], processes: int
) -> dict[Key, str]:
    """Execute jobs.

    One that fails leaves `error.txt` in its folder and does not stop the others, but
    for those that need it.

    Args:
        jobs: The jobs, each after those that it needs.
        needs: What each needs.
        processes: Number of processes, 0 for this one.

    Returns:
        What went wrong, of each job that did not end well.
    """
    waiting = {_key(job): job for job in jobs}
    failed: dict[Key, str] = {}
    running: dict[Future[object], Job] = {}
    total, begin = len(jobs), time.perf_counter()
    with _Pool(processes) if processes else nullcontext() as pool:
        while waiting or running:
            for key, job in list(waiting.items()):
                wanted = list(needs.get(key, ()))
                if broken := [k for k in wanted if k in failed]:
                    failed[key] = f'needs {_name(broken[0])}, which failed'
                    print(f'{_name(key)}: {failed[key]}')
                    del waiting[key]
                elif len(running) < max(processes, 1) and not any(
                    k in waiting or k in map(_key, running.values()) for k in wanted
                ):
                    del waiting[key]
                    running[_start(pool, job)] = job
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job = running.pop(future)
                key = _key(job)
                if error := future.exception():
                    failed[key] = _note(error, job.folder)
                left = len(waiting) + len(running)
                minutes = (time.perf_counter() - begin) / 60
                verdict = f'failed: {failed[key]}' if key in failed else 'done'
                count = f'{total - left}/{total} after {minutes:.1f} min'
                print(f'{_name(key)}: {verdict} ({count})', flush=True)
    return failed


def threads_for(processes: int) -> int | None:
    """Threads of each of several processes, so that they share the cores."""
    return max((os.cpu_count() or 1) // processes, 1) if processes else None


class _Pool:
    """Processes for jobs; new ones where one was killed and took the others along."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._executor = self._new()

    def _new(self) -> Executor:
        context = multiprocessing.get_context('spawn')
        return ProcessPoolExecutor(self._processes, context)

    def submit(self, job: Job) -> 'Future[object]':
        try:
            return self._executor.submit(execute_logged, job)
        except BrokenProcessPool:
            self._executor = self._new()
            return self._executor.submit(execute_logged, job)

    def __enter__(self) -> '_Pool':
        return self

    def __exit__(self, *error: object) -> None:
        """End it, also in the middle of its runs, which go on another time."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.kill()


def _start(pool: _Pool | None, job: Job) -> 'Future[object]':
    """Start a job in the pool; without one, execute it here and now."""
    if pool is not None:
        return pool.submit(job)
    future: Future[object] = Future()
    run: Callable[[Job], object] = execute
    try:
        future.set_result(run(job))
    except Exception as error:
        future.set_exception(error)
    return future


def _key(job: Job) -> Key:
    return job.name, job.seed


def _note(error: BaseException, folder: Path) -> str:
    """Write the whole error to the run's folder; return its first line."""
    path = folder / ERROR
    write_text(path, ''.join(traceback.format_exception(error)))
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0]} (see {path})'


def _name(key: Key) -> str:
    return f'{key[0]}, seed {key[1]}'
