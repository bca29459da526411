# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""``torchgeo-tdpcr figures``: Figs. 3 to 5 of the paper on any data set."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import expanded, load_fault
from .shared.arguments import user_path
from .shared.checks import check_folder, check_output, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor
    from torchgeo.datasets.utils import Sample

NAME = 'figures'
HELP = 'compare what models make of some chips: restoration, prompts, land cover'
DESCRIPTION = (
    'Draw what one or several models make of some chips of a data set, as Figs. 3 to '
    '5 of the paper do: the restored images, the learned prompts, the land cover.'
)
FIGURES = ('restoration', 'prompts', 'land-cover')
SPLITS = ('train', 'val', 'test', 'all')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        '--checkpoint',
        action='extend',
        nargs='+',
        required=True,
        metavar='NAME=FILE',
        help='a checkpoint and the name of its column, or several',
    )
    parser.add_argument(
        '--data', required=True, type=user_path, metavar='ROOT', help='data set'
    )
    parser.add_argument(
        '--dataset', choices=('osfcr', 'sen12mscr'), default='osfcr', help='its kind'
    )
    parser.add_argument('--split', choices=SPLITS, default='test')
    parser.add_argument(
        '--split-by',
        choices=('published', 'roi', 'component'),
        default='published',
        help='how LuojiaSET-OSFCR is parted (%(default)s)',
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        '--chips',
        type=whole(0),
        nargs='+',
        metavar='ROW',
        help='rows of the split to draw',
    )
    chosen.add_argument(
        '--number',
        type=int,
        default=4,
        help='how many chips to draw, spread over the cloud cover (%(default)s)',
    )
    parser.add_argument(
        '--figure', choices=(*FIGURES, 'all'), default='all', help='which (%(default)s)'
    )
    parser.add_argument(
        '--output', type=user_path, default='figures', help='folder (%(default)s)'
    )
    parser.add_argument('--suffix', choices=('png', 'pdf'), default='png')
    parser.add_argument('--dpi', type=whole(1), default=150, help='(%(default)s)')
    parser.add_argument(
        '--bands', nargs='+', help='bands of the models (those of the checkpoints)'
    )
    parser.add_argument(
        '--sar-clip',
        choices=('joint', 'shared'),
        help='as in training (that of the checkpoints)',
    )
    parser.add_argument(
        '--class-names', nargs='+', help='of the land cover (those of the checkpoint)'
    )
    parser.add_argument('--device', default='cpu', help='(%(default)s)')


def check(args: argparse.Namespace) -> None:
    """Raise for arguments that cannot be right."""
    parse_checkpoints(args.checkpoint)
    check_folder('--data', args.data)
    check_number(args.number)
    check_output('--output', args.output)


def check_number(number: int) -> None:
    """Raise unless there is something to draw."""
    if number < 1:
        raise ValueError(f'`--number {number}`: draw at least one chip.')


def doing(args: argparse.Namespace) -> str:
    """Say what is about to be done."""
    return f"Drawing chips of '{args.data}' for '{args.output}'"


