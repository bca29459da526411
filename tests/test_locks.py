# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Locks: one holder at a time, and none once it is dead."""

import errno
from pathlib import Path

import pytest
from lock_holder import held

from torchgeo_tdpcr.locks import Lock, LockedError


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
