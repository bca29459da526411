# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How much a shift between SAR and optical images costs.

    python -m experiments.studies.registration RUNS [--runs cr-tdpcr cr-dsen2cr ...]

RUNS is a folder of runs of the tables. Both images are cut to the middle of the chip, SAR
a few pixels further to one side: no pixel is made up at the edges, and all shifts are
measured on the same optical pixels. The last column, SAR all zeros, is what having none
costs. Written are docs/results/registration.md, and a JSON file beside it with the
figures of every seed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchgeo_tdpcr import RestorationMetrics, SegmentationMetrics, TDPCRTask

from ..markdown import cell, table, write_page
from .trained import Batch, chips_of, find_runs, load_task, outputs_of

#: Rows down and columns to the right.
DIRECTIONS = {'right': (0, 1), 'down': (1, 0), 'left': (0, -1), 'up': (-1, 0)}

#: What is measured: score, title, digits.
SCORES = (
    ('psnr', 'PSNR (dB)', 2),
    ('psnr_cloudy', 'PSNR, cloudy pixels (dB)', 2),
    ('ssim', 'SSIM', 3),
    ('miou', 'mIoU', 3),
)

ZEROS = 'zeros'


def middle(x: Tensor, margin: int, dy: int = 0, dx: int = 0) -> Tensor:
    """Cut an image to its middle, or to what lies beside it.

    Args:
        x: …×H×W.
        margin: Pixels to leave out at each side.
        dy: Rows that what is cut out lies higher; its content moves down by these.
        dx: Columns that it lies further left; its content moves right by these.

    Returns:
        …×(H - 2·margin)×(W - 2·margin).

    Raises:
        ValueError: If nothing is left, or the shift is larger than the margin.
    """
    height, width = x.shape[-2:]
    if min(height, width) <= 2 * margin or max(abs(dy), abs(dx)) > margin:
        raise ValueError(
            f'`margin={margin}` does not go with `dy={dy}`, `dx={dx}` and images of '
            f'{height}×{width} pixels. Choose smaller shifts.'
        )
    rows = slice(margin - dy, height - margin - dy)
    columns = slice(margin - dx, width - margin - dx)
    return x[..., rows, columns]


def shifted(
    sar: Tensor, margin: int, shift: int, directions: Sequence[str], first: int
) -> Tensor:
    """Shift the SAR image of every chip of a batch, each in the direction of its turn.

    Args:
        sar: B×S×H×W.
        margin: Pixels to leave out at each side.
        shift: Pixels to shift by.
        directions: Directions, in turn.
        first: Number of the batch's first chip.

    Returns:
        B×S×(H - 2·margin)×(W - 2·margin).
    """
    moved = []
    for number, image in enumerate(sar, first):
        dy, dx = DIRECTIONS[directions[number % len(directions)]]
        moved.append(middle(image, margin, shift * dy, shift * dx))
    return torch.stack(moved)


def score(
    task: TDPCRTask,
    batches: Sequence[Batch],
    shift: int | None,
    margin: int,
    turns: Sequence[Sequence[str]],
) -> dict[str, float]:
    """Score a task with SAR shifted.

    Args:
        task: The task, in evaluation.
        batches: The chips.
        shift: Pixels to shift SAR by, or None to set it to zero.
        margin: Pixels to leave out at each side.
        turns: Passes over the chips: the directions of each, in turn.

    Returns:
        Of :data:`SCORES` what there is, over all passes.
    """
    restoration, segmentation = RestorationMetrics(), None
    if task.phase.segments:
        hparams = task.hparams
        segmentation = SegmentationMetrics(
            hparams['num_classes'], ignore_index=hparams['ignore_index']
        )
    for directions in turns if shift else turns[:1]:
        first = 0
        for batch in batches:
            inner = {key: middle(value, margin) for key, value in batch.items()}
            sar = (
                torch.zeros_like(inner['image_sar'])
                if shift is None
                else shifted(batch['image_sar'], margin, shift, directions, first)
            )
            first += len(sar)
            outputs = outputs_of(task, inner['image'], sar)
            cloud = inner.get('mask_cloud')
            restoration.update(outputs['reconstruction'], inner['image_clear'], cloud)
            if segmentation is not None:
                segmentation.update(outputs['logits'], inner['mask'], cloud)
    scores = restoration.compute()
    if segmentation is not None:
        scores |= segmentation.compute()
    return {key: float(scores[key]) for key, _, _ in SCORES if key in scores}


def page(groups: dict[str, list[Any]], margin: int, chips: int) -> str:
    """Write a table for each score.

    Args:
        groups: For each seed the scores by shift, by run.
        margin: Pixels left out at each side.
        chips: Number of chips.

    Returns:
        Markdown.
    """
    cases = next(iter(groups.values()))[0]['scores']
    header = ['run', *('all zeros' if c == ZEROS else f'{c} px' for c in cases)]
    seeds = sorted({len(results) for results in groups.values()})
    parts = [
        f'{chips} test chips without the outer {margin} pixels; seeds a run: '
        f'{" or ".join(map(str, seeds))}.'
    ]
    for key, title, digits in SCORES:
        rows = [
            [
                run,
                *(
                    cell((r['scores'][c].get(key) for r in results), digits)
                    for c in cases
                ),
            ]
            for run, results in groups.items()
            if any(key in r['scores'][c] for r in results for c in cases)
        ]
        if rows:
            parts += [f'### {title}', table(header, rows)]
    return '\n\n'.join(parts) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Measure all runs, and write the page and the figures."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.registration',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('root', type=Path, metavar='RUNS', help='folder of runs')
    add(
        '--runs',
        nargs='+',
        default=[],
        help='names of runs (default: all that restore)',
    )
    add('--shifts', nargs='+', type=int, default=[0, 1, 2, 4, 8], help='in pixels')
    add('--directions', nargs='+', choices=DIRECTIONS, default=list(DIRECTIONS))
    add(
        '--every', action='store_true',
        help='shift every chip in every direction, not in one of them in turn',
    )  # fmt: skip
    add('--chips', type=int, default=60, help='most chips of the test split')
    add('--device', default='cpu')
    add('--out', type=Path, default=Path('docs/results/registration.md'))
    options = parser.parse_args(argv)
    if min(options.shifts) < 0:
        given = ' '.join(map(str, options.shifts))
        parser.error(f'`--shifts {given}`: give 0 or more; directions have signs.')
    turns = [options.directions]
    if options.every:
        turns = [[direction] for direction in options.directions]
    margin = max(options.shifts)
    groups: dict[str, list[Any]] = {}
    chips = 0
    for run in find_runs(options.root, options.runs):
        print(f'{run.name}, seed {run.seed}', flush=True)
        task = load_task(run, options.device)
        batches = chips_of(run, 'test', options.chips).batches
        chips = sum(len(batch['image']) for batch in batches)
        scores = {
            ZEROS if shift is None else str(shift): score(
                task, batches, shift, margin, turns
            )
            for shift in [*options.shifts, None]
        }
        groups.setdefault(run.name, []).append({'seed': run.seed, 'scores': scores})
    text = page(groups, margin, chips)
    write_page(options.out, text, groups)
    print(text)


if __name__ == '__main__':
    main()
