# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The command ``torchgeo-tdpcr``: verify a data set, build its index, synthesize one.

Training and testing go through TorchGeo's own command, ``torchgeo``.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='torchgeo-tdpcr', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    verify = commands.add_parser(
        'verify',
        help='list everything that is wrong with the files of a data set',
        description='List everything that is wrong with the files of a data set. '
        'Ends with status 0 if nothing is, 1 if something is, 2 if it cannot tell.',
    )
    verify.add_argument('--json', action='store_true', help='print a JSON array')
    verify.add_argument(
        '--num-classes', type=int, default=7, help='number of land-cover classes'
    )
    index = commands.add_parser(
        'index',
        help='build the index of a data set and count its chips',
        description='Build the index of a data set, or check that it is up to date, '
        'and count its chips.',
    )
    synthesize = commands.add_parser(
        'synthesize',
        help='write a synthetic data set in the layout of LuojiaSET-OSFCR',
        description='Write a synthetic data set in the layout of LuojiaSET-OSFCR.',
    )
    synthesize.add_argument('--num-rois', type=int, help='number of regions')
    synthesize.add_argument('--chips-per-roi', type=int, help='chips in each region')
    synthesize.add_argument('--chip-size', type=int, help='width of a chip in pixels')
    synthesize.add_argument('--seed', type=int, help='seed of everything random')
    for command in (verify, index, synthesize):
        command.add_argument('root', help='folder of the data set')
        command.add_argument('--workers', type=int, help='how many work in parallel')
        command.add_argument(
            '--no-progress', action='store_true', help='show no progress bar'
        )
    return parser


def run_verify(args: argparse.Namespace) -> int:
    """List the faults of a data set. Returns 1 if there are any, else 0."""
    from .datasets.verify import verify

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


def run_index(args: argparse.Namespace) -> int:
    """Build the index of a data set and count its chips."""
    from .datasets.index import load_table
    from .datasets.layout import OSFCRLayout, SEN12MSCRLayout, find_root

    for layout in (OSFCRLayout(), SEN12MSCRLayout()):
        if (root := find_root(layout, args.root)) is not None:
            break
    else:
        raise FileNotFoundError(
            f"'{args.root}' holds no data set. Looked for {OSFCRLayout.looked_for}; or "
            f'for {SEN12MSCRLayout.looked_for}.'
        )
    table = load_table(
        layout, root, workers=args.workers, progress=not args.no_progress
    )
    complete = table[(table['reference'] != '') & (table['fault'] == '')]
    print(f'{root}: {layout.name}, {len(table)} chips, {len(complete)} of them placed')
    for column in (layout.group, 'epsg'):
        print(f'  by {column}:')
        for value, count in complete[column].value_counts().sort_index().items():
            print(f'    {value}: {count}')
    return 0


def run_synthesize(args: argparse.Namespace) -> int:
    """Write a synthetic data set."""
    from .datasets.synthetic import SyntheticOSFCR

    names = ('num_rois', 'chips_per_roi', 'chip_size', 'seed', 'workers')
    given = {name: getattr(args, name) for name in names}
    SyntheticOSFCR(
        args.root,
        progress=not args.no_progress,
        **{name: value for name, value in given.items() if value is not None},
    ).generate()
    print(f'Wrote {args.root}')
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments (defaults to those of the process).

    Returns:
        Status for the shell: 0 for success, 1 if ``verify`` found faults, 2 for errors.
    """
    args = make_parser().parse_args(argv)
    run = {'verify': run_verify, 'index': run_index, 'synthesize': run_synthesize}
    try:
        return run[args.command](args)
    except (OSError, ValueError, RuntimeError) as error:
        print(f'torchgeo-tdpcr {args.command}: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
