# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What is wrong with arguments, told before anything heavy is imported."""

import argparse
import os
from collections.abc import Callable

from ...files import expanded


def check_folder(name: str, given: str) -> None:
    """Raise unless a path is a folder that holds something.

    Args:
        name: How the command line calls the argument, such as `--data`.
        given: The path.

    Raises:
        FileNotFoundError: If there is no such folder, or it is empty.
        NotADirectoryError: If it is a file.
    """
    path = expanded(given)
    if not path.exists():
        raise FileNotFoundError(f'`{name} {given}`: there is no such folder.')
    if not path.is_dir():
        raise NotADirectoryError(f'`{name} {given}`: is a file. Give a folder.')
    if next(path.iterdir(), None) is None:
        raise FileNotFoundError(f'`{name} {given}`: the folder is empty.')


def check_file(name: str, given: str, folder: bool = False) -> None:
    """Raise unless a path is a file.

    Args:
        name: How the command line calls the argument.
        given: The path.
        folder: Whether a folder will do as well, as for SAFE.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
    """
    path = expanded(given)
    if not path.exists():
        raise FileNotFoundError(f'`{name} {given}`: there is no such file.')
    if path.is_dir() and not folder:
        raise IsADirectoryError(f'`{name} {given}`: is a folder. Give a file.')


def check_output(name: str, given: str, folder: bool = True) -> None:
    """Raise unless something can be written to a path.

    Args:
        name: How the command line calls the argument.
        given: The path, which need not exist yet.
        folder: Whether it is to be a folder rather than a file.

    Raises:
        NotADirectoryError: If a file stands where a folder is to be.
        IsADirectoryError: If a folder stands where a file is to be.
        PermissionError: If nothing may be written there.
    """
    path = expanded(given)
    if path.is_dir() and not folder:
        raise IsADirectoryError(f'`{name} {given}`: is a folder. Give a file.')
    place = path if folder else path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(
            f"`{name} {given}`: '{place}' is no folder. Give another place."
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(
            f"`{name} {given}`: nothing may be written to '{place}'. Give another place."
        )


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number within a range.

    Args:
        low: The least.
        high: The most, None for any.
    """
    return _within(int, 'whole number', low, high)


def number(low: float, high: float | None = None) -> Callable[[str], float]:
    """Return the type of an option that takes a number within a range.

    Args:
        low: The least.
        high: The most, None for any.
    """
    return _within(float, 'number', low, high)


def _within[T: (int, float)](
    kind: type[T], name: str, low: float, high: float | None
) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no {name}') from None
        # Not the other way round, as NaN is within no range
        if not (low <= value and (high is None or value <= high)):
            wanted = f'{low} or more' if high is None else f'{low} to {high}'
            raise argparse.ArgumentTypeError(f'{value}: give {wanted}')
        return value

    return parse
