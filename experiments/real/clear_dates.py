# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a practitioner does instead: take the pixels of another, clear date.

    python -m experiments.real.clear_dates --samples DIR

*DIR* holds monthly Sentinel-2 images of one place of BioMassters, `{place}_S2_{month}.tif`,
level 2A, ten bands and the probability of cloud in percent. Each image in turn is the truth
for each other one: as it is, and with its brightness matched, band by band, to the median
and spread of the truth in one half of the place, and scored in the other. The median of all
other clear images is scored as well. It prints a table and writes it to
`docs/results/clear-dates.md`, in seconds.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray

from torchgeo_tdpcr.files import write_text

from ..markdown import table

#: Probability of cloud in percent from which a pixel counts as cloudy.
CLOUDY = 40

#: Part of a month's image that may be cloudy where it goes into the median.
MOST_CLOUD = 0.1

type Image = NDArray[np.float64]


class Month(NamedTuple):
    """An image: its month, reflectance C×H×W, and where it is clear, H×W."""

    month: int
    image: Image
    clear: NDArray[np.bool_]


def read_months(folder: Path) -> list[Month]:
    """Read the images of one place."""
    months = []
    for path in sorted(folder.glob('*_S2_*.tif')):
        with rasterio.open(path) as file:
            bands = file.read().astype(np.float64)
        clear = (bands[10] < CLOUDY) & bands[:10].all(0)
        months.append(Month(int(path.stem[-2:]), bands[:10] / 1e4, clear))
    return months


def psnr(image: Image, truth: Image) -> float:
    """PSNR in dB of pixels, C×N, with 1 as the largest reflectance."""
    return float(-10 * np.log10(np.mean((image.clip(0, 1) - truth.clip(0, 1)) ** 2)))


def matched(image: Image, known: Image, truth: Image) -> Image:
    """Give pixels the median and spread that others of the same date lack.

    Args:
        image: Pixels to be matched, C×N.
        known: Pixels of the same date, C×M.
        truth: The same pixels as they should be, C×M.

    Returns:
        The pixels, C×N.
    """
    middle = np.median(known, 1, keepdims=True)
    spread = truth.std(1, keepdims=True) / known.std(1, keepdims=True).clip(1e-6)
    wanted = np.median(truth, 1, keepdims=True)
    result: Image = (image - middle) * spread.clip(0.5, 2) + wanted
    return result


def halves(clear: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], ...]]:
    """Where to match and where to score: either half of the clear pixels, in turn."""
    left = np.zeros_like(clear)
    left[:, : left.shape[1] // 2] = True
    yield clear & left, clear & ~left
    yield clear & ~left, clear & left


def compare(months: list[Month]) -> list[list[str]]:
    """Rows of the table: by how many months lie between, and of the median."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    median = []
    for truth in months:
        for other in months:
            if other is truth:
                continue
            scores = []
            for known, scored in halves(truth.clear & other.clear):
                right, taken = truth.image[:, scored], other.image[:, scored]
                fit = matched(taken, other.image[:, known], truth.image[:, known])
                scores.append((psnr(taken, right), psnr(fit, right)))
            apart = abs(truth.month - other.month)
            plain, fitted = np.mean(scores, 0)
            found[min(apart, 12 - apart)].append((plain, fitted))
        others = [
            np.where(other.clear, other.image, np.nan)
            for other in months
            if other is not truth and (~other.clear).mean() < MOST_CLOUD
        ]
        middle = np.nanmedian(others, 0)
        there = truth.clear & np.isfinite(middle).all(0)
        median.append(psnr(middle[:, there], truth.image[:, there]))
    rows = []
    for apart, scores in sorted(found.items()):
        plain, fitted = np.mean(scores, 0)
        lowest = np.min(scores, 0)
        cells = f'{plain:.1f} ({lowest[0]:.1f})', f'{fitted:.1f} ({lowest[1]:.1f})'
        name = f'a date {apart} month{"s" * (apart > 1)} off'
        rows.append([name, str(len(scores)), *cells])
    cell = f'{np.mean(median):.1f} ({min(median):.1f})'
    return [*rows, ['median of all other clear dates', str(len(median)), cell, '–']]


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.real.clear_dates',
        description='Score other clear dates of a place as a cloud-free image.',
    )
    parser.add_argument(
        '--samples', type=Path, required=True, help='folder of monthly images'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/clear-dates.md'),
        help='where to write',
    )
    args = parser.parse_args(argv)
    months = read_months(args.samples)
    if len(months) < 2:
        parser.error(f"`--samples {args.samples}` holds fewer than two '*_S2_*.tif'.")
    header = [
        '',
        'pairs',
        'PSNR (worst), dB',
        'brightness matched: PSNR (worst), dB',
    ]
    text = f'{table(header, compare(months))}\n'
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
