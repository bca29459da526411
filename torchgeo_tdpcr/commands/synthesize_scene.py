# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr synthesize-scene``."""

import argparse
from pathlib import Path

from ..kinds import LEVELS
from .shared.arguments import user_path
from .shared.checks import check_output, number, whole

NAME = 'synthesize-scene'
HELP = 'write a synthetic scene: Sentinel-2, Sentinel-1 and the truth'


#: Arguments that the scene shares with its other dates.
OF_ALL_DATES = (
    'name', 'size', 'seed', 'cover', 'offset', 'sar_margin', 'date', 'level',
    'soft_clouds',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('root', type=user_path, help='folder to write to')
    parser.add_argument('--name', help='start of the names of the files (scene)')
    parser.add_argument(
        '--size',
        type=whole(32, 10_980),
        nargs='+',
        metavar='PIXELS',
        help='side, or height and width, in pixels of 10 m (1020)',
    )
    parser.add_argument('--seed', type=whole(0), help='seed of everything random (0)')
    parser.add_argument(
        '--kind',
        choices=('geotiff', 'bands', 'safe', 'zip'),
        help='form of the Sentinel-2 product: one GeoTIFF, one GeoTIFF a band, a SAFE '
        'folder or a zip of one (geotiff); all but the first need sizes that are '
        'multiples of 6',
    )
    parser.add_argument(
        '--cover', type=number(0, 1), help='part under cloud or shadow, 0 to 1 (0.4)'
    )
    parser.add_argument(
        '--offset',
        type=whole(0, 10_000),
        help='added to the optical digital numbers (1000)',
    )
    parser.add_argument(
        '--sar-epsg', type=int, help="EPSG code of the radar's CRS (the scene's)"
    )
    parser.add_argument(
        '--sar-res', type=number(1, 1000), help='pixel size of the radar in metres (10)'
    )
    parser.add_argument(
        '--sar-scale', choices=('db', 'linear'), help='scale of the backscatter (db)'
    )
    parser.add_argument(
        '--sar-margin',
        type=whole(0, 1000),
        help='pixels by which the radar extends beyond the scene (64)',
    )
    parser.add_argument(
        '--nodata-corner',
        action='store_true',
        help='leave a corner of the Sentinel-2 product empty',
    )
    parser.add_argument('--date', help='day of the acquisition (2020-06-04)')
    parser.add_argument(
        '--level',
        choices=LEVELS,
        help='level of the optical images, 2A without B10 and not as SAFE (1C)',
    )
    parser.add_argument(
        '--soft-clouds',
        action='store_true',
        help='let clouds thicken slowly from their edges, as real ones do',
    )
    parser.add_argument(
        '--other-days',
        nargs='+',
        type=int,
        default=(),
        metavar='DAYS',
        help='write Sentinel-2 of so many days later, too, or earlier if negative: '
        'GeoTIFFs with their truth and cloud masks',
    )


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    check_output('ROOT', args.root)
    if args.size is not None and len(args.size) > 2:
        raise ValueError(
            f'`--size` has {len(args.size)} numbers: give the side, or the height and '
            'the width.'
        )


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Writing a synthetic scene to '{args.root}'"


def run(args: argparse.Namespace) -> int:
    """Write a synthetic scene and print where its files are."""
    from ..datasets.scenes.formats.naming import product_name
    from ..datasets.synthetic.scene_dates import paths_of_dates, write_scene_dates
    from ..datasets.synthetic.scene_pair import write_scene_pair
    from ..transforms.bands import BASELINE_OFFSET

    names = (
        'name',
        'seed',
        'kind',
        'cover',
        'offset',
        'sar_epsg',
        'sar_res',
        'sar_scale',
        'sar_margin',
        'nodata_corner',
        'date',
        'level',
        'soft_clouds',
    )
    given = {name: getattr(args, name) for name in names}
    if args.size is not None:
        # one number is both
        given['size'] = (args.size[0], args.size[-1])
    given = {name: value for name, value in given.items() if value is not None}
    name, date = given.get('name', 'scene'), given.get('date', '2020-06-04')
    paths_of_dates(args.root, args.other_days, name, date)
    paths = write_scene_pair(args.root, **given)
    shared = {name: given[name] for name in OF_ALL_DATES if name in given}
    dates = write_scene_dates(args.root, args.other_days, **shared)
    for key, path in zip(paths._fields, paths, strict=True):
        print(f'{key}: {path}')
    for days, others in zip(args.other_days, dates, strict=True):
        for key, path in zip(others._fields, others, strict=True):
            when = f'{abs(days)} days {"later" if days >= 0 else "earlier"}'
            print(f'{key}, {when}: {path}')
    # A raster of level 2A does not tell its offset, for it has no B10
    told = (
        f' --offset {given.get("offset", BASELINE_OFFSET)}'
        if args.level == '2A'
        else ''
    )
    output = Path(args.root, 'maps')
    mapped = output / product_name(paths.s2)
    print(
        f'Map it: torchgeo-tdpcr map --s2 {paths.s2} --s1 {paths.s1}{told} '
        f'--mask {paths.clouds} --output {output}'
    )
    print(
        f'Compare: torchgeo-tdpcr report {mapped} '
        f'--truth {paths.clear} --truth-land-cover {paths.labels}'
    )
    if dates:
        files = ' '.join(str(others.s2) for others in dates)
        print(
            'Map them to one image: torchgeo-tdpcr map --composite --mask auto '
            f'--s1 {paths.s1} --s2 {paths.s2} {files}{told}'
        )
    return 0
