# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The model that maps: a checkpoint of the user's, or weights of the package."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...files import load_fault
from ...kinds import LEVELS
from ...weights import SUFFIX, shipped_names
from .arguments import user_path
from .processes import is_first_process

if TYPE_CHECKING:
    from ...datamodules import SceneDataModule
    from ...datasets.scenes.formats.parts import OpticalProduct
    from ...models import TDPCR_Weights
    from ...tasks import TDPCRTask


def add_model_choice(parser: argparse._ActionsContainer) -> None:
    """Add the arguments that choose the model."""
    parser.add_argument(
        '--checkpoint',
        type=user_path,
        help='checkpoint of TDPCRTask, or weights that were exported of one '
        f'({SUFFIX}), in place of weights of the package',
    )
    parser.add_argument(
        '--weights',
        choices=shipped_names(),
        help='weights of the package (default: those that fit the level and the bands of '
        'the scenes); `torchgeo-tdpcr weights` lists them',
    )


def add_match_clear(parser: argparse._ActionsContainer) -> None:
    """Add the switch of what puts right how models restore colours."""
    parser.add_argument(
        '--match-clear',
        action=argparse.BooleanOptionalAction,
        help='match the colours under clouds to the clear pixels around, where there is a '
        'cloud mask; takes up to twice the time (default: with weights of the package)',
    )


def check_model_choice(args: argparse.Namespace) -> None:
    """Raise where both are given."""
    if args.checkpoint and args.weights:
        raise ValueError(
            f'`--checkpoint {args.checkpoint} --weights {args.weights}`: give one of '
            'them.'
        )


def load_chosen(
    args: argparse.Namespace, datamodule: 'SceneDataModule'
) -> tuple['TDPCRTask', dict[str, Any]]:
    """Load the task that was chosen, or that fits the scenes.

    Args:
        args: Arguments of the command.
        datamodule: The scenes.

    Returns:
        The task, and what a STAC item is to say of it.

    Raises:
        ValueError: If a checkpoint cannot be read, or no weights fit.
    """
    from ...models import TDPCR_Weights
    from ...tasks import TDPCRTask

    if args.checkpoint:
        task = _of_checkpoint(args.checkpoint, bool(args.match_clear))
        return task, {'tdpcr:checkpoint': args.checkpoint}
    if args.weights:
        weights = TDPCR_Weights[args.weights]
    else:
        weights = fitting_weights(datamodule.products())
    summary = weights.meta['summary']
    if is_first_process():
        text = (
            f'Weights of the package: {weights.name}, of level {weights.meta["level"]}, '
            'trained on synthetic clouds; `torchgeo-tdpcr weights` tells what they are '
            'worth.'
        )
        print(text, file=sys.stderr, flush=True)
    about = {'tdpcr:weights': weights.name, 'tdpcr:weights_summary': summary}
    # They have learnt the colours of synthetic land
    matching = args.match_clear is not False
    return TDPCRTask.load_from_weights(weights, match_clear=matching), about


def fitting_weights(products: Sequence['OpticalProduct']) -> 'TDPCR_Weights':
    """The weights of the package that are of the level of products and have their bands.

    Args:
        products: The products.

    Raises:
        ValueError: If there are none, or the products are of both levels.
    """
    from ...models import TDPCR_Weights

    of_level = {level: [p for p in products if p.level == level] for level in LEVELS}
    levels = [level for level, some in of_level.items() if some]
    if len(levels) > 1:
        found = (
            f'{level}: {", ".join(product.name for product in of_level[level][:3])}'
            for level in levels
        )
        raise ValueError(
            'These scenes are of both levels of Sentinel-2, which no weights are: '
            f'{"; ".join(found)}. Map those of each level on their own.'
        )
    sets = [frozenset(product.bands) for product in products] or [frozenset()]
    available = frozenset.intersection(*sets)
    for weights in TDPCR_Weights:
        if weights.meta['level'] in levels and available >= set(weights.meta['bands']):
            return weights
    names = ' '.join(sorted(available))
    there = f'are of level {levels[0]} and have the bands {names}' if levels else ''
    needed = {w.meta['level']: ' '.join(w.meta['bands']) for w in TDPCR_Weights}
    raise ValueError(
        'No weights of the package fit these scenes, which '
        f'{there or "cannot be read"}. Needed are, by level: {needed}. Give a model of '
        'your own as `--checkpoint`.'
    )


def _of_checkpoint(path: str, matching: bool) -> 'TDPCRTask':
    from ...tasks import TDPCRTask

    try:
        if path.lower().endswith(SUFFIX):
            task = TDPCRTask.load_from_weights(path, match_clear=matching)
        else:
            task = TDPCRTask.load_from_checkpoint(
                path, map_location='cpu', match_clear=matching
            )
    except Exception as error:
        raise ValueError(
            f'`--checkpoint {path}` cannot be read as a checkpoint of '
            f'TDPCRTask ({load_fault(error)}). Give a file that training wrote, '
            'such as lightning_logs/version_0/checkpoints/….ckpt, or that '
            f'`export_weights` wrote ({SUFFIX}).'
        ) from error
    if task.hparams['lcs_input'] == 'clear':
        raise ValueError(
            f'`--checkpoint {path}` maps land cover from clear images '
            '(`lcs_input=clear`), which scenes under clouds do not have. Give one that '
            'was trained on cloudy images, or that removes clouds.'
        )
    return task
