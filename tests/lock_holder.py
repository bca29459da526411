# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A process of its own that holds a lock, for tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
