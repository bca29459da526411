# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Why land cover fails on restored images: which part of their error is to blame.

    python -m experiments.studies.as_is runs/tables/synthetic-tiny

The folder of runs has `lcs-clear` among them: the SegFormer of clear images, which maps
the restored ones *as is*. Parts of the error of a restored image are put
right with the truth, one at a time; the part that brings the mIoU back is to blame.

Brightness and colour are the first two principal components of the spectra of the clear
test images (smoothed by σ = 2 pixels, as fine structure is what lies below). Their errors
are root mean squares of the smoothed error on clear pixels, over the spread of the
component itself: 1 is what a guess of its mean has.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from torchgeo_tdpcr import RestorationMetrics, SegmentationMetrics, TDPCRTask

from ..markdown import cell, table, write_page
from .trained import Batch, TrainedRun, chips_of, find_runs, load_task, outputs_of

#: Of the Gaussian between what is fine and what is not, in pixels.
SIGMA = 2.0

#: What is measured: score, title, digits.
SCORES = (
    ('psnr', 'PSNR (dB)', 2),
    ('psnr_of_clear', 'PSNR (dB), a clear image restored', 2),
    ('brightness', 'Error in brightness, clear pixels', 2),
    ('colour', 'Error in colour, clear pixels', 2),
    ('slope', 'Slope of colour on the truth, clear pixels', 2),
    ('as_is', 'mIoU (%)', 1),
    ('on_clear', 'mIoU (%), clear pixels', 1),
    ('on_cloudy', 'mIoU (%), cloudy pixels', 1),
    ('of_clear', 'mIoU (%), a clear image restored', 1),
    ('bands', 'mIoU (%), mean and spread of each band put right', 1),
    ('chips', 'mIoU (%), the same chip by chip', 1),
    ('fine', 'mIoU (%), fine structure put right', 1),
    ('colour_right', 'mIoU (%), colour put right', 1),
    ('both_right', 'mIoU (%), brightness and colour put right', 1),
    ('noisy', 'mIoU (%), clear image with the fine error as noise', 1),
    ('truth', 'mIoU (%), clear image', 1),
)


def blur(x: Tensor) -> Tensor:
    """Smooth images, borders mirrored."""
    size = 2 * int(3 * SIGMA) + 1
    smooth: Tensor = gaussian_blur2d(x, (size, size), (SIGMA, SIGMA))
    return smooth


def components(clear: Tensor) -> Tensor:
    """Principal components of the spectra, C×C, one a column, largest first."""
    spectra = blur(clear).transpose(0, 1).flatten(1)
    vectors: Tensor = torch.linalg.eigh(torch.cov(spectra)).eigenvectors
    return vectors.flip(1)


def matched(x: Tensor, clear: Tensor, dims: Sequence[int]) -> Tensor:
    """Bring mean and spread over some dimensions to those of the clear images."""
    deviation, mean = torch.std_mean(x, tuple(dims), keepdim=True)
    wanted, middle = torch.std_mean(clear, tuple(dims), keepdim=True)
    return (x - mean) / deviation.clamp(min=1e-6) * wanted + middle


def put_right(x: Tensor, clear: Tensor, axes: Tensor) -> Tensor:
    """Take what some components, C×K, are off out of an image."""
    return x - torch.einsum('bchw,ck,dk->bdhw', x - clear, axes, axes)


def psnr(x: Tensor, clear: Tensor) -> float:
    """PSNR as the tables have it."""
    metrics = RestorationMetrics()
    metrics.update(x, clear)
    return float(metrics.compute()['psnr'])


def map_score(task: TDPCRTask, x: Tensor, chips: Batch, part: str = '') -> float:
    """Mean IoU in per cent of a land-cover task that is shown some images."""
    metrics = SegmentationMetrics(task.hparams['num_classes'])
    with torch.inference_mode():
        for image, sar, mask, cloud in zip(
            *(torch.split(part, 4) for part in (x.clamp(0, 1), chips['image_sar'])),
            *(torch.split(chips[key], 4) for key in ('mask', 'mask_cloud')),
            strict=True,
        ):
            metrics.update(task(image, sar)['logits'], mask, cloud)
    return 100 * float(metrics.compute()[f'miou{part}'])


