# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Work beside the model, in threads: reading ahead of it and writing behind it.

GDAL and PyTorch let go of Python's lock while they work, so that a GPU need not wait for
files, nor one core for another.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import RLock
from typing import Any

import torch

_END = object()


def read_ahead[T](items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Draw items from an iterable in a thread, before they are asked for.

    Args:
        items: The iterable; it is used in that thread alone.
        depth: How many items are drawn ahead.

    Yields:
        The items, in order.

    Raises:
        Exception: What drawing an item raised, when it is that item's turn.

    Example:
        >>> list(read_ahead(range(3)))
        [0, 1, 2]
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, 'read-ahead') as pool:
        drawn: deque[Future[Any]] = deque()
        try:
            while True:
                while len(drawn) <= depth:
                    drawn.append(pool.submit(next, iterator, _END))
                item = drawn.popleft().result()
                if item is _END:
                    return
                yield item
        finally:
            # Whoever stops early does not wait for more than the item under way
            pool.shutdown(cancel_futures=True)


class Turn:
    """A lock for what one thread may use at a time; each process has one of its own.

    Example:
        >>> import pickle
        >>> with Turn() as turn, turn:
        ...     _ = pickle.loads(pickle.dumps(turn))
    """

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> 'Turn':
        """Wait until it is this thread's turn."""
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        """Let others have theirs."""
        self._lock.release()

    def __reduce__(self) -> tuple[type['Turn'], tuple[()]]:
        """Leave the lock itself where it is."""
        return Turn, ()


class Behind:
    """Call functions one after the other in a thread, in inference mode.

    Args:
        depth: How many calls may be waiting; :meth:`call` waits where there are more.

    Example:
        >>> done = []
        >>> behind = Behind()
        >>> behind.call(done.append, 1)
        >>> behind.call(done.append, 2)
        >>> behind.wait()
        >>> done
        [1, 2]
    """

    def __init__(self, depth: int = 2) -> None:
        self.depth = depth
        self._pool = ThreadPoolExecutor(1, 'write-behind')
        self._waiting: deque[Future[None]] = deque()

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function after those before.

        Args:
            function: The function.
            *arguments: Its arguments.

        Raises:
            Exception: What an earlier call raised.
        """
        while len(self._waiting) >= self.depth:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(_call, function, arguments))

    def wait(self) -> None:
        """Wait until all is done, and end the thread.

        Raises:
            Exception: What a call raised.
        """
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self.stop()

    def stop(self) -> None:
        """Leave out the calls that have not begun, wait for the one that has, and end."""
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)


def _call(function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    with torch.inference_mode():
        function(*arguments)
