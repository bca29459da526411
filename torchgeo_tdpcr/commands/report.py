# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr report``: a page or a picture of a mapped scene."""

import argparse
from pathlib import Path

from .shared.arguments import add_trusted, user_path
from .shared.checks import check_file, check_folder, check_output

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
        help='clear Sentinel-2 product on the same grid, to compare with; where nothing '
        'tells its offset, the `--offset` that the scene was mapped with counts',
    )
    parser.add_argument(
        '--truth-land-cover',
        type=user_path,
        metavar='LABELS',
        help='raster of true labels on the same grid, to compare the land cover with',
    )
    parser.add_argument(
        '--output',
        type=user_path,
        help='file to write (report.html in the folder of the scene)',
    )
    add_trusted(parser)


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    check_folder('SCENE_FOLDER', args.scene)
    # One of GDAL's virtual file systems is looked for when it is opened
    if args.truth is not None and not args.truth.startswith('/vsi'):
        check_file('--truth', args.truth, folder=True)
    if args.truth_land_cover is not None:
        check_file('--truth-land-cover', args.truth_land_cover)
    path = output_of(args)
    if path.suffix.lower() not in PAGES + PICTURES:
        raise ValueError(
            f'`--output {args.output}`: give it one of the endings '
            f'{", ".join(PAGES + PICTURES)}.'
        )
    check_output('--output', str(path), folder=False)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Reporting on '{args.scene}'"


def output_of(args: argparse.Namespace) -> Path:
    """The file to write."""
    return Path(args.output or Path(args.scene) / 'report.html')


def run(args: argparse.Namespace) -> int:
    """Write the page or the picture."""
    from ..datasets.sources import trusting
    from ..figures import plot_scene, write_report
    from ..figures.saving import save_figure

    path = output_of(args)
    if path.suffix.lower() in PAGES:
        with trusting(args.trusted):
            write_report(
                args.scene, path, args.truth, truth_land_cover=args.truth_land_cover
            )
    else:
        with trusting(args.trusted):
            figure = plot_scene(
                args.scene, args.truth, truth_land_cover=args.truth_land_cover
            )
        save_figure(figure, path)
    print(f'Wrote {path}')
    return 0
