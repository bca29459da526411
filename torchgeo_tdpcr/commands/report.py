# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr report``: a page or a picture of a mapped scene."""

import argparse
from pathlib import Path

from .arguments import add_trusted, user_path

NAME = 'report'
HELP = 'show a mapped scene, before and after, as an HTML page or a picture'
DESCRIPTION = (
    'Write an HTML page, one file, about a scene that `torchgeo-tdpcr map` has mapped: '
    'before and after, land cover and its areas, what changed most. Or one picture, '
    'where the output ends in .png or .pdf.'
)
PAGES = ('.html', '.htm')
PICTURES = ('.png', '.jpg', '.pdf', '.svg')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'scene', type=user_path, metavar='SCENE_FOLDER', help='folder of the scene'
    )
    parser.add_argument(
        '--truth',
        type=user_path,
        help='clear Sentinel-2 product on the same grid, to compare with',
    )
    parser.add_argument(
        '--output',
        type=user_path,
        help='file to write (report.html in the folder of the scene)',
    )
    add_trusted(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page or the picture."""
    from ..datasets.sources import trusting
    from ..figures import plot_scene, write_report
    from ..figures.saving import save_figure

    path = Path(args.output or Path(args.scene) / 'report.html')
    suffix = path.suffix.lower()
    if suffix in PAGES:
        with trusting(args.trusted):
            write_report(args.scene, path, args.truth)
    elif suffix in PICTURES:
        with trusting(args.trusted):
            figure = plot_scene(args.scene, args.truth)
        save_figure(figure, path)
    else:
        raise ValueError(
            f'`--output {args.output}`: give it one of the endings '
            f'{", ".join(PAGES + PICTURES)}.'
        )
    print(f'Wrote {path}')
    return 0
