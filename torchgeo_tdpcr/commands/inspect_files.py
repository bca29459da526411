# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr inspect``."""

import argparse
import json
from typing import Any

from .shared.arguments import add_declared, add_trusted, declared_of, user_path
from .shared.checks import check_file
from .shared.wording import in_options

NAME = 'inspect'
HELP = 'say how Sentinel-2, Sentinel-1 and cloud masks would be read'
DESCRIPTION = (
    'Say how files would be read, without a model: their form, the bands in order, scale, '
    'offset and what tells it, medians, date, cover, and the cloud mask. Ends with status '
    '0 if all would be read, 1 if some are refused, 2 if nothing could be looked at.'
)

_TITLES = {'s2': 'Sentinel-2', 's1': 'Sentinel-1', 'cloud_mask': 'cloud mask'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'paths',
        nargs='+',
        type=user_path,
        metavar='PATH',
        help='products, rasters, masks, or folders of them',
    )
    parser.add_argument(
        '--as',
        dest='what',
        choices=tuple(_TITLES),
        help='what they are (default: found out)',
    )
    add_declared(parser)
    add_trusted(parser)
    parser.add_argument('--json', action='store_true', help='print a JSON array')


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    for path in args.paths:
        # Those of GDAL's virtual file systems are looked for when they are opened
        if not path.startswith('/vsi'):
            check_file('PATH', path, folder=True)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Inspecting '{args.paths[0]}'" + ' and others' * (len(args.paths) > 1)


def run(args: argparse.Namespace) -> int:
    """Say how files would be read. Returns 1 if some would not, else 0."""
    from ..datasets.scenes.declared import declare
    from ..datasets.scenes.inspection import Inspection, inspect

    declared = declare(**declared_of(args))
    found: list[Inspection] = []
    for path in args.paths:
        for item in inspect(path, declared, args.what, args.trusted):
            item.refused = in_options(item.refused, args.parser)
            found.append(item)
            if not args.json:
                print(_text(item), flush=True)
    if args.json:
        items = [
            {
                'path': str(item.path),
                'what': item.what,
                **{name.replace(' ', '_'): value for name, value in item.facts.items()},
                'refused': item.refused or None,
            }
            for item in found
        ]
        print(json.dumps(items, indent=2, ensure_ascii=False))
    return int(any(item.refused for item in found))


def _text(item: Any) -> str:
    lines = [f"'{item.path}': {_TITLES[item.what]}"]
    width = max(map(len, item.facts), default=0)
    for name, value in item.facts.items():
        rows = _rows(value)
        lines.append(f'  {name:<{width}}  {rows[0]}')
        lines += [f'  {"":<{width}}  {row}' for row in rows[1:]]
    if item.refused:
        lines.append(f'  refused: {item.refused}')
    return '\n'.join(lines)


def _rows(value: Any) -> list[str]:
    """A fact in lines."""
    if isinstance(value, dict):
        rows = [f'{name}: {part}' for name, part in value.items()]
        # Short ones side by side
        if all(len(row) < 16 for row in rows):
            return ['  '.join(rows)]
        return rows
    if isinstance(value, list):
        return list(map(str, value)) or ['none']
    return [str(value)]
