# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr index``."""

import argparse

from .shared.arguments import add_root
from .shared.checks import check_folder

NAME = 'index'
HELP = 'build the index of a data set and count its chips'
DESCRIPTION = (
    'Build the index of a data set, or check that it is up to date, and count its '
    'chips.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_root(parser)


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    check_folder('ROOT', args.root)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Indexing '{args.root}'"


def run(args: argparse.Namespace) -> int:
    """Build the index of a data set and count its chips."""
    from ..datasets.chips.index import load_table
    from ..datasets.chips.layout import find_layout

    layout, root = find_layout(args.root)
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