def run(args: argparse.Namespace) -> int:
    """Draw the figures."""
    import torch

    from ..figures.saving import save_figure

    tasks = {
        name: load_task(path, args.device)
        for name, path in parse_checkpoints(args.checkpoint).items()
    }
    segments = [name for name, task in tasks.items() if task.phase.segments]
    if args.figure == 'land-cover' and not segments:
        raise ValueError(
            '`--figure land-cover`: none of the checkpoints was trained to map land '
            'cover. Give one of Phase 2.'
        )
    names = class_names(args.class_names, [tasks[name] for name in segments])
    module, dataset = open_data(args, names, tasks)
    rows = args.chips or spread_rows(dataset.index, args.number)
    for row in rows:
        if not 0 <= row < len(dataset):
            raise ValueError(
                f'`--chips {row}`: `--split {args.split}` has the rows 0 to '
                f'{len(dataset) - 1}.'
            )
    samples: list[Sample] = []
    made: dict[str, dict[str, list[Tensor]]] = {}
    for row in rows:
        batch = module.aug({k: v[None] for k, v in dataset[row].items()})
        sample = {key: value[0] for key, value in batch.items()}
        samples.append(module.denormalize(sample))
        for name, task in tasks.items():
            keys = ('image', 'image_sar', 'image_clear')
            inputs = {k: batch[k].to(args.device) for k in keys if k in batch}
            with torch.inference_mode():
                outputs = task.predict_step(inputs, 0)
            if name not in segments:
                # An untrained head maps nothing worth showing.
                outputs.pop('probabilities', None)
            if 'reconstruction' in outputs:
                restored = outputs['reconstruction'].cpu()[0]
                restored = module.denormalize({**sample, 'reconstruction': restored})
                outputs['reconstruction'] = restored['reconstruction'][None]
            for key, value in outputs.items():
                made.setdefault(key, {}).setdefault(name, []).append(value[0].cpu())
    wanted = FIGURES if args.figure == 'all' else (args.figure,)
    titles = [chip_title(dataset.index, row) for row in rows]
    rgb = [dataset.bands.index(band) for band in dataset.rgb_bands]
    for figure in wanted:
        drawn = draw(figure, samples, made, rgb, titles, names)
        if drawn is None:
            print(f'No {figure}: none of the models makes what it shows.')
            continue
        path = Path(args.output) / f'{figure}.{args.suffix}'
        save_figure(drawn, path, args.dpi)
        print(f'Wrote {path}')
    return 0


def parse_checkpoints(given: Sequence[str]) -> dict[str, Path]:
    """Take ``NAME=FILE`` apart.

    Args:
        given: Such strings.

    Returns:
        The files by name.

    Raises:
        ValueError: If one has no name or no file, or a name is given twice.
        FileNotFoundError: If there is no such file.

    Example:
        >>> parse_checkpoints(['TDP-CR'])
        Traceback (most recent call last):
        ValueError: `--checkpoint TDP-CR`: write NAME=FILE, such as TDP-CR=last.ckpt.
    """
    files: dict[str, Path] = {}
    for text in given:
        # A file such as `epoch=04.ckpt` has an equals sign of its own.
        name, _, file = text.partition('=')
        if not name or not file:
            raise ValueError(
                f'`--checkpoint {text}`: write NAME=FILE, such as TDP-CR=last.ckpt.'
            )
        if name in files:
            raise ValueError(
                f'`--checkpoint {text}`: the name {name!r} is given twice.'
            )
        if not expanded(file).is_file():
            raise FileNotFoundError(f'`--checkpoint {text}`: there is no such file.')
        files[name] = expanded(file)
    return files


def load_task(path: Path, device: str) -> Any:
    """Load the task of a checkpoint for prediction."""
    from ..tasks import TDPCRTask

    try:
        task = TDPCRTask.load_from_checkpoint(path, map_location='cpu')
    except Exception as error:
        raise ValueError(
            f"'{path}' is no checkpoint of TDPCRTask: {load_fault(error)}."
        ) from error
    return task.eval().to(device)


def class_names(given: Sequence[str] | None, tasks: Sequence[Any]) -> list[str]:
    """Names of the land-cover classes: those given, else those of a checkpoint."""
    from ..input_record import same_names

    counts = {task.hparams['num_classes'] for task in tasks}
    if len(counts) > 1:
        raise ValueError(
            f'`--checkpoint`: the models map {sorted(counts)} classes. Draw models of '
            'the same classes together.'
        )
    count = counts.pop() if counts else 7
    known = [list(task.class_names) for task in tasks if task.class_names]
    names = list(given or (known or [[f'class {i}' for i in range(count)]])[0])
    if tasks and len(names) != count:
        raise ValueError(
            f'`--class-names` has {len(names)} names for the {count} classes of the '
            'checkpoints.'
        )
    for other in [*known, *([given] if given else [])]:
        if not same_names(other, known[0] if known else other):
            raise ValueError(
                f'`--class-names`: {known[0]} of a checkpoint, and {list(other)}. Draw '
                'models of the same classes together, and leave the names out.'
            )
    return names


