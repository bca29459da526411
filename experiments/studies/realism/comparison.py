# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The table: means and spreads of spectra and backscatter, and PSNR over cloud cover."""

import itertools
from collections.abc import Iterator

import numpy as np

from .collection import BANDS, SYNTHETIC, Collection, of_class

#: Edges of the bins of cloud cover.
EDGES = (-0.01, 0.2, 0.4, 0.6, 0.8, 1.01)


def compare(real: Collection, made: Collection) -> str:
    """Write means and spreads of both in columns.

    Args:
        real: Real chips.
        made: Synthetic ones.

    Returns:
        Text, with a line break at its end.
    """
    both = {'real': real, 'synthetic': made}
    lines = [f'{"":<28}' + ''.join(f'{band:>7}' for band in BANDS) + '     VV     VH']
    for kind, chips in both.items():
        lines += _of_images(kind, chips)
    for name in dict.fromkeys(SYNTHETIC.values()):
        for kind, chips in both.items():
            found = of_class(chips, name)
            if found is not None:
                means = np.r_[found[0].mean(1), found[1].mean(1)]
                spreads = np.r_[found[0].std(1), found[1].std(1)]
                lines += [_line(f'{name}, {kind}', means)]
                lines += [_line(f'  std, {kind}', spreads)]
    for kind, chips in both.items():
        lines += _of_clouds(kind, chips)
    lines += _of_pairs(real, made)
    return '\n'.join(lines) + '\n'


def _line(name: str, values: np.ndarray, form: str = '7.0f') -> str:
    return f'{name:<28}' + ''.join(f'{value:{form}}' for value in values)


def _of_images(kind: str, chips: Collection) -> Iterator[str]:
    """Clear images and SAR; chips count alike, whatever their size."""
    means = np.stack([c.mean((1, 2)) for c in chips.clear])
    inside = np.mean([c.std((1, 2)) for c in chips.clear], 0)
    sar = np.stack([s.mean((1, 2)) for s in chips.sar])
    spread = np.mean([s.std((1, 2)) for s in chips.sar], 0)
    gradient = np.mean([np.abs(np.diff(c)).mean((1, 2)) for c in chips.clear], 0)
    yield _line(f'clear mean, {kind}', np.r_[means.mean(0), sar.mean(0)])
    yield _line(f'  std over chips, {kind}', np.r_[means.std(0), sar.std(0)])
    yield _line(f'  std within chips, {kind}', np.r_[inside, spread])
    yield _line(f'  step to neighbour, {kind}', gradient)


def _of_clouds(kind: str, chips: Collection) -> Iterator[str]:
    """Cloudy images: their clear pixels beside the clear image, and their cloudy ones."""
    ratio = []
    # real chips without a cloudy twin come last
    for clear, cloudy, mask in zip(
        chips.clear, chips.cloudy, chips.masks, strict=False
    ):
        if (~mask).mean() > 0.02:
            ratio.append(cloudy[:, ~mask].mean(1) / clear[:, ~mask].mean(1))
    yield _line(f'clear sky, ratio, {kind}', np.mean(ratio, 0), '7.2f')
    yield _line(f'  std over chips, {kind}', np.std(ratio, 0), '7.2f')
    pixels = np.concatenate(
        [c[:, m] for c, m in zip(chips.cloudy, chips.masks, strict=True)], 1
    )
    for share in (25, 50, 75, 95):
        values = np.percentile(pixels, share, 1)
        yield _line(f'cloud or shadow, p{share}, {kind}', values)


def _of_pairs(real: Collection, made: Collection) -> Iterator[str]:
    """PSNR of the cloudy image over cloud cover."""
    yield 'cover      real PSNR (chips)   synthetic PSNR: 10 %, median, 90 % (chips)'
    for low, high in itertools.pairwise(EDGES):
        ours, theirs = (
            [p for c, p in chips.pairs if low <= c < high] for chips in (made, real)
        )
        shares = np.percentile(ours or [np.nan], (10, 50, 90))
        text = ' '.join(f'{value:5.1f}' for value in theirs)
        yield (
            f'{max(low, 0):.1f}-{min(high, 1):.1f}   {text:<26} '
            f'{shares[0]:.1f} {shares[1]:.1f} {shares[2]:.1f} ({len(ours)})'
        )
