# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Locks between processes, which die with the process that holds them."""

import errno
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

#: What a file system says that knows no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}

#: Locks of this process: the system would give it each of them again.
_HELD: set[str] = set()


class LockedError(BlockingIOError):
    """Somebody else holds a lock.

    Args:
        holder: Who, such as ``'process 4711 on node3'``.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(f'in use by {holder}')
        self.holder = holder


class Lock:
    """A lock on a file, which names its holder; the file goes with the lock.

    Machines that share a folder see each other's locks as far as their file system
    does. Where there are no such locks (on Windows, or on some network drives) nothing
    is locked.

    Args:
        path: The file. Its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            LockedError: If somebody else holds it.
            OSError: If the file cannot be written.
        """
        if sys.platform == 'win32':
            return
        if self._key in _HELD:
            # Opening and closing the file would let go of the lock
            raise LockedError(f'another run of this process ({os.getpid()})')
        while self._file is None:
            file = self.path.open('a+')
            try:
                if _lock(file):
                    # Whoever held it has removed the file meanwhile
                    if not _is(self.path, file):
                        continue
                    file.truncate(0)
                    file.write(f'process {os.getpid()} on {socket.gethostname()}')
                    file.flush()
                self._file = file
            finally:
                if self._file is None:
                    file.close()
        _HELD.add(self._key)

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        if self._file is None:
            return
        self.path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        _HELD.discard(self._key)

    @property
    def _key(self) -> str:
        return f'{os.getpid()}:{self.path.absolute()}'


def _lock(file: TextIO) -> bool:
    """Lock a file; False where the file system knows no locks."""
    if sys.platform == 'win32':
        return False
    import fcntl

    try:
        # Not flock, which the worker processes would inherit and hold on to
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            raise LockedError(file.read() or 'another process') from None
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _is(path: Path, file: TextIO) -> bool:
    """Tell whether a path still is the file that was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
