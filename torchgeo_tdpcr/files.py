# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Paths as users write them, and writing a file whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Bytes that file systems allow a name.
LONGEST_NAME = 255


def expanded(path: str | os.PathLike[str]) -> Path:
    """Take a path that a user gives: ``~`` is a home folder, as in a shell.

    Options such as ``--output=~/maps``, YAML, tables and Python arguments come past no
    shell that would see to it.

    Args:
        path: The path.

    Example:
        >>> expanded('~/maps') == Path.home() / 'maps', expanded('maps/~').as_posix()
        (True, 'maps/~')
    """
    return Path(os.path.expanduser(os.fspath(path)))


def load_fault(error: Exception) -> str:
    """Tell in a line why a checkpoint could not be loaded.

    PyTorch's own words advise to run whatever code a file holds.

    Example:
        >>> load_fault(RuntimeError('Weights only load failed. Set weights_only=False.'))
        'it holds something else than weights and plain values'
        >>> load_fault(IndexError('pop from empty list'))
        'it is damaged, or no checkpoint'
    """
    text = str(error).strip() or type(error).__name__
    if 'eights only load failed' in text:
        return 'it holds something else than weights and plain values'
    if isinstance(error, LookupError | EOFError | UnicodeError):
        # Of whatever PyTorch took the bytes for
        return 'it is damaged, or no checkpoint'
    return text.splitlines()[0].rstrip('.')


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of a file when all went well.

    It is there, empty, under a name that nobody can foresee: whoever may write to the
    folder can't have put a link there. Its permissions are those of any new file.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        The temporary file, in the same folder and with the same suffix.

    Raises:
        OSError: If it cannot be written, for instance since the disk is full; it names
            the file.
    """
    part = path.with_name(_hidden(path))
    own = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        own = True
        yield part
        os.replace(part, path)
    except OSError as error:
        # One about another file says so itself
        if error.filename not in (None, str(part), str(path)):
            raise
        why = error.strerror or _innermost(error)
        raise OSError(f"'{path}' could not be written: {why}.") from error
    finally:
        if own:
            part.unlink(missing_ok=True)


def _innermost(error: BaseException) -> str:
    """What an error, or the one that it came from, says first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip('.')


def _hidden(path: Path) -> str:
    """A new name that is hidden, and no longer than names can be."""
    end = f'-{secrets.token_hex(4)}{path.suffix}'
    room = LONGEST_NAME - 1 - len(os.fsencode(end))
    stem = os.fsencode(path.stem)[: max(room, 0)].decode(errors='ignore')
    return f'.{stem}{end}'


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Args:
        path: The file; its folder is made if need be.
        text: What it is to hold.
    """
    with replacing(path) as part:
        part.write_text(text, encoding='utf-8')
