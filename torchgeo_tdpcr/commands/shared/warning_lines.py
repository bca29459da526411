# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Warnings about scenes as lines for whoever called a command."""

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .processes import is_first_process
from .wording import in_options


@contextmanager
def warnings_as_lines(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Print each warning about scenes as a line, without the place in the code.

    It names the options of the command, and only the first of several processes prints
    it. Other warnings stay as they are.

    Args:
        parser: The parser of the command.

    Yields:
        None: Control; afterwards, warnings are shown as before.
    """
    from ...datasets.scenes.common import SceneWarning

    with warnings.catch_warnings():
        warnings.simplefilter('always', SceneWarning)
        show = warnings.showwarning

        def tell(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, SceneWarning):
                show(message, category, filename, lineno, file, line)
            elif is_first_process():
                text = in_options(str(message), parser)
                print(f'Warning: {text}', file=sys.stderr, flush=True)

        warnings.showwarning = tell
        yield
