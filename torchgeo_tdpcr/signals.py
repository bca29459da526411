# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SIGTERM ends what runs as Ctrl-C does.

Python ends at once on SIGTERM, without a word and without tidying up. Here it raises an
exception, as SIGINT does, so that files that are half written are removed and what has
been done is kept. The status is 143, as a shell has it for a process that SIGTERM ended.

This module imports nothing heavy: commands use it before anything else.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: 128 and the number of the signal.
INTERRUPTED, TERMINATED = 130, 143


class Terminated(SystemExit):
    """The process was asked to end."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)

    def __str__(self) -> str:
        return 'ended by SIGTERM'


def end_on_sigterm() -> None:
    """Raise :class:`Terminated` when SIGTERM comes, once, in this process."""
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A worker that was forked: it has nothing to tidy up
            os._exit(TERMINATED)
        # What is done at the end, such as removing half a file, is not to be broken off
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Workers get the signal as well; that they have ended is no error
        if hasattr(signal, 'SIGCHLD'):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raise :class:`Terminated` when SIGTERM comes, within a block."""
    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    end_on_sigterm()
    try:
        yield
    finally:
        if main:
            for number, handler in before:
                # None: not set by Python
                signal.signal(number, handler or signal.SIG_DFL)
