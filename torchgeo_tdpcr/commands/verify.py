# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr verify``."""

import argparse
import json
from collections import Counter

from .shared.arguments import add_root
from .shared.checks import check_folder, whole

NAME = 'verify'
HELP = 'list everything that is wrong with the files of a data set'
DESCRIPTION = (
    'List everything that is wrong with the files of a data set. '
    'Ends with status 0 if nothing is, 1 if something is, 2 if it cannot tell.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('--json', action='store_true', help='print a JSON array')
    parser.add_argument(
        '--num-classes',
        type=whole(1, 255),
        default=7,
        help='number of land-cover classes',
    )
    add_root(parser)


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    check_folder('ROOT', args.root)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Verifying '{args.root}'"


def run(args: argparse.Namespace) -> int:
    """List the faults of a data set. Returns 1 if there are any, else 0."""
    from ..datasets.chips.verify import verify

    faults = verify(
        args.root,
        num_classes=args.num_classes,
        workers=args.workers,
        progress=not args.no_progress,
    )
    if args.json:
        print(json.dumps([fault.as_dict() for fault in faults], indent=2))
        return int(bool(faults))
    for fault in faults:
        print(fault)
    if faults:
        kinds = Counter(fault.kind for fault in faults)
        counts = ', '.join(f'{kind}: {count}' for kind, count in kinds.most_common())
        files = len({fault.path for fault in faults})
        print(f'{len(faults)} faults in {files} files ({counts})')
    else:
        print('No faults.')
    return int(bool(faults))
