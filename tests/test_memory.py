# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Memory of the C library."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from torchgeo_tdpcr.memory import keep_freed_memory
import numpy as np
print(keep_freed_memory())
np.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and pages that the system had to hand out."""
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**environment},
    )
    kept, pages = done.stdout.split()
    return kept == 'True', int(pages)


def test_kept_memory_is_used_again() -> None:
    kept, pages = faults()
    if not kept:
        pytest.skip('needs glibc')
    # 128 MiB would be 32768 pages of 4 KiB, five times
    assert pages < 1000


def test_the_user_chooses() -> None:
    kept, _ = faults(MALLOC_TRIM_THRESHOLD_='131072')
    assert not kept
