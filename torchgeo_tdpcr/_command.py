# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The `torchgeo` command without what its user can do nothing about.

Only where that command runs: a program of the user's that imports the package keeps its
warnings. Imports nothing heavy, see `_autoload.py`.
"""

import logging
import re
import sys
import warnings
from pathlib import Path
from types import TracebackType

#: Warnings about calls of Lightning to others, not of its user's.
OTHERS = (
    '.*LeafSpec.*',
    "LightningCLI's args parameter is intended to run from within Python.*",
)
#: Advertisements among what Lightning logs.
ADVERTISEMENT = 'Tip: For seamless'
LOGGERS = (
    'lightning.pytorch.utilities.rank_zero',
    'lightning.fabric.utilities.rank_zero',
)


def is_torchgeo() -> bool:
    """Whether this process is the `torchgeo` command."""
    path = Path(sys.argv[0]) if sys.argv else Path()
    return path.stem == 'torchgeo' or path.parts[-2:] == ('torchgeo', '__main__.py')


def quieten() -> None:
    """Leave out advertisements and warnings of dependencies among themselves.

    All else is still shown. What lacks a package ends in a line rather than a long
    message of the parser.
    """
    for message in OTHERS:
        warnings.filterwarnings('ignore', message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_no_advertisement)
    sys.excepthook = _tell


def missing_package(message: str) -> str | None:
    """Say in a line which class lacks which package, None if that is not the fault.

    Args:
        message: What the parser says.
    """
    name = re.search(r"Problem with given class_path '([\w.]+)'", message)
    needed = re.findall(r"Requirement '([^']+)' not met", message)
    if name is None or not needed:
        return None
    packages = ' or '.join(f"'{package}'" for package in dict.fromkeys(needed))
    return (
        f"'{name[1]}' needs the package {packages}: install it, or choose another class, "
        'such as CSVLogger for a logger, which needs none.'
    )


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return ADVERTISEMENT not in record.getMessage()


def _tell(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    line = missing_package(str(error)) if isinstance(error, ValueError) else None
    if line is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f'torchgeo: {line}', file=sys.stderr)
