# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Arguments that commands over data sets share."""

import argparse

from .checks import whole


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add the folder, the number of workers and the switch of the progress bar."""
    parser.add_argument('root', help='folder of the data set')
    parser.add_argument('--workers', type=whole(0), help='how many work in parallel')
    parser.add_argument(
        '--no-progress', action='store_true', help='show no progress bar'
    )