def open_data(
    args: argparse.Namespace, names: Sequence[str], tasks: 'dict[str, Any]'
) -> tuple[Any, Any]:
    """Return the data module, for its normalisation, and the dataset of the split."""
    from ..datamodules import OSFCRDataModule, SEN12MSCRDataModule
    from ..datasets import OSFCR, SEN12MSCR

    split = None if args.split == 'all' else args.split
    scaling = {'bands': args.bands, 'sar_clip': args.sar_clip}
    module: Any
    dataset: Any
    # Not the dataset of the data module, which sets up more splits than are drawn.
    if args.dataset == 'osfcr':
        module = OSFCRDataModule(args.data, **scaling)
        feed(module, tasks)
        dataset = OSFCR(
            args.data,
            split,
            split_by=args.split_by,
            bands=module.kwargs['bands'],
            num_classes=len(names),
            class_names=names,
        )
    else:
        module = SEN12MSCRDataModule(args.data, **scaling)
        feed(module, tasks)
        dataset = SEN12MSCR(args.data, split, bands=module.kwargs['bands'])
    if not set(dataset.rgb_bands) <= set(dataset.bands):
        raise ValueError(
            f'`--bands {" ".join(dataset.bands)}`: a picture needs '
            f'{", ".join(dataset.rgb_bands)}.'
        )
    return module, dataset


def feed(module: Any, tasks: 'dict[str, Any]') -> None:
    """Have a data module feed what the checkpoints were trained with.

    Raises:
        ValueError: If an option, or another checkpoint, contradicts it.
    """
    for task in tasks.values():
        if task.input_record is not None:
            module.adopt_input(task.input_record)
            break
    for name, task in tasks.items():
        try:
            task.require_input(module)
        except ValueError as error:
            raise ValueError(f'`--checkpoint {name}=…`: {error}') from error


def spread_rows(index: Any, number: int) -> list[int]:
    """Choose chips evenly, from the least cloud cover to the most.

    Args:
        index: Index of a dataset. Where it has no cloud cover, its own order counts.
        number: How many; at most all.

    Returns:
        Their rows.

    Raises:
        ValueError: If *number* is less than one.
    """
    import numpy as np

    check_number(number)
    order = np.arange(len(index))
    if 'cover' in index:
        cover = index['cover'].str.extract(r'(\d+)', expand=False).astype(int)
        order = np.argsort(cover.to_numpy(), kind='stable')
    places = np.linspace(0, len(order) - 1, min(number, len(order))).round()
    return [int(row) for row in order[places.astype(int)]]


def chip_title(index: Any, row: int) -> str:
    """Say which chip a row is."""
    chip = index.iloc[row]
    group = chip.get('cover', chip.get('season', ''))
    return f'{group} ROI {chip["roi"]} p{chip["patch"]}'


def draw(
    figure: str,
    samples: 'Sequence[Sample]',
    made: 'dict[str, dict[str, list[Tensor]]]',
    rgb: Sequence[int],
    titles: Sequence[str],
    names: Sequence[str],
) -> 'Figure | None':
    """Draw one of the figures, None if no model makes what it shows."""
    from ..figures import plot_land_cover, plot_prompts, plot_restoration

    if figure == 'restoration' and 'reconstruction' in made:
        return plot_restoration(samples, made['reconstruction'], rgb, titles)
    if figure == 'prompts' and 'prompt' in made:
        prompts = {f'Prompt of {name}': made_ for name, made_ in made['prompt'].items()}
        return plot_prompts(samples, prompts, rgb, titles)
    if figure == 'land-cover' and 'probabilities' in made:
        maps = {
            name: [value.argmax(0) for value in values]
            for name, values in made['probabilities'].items()
        }
        return plot_land_cover(samples, maps, names, rgb, titles)
    return None
