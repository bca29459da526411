# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the border of SSIM adds to a score: zeros, as most published, or a mirror.

    python -m experiments.studies.ssim_border

Scores synthetic chips of 256×256 pixels that were made worse in known ways, and writes
docs/results/ssim_border.md.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from torchgeo_tdpcr import OSFCR, SyntheticOSFCR
from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.metrics.functional import restoration_scores
from torchgeo_tdpcr.transforms import Sentinel2Normalize

from ..markdown import table

#: Takes clear and cloudy images and returns what is scored against the clear ones.
Worse = Callable[[Tensor, Tensor], Tensor]


def blurred(clear: Tensor, cloudy: Tensor) -> Tensor:
    """The clear image out of focus."""
    return gaussian_blur2d(clear, (13, 13), (2.0, 2.0))


def noisy(clear: Tensor, cloudy: Tensor) -> Tensor:
    """The clear image with noise of 0.02 in reflectance."""
    generator = torch.Generator().manual_seed(0)
    return clear + 0.02 * torch.randn(clear.shape, generator=generator)


CASES: dict[str, Worse] = {
    'cloudy image': lambda clear, cloudy: cloudy,
    'blur of 2 pixels': blurred,
    'noise of 0.02': noisy,
}


def main(argv: list[str] | None = None) -> None:
    """Score and write the table."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.ssim_border',
        description=(__doc__ or '').splitlines()[0],
    )
    parser.add_argument(
        '--chips', type=int, default=10, help='chips of each of 2 places'
    )
    parser.add_argument('--out', type=Path, default=Path('docs/results/ssim_border.md'))
    options = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        SyntheticOSFCR(
            folder, num_rois=2, chips_per_roi=options.chips, progress=False
        ).generate()
        dataset = OSFCR(folder, layers=('s2_cloudy', 's2'))
        samples = [dataset[row] for row in range(len(dataset))]
    normalize = Sentinel2Normalize()
    clear, cloudy = (
        normalize({'image': torch.stack([sample[key] for sample in samples])})['image']
        for key in ('image_clear', 'image')
    )
    rows = []
    for name, worse in CASES.items():
        scored = worse(clear, cloudy)
        mirrored, zeros = (
            restoration_scores(scored, clear, ssim_border=border)['ssim'].mean()
            for border in ('reflect', 'zeros')
        )
        cells = (f'{x:.4f}' for x in (mirrored, zeros, zeros - mirrored))
        rows.append([name, *cells])
    header = ['Scored against the clear image', 'SSIM, mirrored', 'zeros', 'difference']
    text = table(header, rows) + '\n'
    write_text(options.out, text)
    print(text)


if __name__ == '__main__':
    main()
