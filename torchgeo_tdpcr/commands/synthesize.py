# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr synthesize``."""

import argparse

from .arguments import add_root
from .checks import check_output, whole

NAME = 'synthesize'
HELP = 'write a synthetic data set in the layout of LuojiaSET-OSFCR'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('--num-rois', type=whole(1, 999), help='number of regions')
    parser.add_argument(
        '--chips-per-roi', type=whole(1, 9999), help='chips in each region'
    )
    parser.add_argument(
        '--chip-size', type=whole(32, 4096), help='width of a chip in pixels'
    )
    parser.add_argument('--seed', type=whole(0), help='seed of everything random')
    add_root(parser)


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    check_output('ROOT', args.root)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Writing a synthetic data set to '{args.root}'"


def run(args: argparse.Namespace) -> int:
    """Write a synthetic data set."""
    from ..datasets.synthetic import SyntheticOSFCR

    names = ('num_rois', 'chips_per_roi', 'chip_size', 'seed', 'workers')
    given = {name: getattr(args, name) for name in names}
    SyntheticOSFCR(
        args.root,
        progress=not args.no_progress,
        **{name: value for name, value in given.items() if value is not None},
    ).generate()
    print(f'Wrote {args.root}')
    return 0
