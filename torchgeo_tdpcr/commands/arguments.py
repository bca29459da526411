# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Arguments that commands over data sets share."""

import argparse

from ..files import expanded
from .checks import whole


def user_path(text: str) -> str:
    """Take a path as a user writes it, see :func:`~torchgeo_tdpcr.files.expanded`."""
    return str(expanded(text))


def add_trusted(parser: argparse._ActionsContainer) -> None:
    """Add the switch that lets rasters lead to other files and to the network."""
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='read rasters of any format of GDAL, and follow them to other files and '
        'addresses: VRT, /vsicurl/, /vsis3/. Only for files of people you trust',
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add the folder, the number of workers and the switch of the progress bar."""
    parser.add_argument('root', type=user_path, help='folder of the data set')
    parser.add_argument('--workers', type=whole(0), help='how many work in parallel')
    parser.add_argument(
        '--no-progress', action='store_true', help='show no progress bar'
    )
