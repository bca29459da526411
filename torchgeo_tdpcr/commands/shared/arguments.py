# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Arguments that commands over data sets share."""

import argparse
from fractions import Fraction
from typing import Any

from ...files import expanded
from ...kinds import CLOUD_MASK_KINDS, SAR_SCALES
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


def add_declared(parser: argparse._ActionsContainer) -> None:
    """Add what a user may say of files that do not say it themselves."""
    parser.add_argument(
        '--bands',
        dest='all_bands',
        nargs='+',
        metavar='BAND',
        help='order of the bands of Sentinel-2 rasters (default: found out)',
    )
    parser.add_argument(
        '--scale',
        type=_fraction,
        help='reflectance of one unit of Sentinel-2, such as 0.0001 for digital numbers '
        'or 1/65535 (default: found out)',
    )
    parser.add_argument(
        '--offset',
        type=float,
        choices=(0, 1000),
        help='what digital numbers carry on top (default: found out)',
    )
    parser.add_argument(
        '--any-res',
        action='store_true',
        help='take Sentinel-2 of other pixels than 10 m',
    )
    parser.add_argument(
        '--polarisations',
        nargs='+',
        metavar='NAME',
        help='order of the bands of Sentinel-1 rasters, such as VH VV (default: found '
        'out)',
    )
    parser.add_argument(
        '--sar-scale',
        choices=('auto', *SAR_SCALES),
        default='auto',
        help='what Sentinel-1 is in (default: found out)',
    )
    parser.add_argument(
        '--cloud-mask-kind',
        choices=('auto', *CLOUD_MASK_KINDS),
        default='auto',
        help='what the numbers of cloud masks mean (default: found out)',
    )


def declared_of(args: argparse.Namespace) -> dict[str, Any]:
    """What was said of files, as Python's arguments."""
    return {
        'all_bands': args.all_bands,
        'scale': args.scale,
        'offset': 'auto' if args.offset is None else args.offset,
        'any_res': args.any_res,
        'polarisations': args.polarisations,
        'sar_scale': args.sar_scale,
        'cloud_mask_kind': args.cloud_mask_kind,
    }


def _fraction(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from None


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add the folder, the number of workers and the switch of the progress bar."""
    parser.add_argument('root', type=user_path, help='folder of the data set')
    parser.add_argument('--workers', type=whole(0), help='how many work in parallel')
    parser.add_argument(
        '--no-progress', action='store_true', help='show no progress bar'
    )
