# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr synthesize``."""

import argparse

from .shared.arguments import add_root, user_path
from .shared.checks import check_output, number, whole

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
    parser.add_argument(
        '--level',
        choices=('1C', '2A'),
        help='of the optical images: reflectance at the top of the atmosphere (1C, the '
        'default) or at the surface (2A, without B10)',
    )
    parser.add_argument(
        '--layouts',
        type=user_path,
        help='folder of land-cover maps to lay regions out by, as GeoTIFFs with the '
        'labels of the classes',
    )
    parser.add_argument(
        '--layout-share',
        type=number(0, 1),
        help='part of the regions that maps lay out (default: 1)',
    )
    parser.add_argument(
        '--variety',
        type=number(0, 1),
        help='how far leaves, soils and roofs of a region differ from those of others '
        '(default: 0, those of one biome are alike)',
    )
    parser.add_argument(
        '--soft-clouds',
        type=number(0, 1),
        help='part of the skies whose clouds thicken slowly from their edges, as real '
        'ones do (default: 0)',
    )
    parser.add_argument(
        '--cities',
        type=number(0, 1),
        help='how much more is built up, and how many roofs are as bright as those of '
        'real towns (default: 0)',
    )
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

    sizes = ('num_rois', 'chips_per_roi', 'chip_size')
    options = ('level', 'layouts', 'layout_share', 'variety', 'soft_clouds', 'cities')
    names = (*sizes, 'seed', 'workers', *options)
    given = {name: getattr(args, name) for name in names}
    SyntheticOSFCR(
        args.root,
        progress=not args.no_progress,
        **{name: value for name, value in given.items() if value is not None},
    ).generate()
    print(f'Wrote {args.root}')
    return 0
