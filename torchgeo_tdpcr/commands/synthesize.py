# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr synthesize``."""

import argparse

from .arguments import add_root

NAME = 'synthesize'
HELP = 'write a synthetic data set in the layout of LuojiaSET-OSFCR'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('--num-rois', type=int, help='number of regions')
    parser.add_argument('--chips-per-roi', type=int, help='chips in each region')
    parser.add_argument('--chip-size', type=int, help='width of a chip in pixels')
    parser.add_argument('--seed', type=int, help='seed of everything random')
    add_root(parser)


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
