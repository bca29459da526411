# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr map``."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

from ..kinds import LAYERS, MASK_WORDS
from .shared.arguments import add_declared, add_trusted, declared_of, user_path
from .shared.checks import check_output, number, whole
from .shared.model_choice import (
    add_match_clear,
    add_model_choice,
    check_model_choice,
    load_chosen,
)
from .shared.processes import is_first_process
from .shared.warning_lines import warnings_as_lines
from .shared.wording import in_options

NAME = 'map'
HELP = 'remove the clouds of scenes and map their land cover'
DESCRIPTION = (
    'Remove the clouds of Sentinel-2 scenes with the help of Sentinel-1, and map their '
    'land cover: a folder of GeoTIFFs for each. Scenes that are there already are left '
    'alone, so a run that was killed goes on. Ends with status 0 if all scenes are '
    'mapped, 1 if some are not, 2 if none could be tried.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    scenes = parser.add_argument_group('scenes')
    scenes.add_argument(
        '--s2', nargs='+', type=user_path, help='Sentinel-2 products, or their folder'
    )
    scenes.add_argument(
        '--s1', nargs='+', type=user_path, help='Sentinel-1 rasters, or their folder'
    )
    scenes.add_argument(
        '--cloud-mask',
        '--mask',
        type=_mask,
        metavar='FILE|auto|product',
        help='cloud mask; auto: found in the image by ukis-csmask, which is installed by '
        "pip install 'torchgeo-tdpcr[clouds]' (default: that of the product, if any)",
    )
    scenes.add_argument(
        '--composite',
        action='store_true',
        help='the products of --s2 are dates of one place: where the first is cloudy, '
        'clear pixels of the others stand for it, and what the model restores only where '
        'there are none',
    )
    scenes.add_argument(
        '--pairs',
        type=user_path,
        help='table in place of these: a CSV file with the columns s2 and s1 (slices with '
        '| between them), and optionally cloud_mask, name and other_dates (with | '
        'between them)',
    )
    scenes.add_argument(
        '--max-days',
        type=number(0),
        help='most days between the two; unknown dates are refused then (default: 15, '
        'and unknown dates are told)',
    )
    add_declared(scenes)
    scenes.add_argument(
        '--min-sar-cover',
        type=number(0, 1),
        default=0.9,
        help='part that radar must cover (default: 0.9)',
    )
    add_trusted(scenes)
    model = parser.add_argument_group('model')
    add_model_choice(model)
    model.add_argument(
        '--model-bands',
        dest='bands',
        nargs='+',
        help='bands of the model (default: those that it was trained with)',
    )
    model.add_argument(
        '--sar-clip',
        choices=('joint', 'shared'),
        help='clip range of radar that the model was trained with (default: what it '
        'tells itself)',
    )
    model.add_argument(
        '--patch-size', type=whole(1), default=256, help='window (default: 256 pixels)'
    )
    model.add_argument(
        '--overlap', type=whole(0), default=64, help='of windows (default: 64 pixels)'
    )
    model.add_argument(
        '--batch-size', type=whole(1), default=4, help='windows in a batch (default: 4)'
    )
    model.add_argument(
        '--num-workers', type=whole(0), default=0, help='reading processes'
    )
    add_match_clear(model)
    model.add_argument('--compile', action='store_true', help='compile the model')
    model.add_argument('--precision', default='32-true', help='such as bf16-mixed')
    model.add_argument('--accelerator', default='auto', help='cpu, gpu, …')
    model.add_argument('--devices', default='auto', help='how many')
    model.add_argument('--strategy', default='auto', help='such as ddp')
    model.add_argument(
        '--num-nodes', type=whole(1), default=1, help='how many machines'
    )
    output = parser.add_argument_group('output')
    output.add_argument(
        '--output-dir',
        '--output',
        type=user_path,
        default='maps',
        help='folder to write to (default: maps)',
    )
    output.add_argument(
        '--layers',
        nargs='+',
        # Tasks of this command predict no plain tensor
        choices=[name for name in LAYERS if name != 'prediction'],
        help='what to write (default: image and classes)',
    )
    output.add_argument(
        '--keep-clear', action='store_true', help='keep observed pixels that are clear'
    )
    output.add_argument(
        '--feather',
        type=whole(0),
        default=8,
        help='border around clouds (default: 8 pixels)',
    )
    output.add_argument(
        '--class-names',
        nargs='+',
        help='names of the classes (default: those of the model)',
    )
    output.add_argument(
        '--overwrite', action='store_true', help='replace other maps of these scenes'
    )
    output.add_argument('--no-progress', action='store_true', help='no progress bar')


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    given = args.s2 is not None, args.s1 is not None, args.pairs is not None
    if given not in ((True, True, False), (False, False, True)):
        raise ValueError(
            'Give `--s2` and `--s1`, or a table as `--pairs`, and not both.'
        )
    if args.composite and len(args.s2 or ()) < 2:
        raise ValueError(
            '`--composite` takes several dates of one place as `--s2`, the one to be '
            'mapped first. In a table, they are a column.'
        )
    check_model_choice(args)
    _check_paths(args)
    check_output('--output', args.output_dir)


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    chosen = args.checkpoint or args.weights
    model = f" with '{chosen}'" if chosen else ''
    return f"Mapping{model} into '{args.output_dir}'"


def run(args: argparse.Namespace) -> int:
    """Map the scenes. Returns 1 if some could not be mapped, else 0."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch import Trainer

    from ..callbacks import ScenesFailed, SceneWriter
    from ..datamodules import SceneDataModule

    # The advertisements of Lightning, and warnings that nobody can do anything about
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    warnings.filterwarnings('ignore', '.*LeafSpec.*')
    datamodule = SceneDataModule(
        s2=_one_or_many(args.s2),
        s1=_one_or_many(args.s1),
        cloud_mask=args.cloud_mask,
        pairs=args.pairs,
        max_days=args.max_days,
        bands=args.bands,
        **declared_of(args),
        sar_clip=args.sar_clip,
        min_sar_cover=args.min_sar_cover,
        patch_size=args.patch_size,
        overlap=args.overlap,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        trusted=args.trusted,
        composite=args.composite,
    )
    task, about = load_chosen(args, datamodule)
    if args.compile:
        task.model.compile()
    writer = SceneWriter(
        args.output_dir,
        layers=args.layers,
        keep_clear=args.keep_clear,
        feather=args.feather,
        class_names=args.class_names,
        overwrite=args.overwrite,
        progress=not args.no_progress,
        properties=about,
    )
    try:
        trainer = Trainer(
            accelerator=args.accelerator,
            devices=args.devices,
            strategy=args.strategy,
            num_nodes=args.num_nodes,
            precision=args.precision,
            callbacks=[writer],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
    except (MisconfigurationException, ImportError) as error:
        # What an accelerator or a precision needs may not be installed
        raise ValueError(
            f'`--accelerator {args.accelerator} --devices {args.devices} --strategy '
            f'{args.strategy} --precision {args.precision}`: {error}'
        ) from error
    if is_first_process():
        print('Opening the scenes …', file=sys.stderr, flush=True)
    try:
        with warnings_as_lines(args.parser):
            trainer.predict(task, datamodule=datamodule, return_predictions=False)
    except ScenesFailed as error:
        print(in_options(str(error), args.parser), file=sys.stderr)
        return 1
    except (RuntimeError, ConnectionResetError, EOFError) as error:
        # Which of them, depends on what was under way when a worker was killed
        if isinstance(error, RuntimeError) and 'DataLoader worker' not in str(error):
            raise
        print(
            f'{error}\nA process that reads was killed, perhaps for want of memory: give '
            'fewer `--num-workers`. The same command goes on from here.',
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, SystemExit):
        print('Interrupted. The same command goes on from here.', file=sys.stderr)
        raise
    return 0


def _check_paths(args: argparse.Namespace) -> None:
    """Raise for paths that are not there, before anything heavy is imported."""
    for option in ('checkpoint', 's2', 's1', 'pairs', 'cloud_mask'):
        given = getattr(args, option) or []
        for path in [given] if isinstance(given, str) else given:
            # Those of GDAL's virtual file systems are looked for when they are opened
            word = option == 'cloud_mask' and path in MASK_WORDS
            if not (word or path.startswith('/vsi') or Path(path).exists()):
                name = option.replace('_', '-')
                raise FileNotFoundError(f'`--{name} {path}`: there is no such file.')


def _mask(text: str) -> str:
    """A word for a mask, or the path of one; `./auto` is a path."""
    if text.lower() in MASK_WORDS:
        return text.lower()
    path = user_path(text)
    return str(Path(path).absolute()) if path in MASK_WORDS else path


def _one_or_many(paths: list[str] | None) -> str | list[str] | None:
    return paths[0] if paths and len(paths) == 1 else paths
