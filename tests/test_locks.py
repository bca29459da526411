# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Locks: one holder at a time, and none once it is dead."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from torchgeo_tdpcr.locks import Lock, LockedError

HOLD = (
    'import sys; from pathlib import Path; from torchgeo_tdpcr.locks import Lock; '
    "lock = Lock(Path(sys.argv[1])); lock.take(); print('held', flush=True); input()"
)


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until its end."""
    command = [sys.executable, '-c', HOLD, str(path)]
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == 'held\n'
        try:
            yield process
        finally:
            process.kill()


def test_another_process(tmp_path: Path) -> None:
    lock = Lock(tmp_path / '.lock')
    with held(lock.path) as process:
        for _ in range(2):
            with pytest.raises(LockedError, match=rf'process {process.pid} on \w+'):
                lock.take()
        process.kill()
        process.wait()
        lock.take()
    lock.release()
    assert not lock.path.exists()


def test_the_same_process(tmp_path: Path) -> None:
    lock, second = Lock(tmp_path / '.lock'), Lock(tmp_path / '.lock')
    lock.take()
    with pytest.raises(LockedError, match='another run of this process'):
        second.take()
    second.release()
    assert lock.path.exists()
    lock.release()
    second.take()
    second.release()
    assert not list(tmp_path.iterdir())


def test_file_systems_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def fail(*args: object) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'lockf', fail)
    lock = Lock(tmp_path / '.lock')
    lock.take()
    lock.release()
