# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Memory of the C library: kept for the next tensor, not given back at once."""

import ctypes
import os

#: Parameters of glibc's ``mallopt``, from its ``malloc.h``.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

#: Environment variables by which users choose themselves.
_CHOICES = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'LD_PRELOAD')


def keep_freed_memory() -> bool:
    """Let glibc keep the memory of tensors that are freed.

    By default it gives large blocks back to the system at once, which then has to clear
    the same pages for the next tensor: on a CPU that takes more time than the
    convolutions of a small model. ``python -m experiments.benchmarks.bench_memory``
    measures it. What the process held at its peak it then holds until it ends.

    Nothing is done where another C library is in use, or where the environment
    variables ``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_`` or ``LD_PRELOAD``
    are set.

    Returns:
        Whether anything was done.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if any(name in os.environ for name in _CHOICES):
        return False
    try:
        # Only glibc has this function; other C libraries lack the name
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    set_mmap = mallopt(_M_MMAP_THRESHOLD, 2**30)
    set_trim = mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    return bool(set_mmap and set_trim)
