# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of a file when all went well.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        The temporary file, in the same folder and with the same suffix.

    Raises:
        OSError: If it cannot be written, for instance since the disk is full; it names
            the file.
    """
    part = path.with_name(f'.{path.stem}-{os.getpid()}{path.suffix}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        # One about another file says so itself
        if error.filename not in (None, str(part), str(path)):
            raise
        why = error.strerror or _innermost(error)
        raise OSError(f"'{path}' could not be written: {why}.") from error
    finally:
        part.unlink(missing_ok=True)


def _innermost(error: BaseException) -> str:
    """What an error, or the one that it came from, says first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip('.')


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Args:
        path: The file; its folder is made if need be.
        text: What it is to hold.
    """
    with replacing(path) as part:
        part.write_text(text, encoding='utf-8')