def restored(task: TDPCRTask, image: Tensor, sar: Tensor) -> Tensor:
    """What a task restores, a few chips at a time."""
    pairs = zip(torch.split(image, 4), torch.split(sar, 4), strict=True)
    return torch.cat([outputs_of(task, *pair)['reconstruction'] for pair in pairs])


def load_mapper(root: Path, seed: int) -> TDPCRTask:
    """Load the SegFormer of clear images.

    Raises:
        FileNotFoundError: If it has not been trained with the seed.
    """
    path = root / 'lcs-clear' / f'seed{seed}' / 'checkpoints' / 'last.ckpt'
    if not path.is_file():
        raise FileNotFoundError(
            f"'{path}' is missing: the land-cover model of clear images. Train it with "
            f'`python -m experiments.tables 2 --rows lcs-clear --seeds {seed}`.'
        )
    return load_task(TrainedRun('lcs-clear', seed, path, {}))


def measure(run: TrainedRun, mapper: TDPCRTask, chips: Batch) -> dict[str, float]:
    """Measure one run.

    Args:
        run: The run.
        mapper: The land-cover task of clear images.
        chips: The test chips as one batch.

    Returns:
        Of :data:`SCORES` each.
    """
    task = load_task(run)
    clear, sar = chips['image_clear'], chips['image_sar']
    image, again = (restored(task, x, sar) for x in (chips['image'], clear))
    error = image - clear
    axes = components(clear)
    seen = (chips['mask_cloud'] == 0).flatten()
    wanted, off = (
        torch.einsum('bchw,ck->kbhw', blur(x), axes[:, :2]).flatten(1)
        for x in (clear, error)
    )
    share = off[:, seen].square().mean(1).sqrt() / wanted.std(1)
    spread = torch.cov(torch.stack([wanted[1, seen], (wanted + off)[1, seen]]))
    fine = error - blur(error)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(clear.shape, generator=generator)
    images = {
        'as_is': image,
        'bands': matched(image, clear, (0, 2, 3)),
        'chips': matched(image, clear, (2, 3)),
        'fine': image - fine,
        'colour_right': put_right(image, clear, axes[:, 1:2]),
        'both_right': put_right(image, clear, axes[:, :2]),
        'noisy': clear + noise * fine.std((0, 2, 3), keepdim=True),
        'of_clear': again,
        'truth': clear,
    }
    return {
        'psnr': psnr(image, clear),
        'psnr_of_clear': psnr(again, clear),
        'brightness': float(share[0]),
        'colour': float(share[1]),
        'slope': float(spread[0, 1] / spread[0, 0]),
        'on_clear': map_score(mapper, image, chips, '_clear'),
        'on_cloudy': map_score(mapper, image, chips, '_cloudy'),
    } | {name: map_score(mapper, x, chips) for name, x in images.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the runs, print the table and write it."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.as_is',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('root', type=Path, metavar='RUNS', help='folder of runs')
    names = ['cr-hpncr', 'cr-emrdm', 'cr-dsen2cr', 'cr-uncrtaints']
    names += ['cr-tdpcr', 'cr-tdpcr-direct']
    add('--runs', nargs='+', default=names, help='runs that remove clouds')
    add('--chips', type=int, default=100, help='most test chips')
    out = Path('docs/results/as_is.md')
    add('--out', type=Path, default=out, help=f'where to write (default: {out})')
    args = parser.parse_args(argv)
    found: dict[str, list[dict[str, float]]] = {}
    for run in find_runs(args.root, args.runs):
        mapper = load_mapper(args.root, run.seed)
        batches = chips_of(run, 'test', args.chips).batches
        chips = {key: torch.cat([b[key] for b in batches]) for key in batches[0]}
        found.setdefault(run.name, []).append(measure(run, mapper, chips))
    rows = [
        [title, *(cell([one[key] for one in scores], n) for scores in found.values())]
        for key, title, n in SCORES
    ]
    seeds = {len(scores) for scores in found.values()}
    text = table(['', *found], rows)
    print(text)
    about = f'Mean ± standard deviation over {max(seeds)} seed(s), test chips.'
    write_page(args.out, f'{text}\n\n{about}\n', found)


if __name__ == '__main__':
    main()
