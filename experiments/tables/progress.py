# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the runs have come to, told while others wait for them.

A run writes to its own log, so that several at a time do not mix. What is told here is
read from the files that it leaves.
"""

import re
import time
from collections.abc import Iterable
from pathlib import Path

from .jobs import STARTED, Job

#: Seconds between two lines about a run, so that short epochs do not flood the screen.
PATIENCE = 20.0


class Progress:
    """The runs that are not done, and what of them has been told.

    Args:
        jobs: Runs.
        patience: Seconds between two lines about a run that is still going on.
    """

    def __init__(self, jobs: Iterable[Job], patience: float = PATIENCE) -> None:
        self.patience = patience
        self.begun = time.time()
        self.jobs = [job for job in jobs if job.result() is None]
        self.starts: dict[Path, float] = {}
        self.told: dict[Path, tuple[int, float]] = {}

    def lines(self) -> list[str]:
        """Say what is new since the last call, a line a run."""
        found = [(job, self._line(job)) for job in self.jobs]
        self.jobs = [job for job in self.jobs if not job.result_file.is_file()]
        return [f'{job.name}, seed {job.seed}: {line}' for job, line in found if line]

    def _line(self, job: Job) -> str:
        started, now = job.folder / STARTED, time.time()
        # What a command before this one has left is not told again
        if not started.is_file() or started.stat().st_mtime < self.begun - 1:
            return ''
        if job.folder not in self.starts:
            self.starts[job.folder] = now
            self.told[job.folder] = epochs_done(job), now
            first = epochs_done(job)
            after = f' after epoch {first} of {job.epochs}' if first else ''
            what = 'training' if job.run.trains else 'test'
            return f'{what} starts{after}'
        spent = duration(now - self.starts[job.folder])
        if job.result_file.is_file():
            return f'done in {spent}'
        epochs, last = self.told[job.folder]
        done = epochs_done(job)
        if done <= epochs or (now - last < self.patience and done < job.epochs):
            return ''
        self.told[job.folder] = done, now
        return f'epoch {done} of {job.epochs}, {spent}'


def epochs_done(job: Job) -> int:
    """Number of epochs that a run has trained."""
    names = [path.name for path in job.checkpoint.parent.glob('epoch=*.ckpt')]
    found = [re.match(r'epoch=(\d+)', name) for name in names]
    return max((int(match[1]) + 1 for match in found if match), default=0)


def duration(seconds: float) -> str:
    """Write a duration.

    Example:
        >>> duration(75.2), duration(7380)
        ('1 min 15 s', '2 h 3 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f'{minutes // 60} h {minutes % 60} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'
