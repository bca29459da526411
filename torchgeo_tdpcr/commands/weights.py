# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr weights``."""

import argparse
import json

from ..weights import read_meta, shipped_names

NAME = 'weights'
HELP = 'list the trained weights that come with the package'
DESCRIPTION = (
    'List the trained weights that come with the package, what they take, and how well '
    'they do. `torchgeo-tdpcr map` takes those that fit the scenes.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        '--json', action='store_true', help='print all that is known of them, as JSON'
    )


def check(args: argparse.Namespace) -> None:
    """There is nothing that could be wrong."""


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return 'Listing weights'


def run(args: argparse.Namespace) -> int:
    """List the weights."""
    known = {name: read_meta(name) for name in shipped_names()}
    if args.json:
        print(json.dumps(known, indent=2, ensure_ascii=False))
        return 0
    for name, meta in known.items():
        print(name)
        lines = {
            'level': meta['level'],
            'bands': ' '.join(meta['bands']),
            'radar': f'{" ".join(meta["sar_bands"])} in dB',
            'classes': ' '.join(meta['classes']),
            'trained on': meta['dataset'],
            'in short': meta['summary'],
        }
        width = max(map(len, lines))
        for title, value in lines.items():
            print(f'  {title:<{width}}  {value}')
        print('  measured')
        for figure, value in meta['figures'].items():
            print(f'  {value:>7.2f}  {figure}')
    return 0
