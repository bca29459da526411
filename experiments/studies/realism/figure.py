# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The figure: histograms, spectra of classes, PSNR over cloud cover, and chips."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from torchgeo_tdpcr.files import replacing

from .collection import BANDS, SYNTHETIC, Collection, of_class

#: Bands of the histograms.
SHOWN = ('B2', 'B3', 'B4', 'B8', 'B11', 'B12', 'B1', 'B9')

#: What the chips at the bottom are, a row each.
TITLES = (
    'real clear: SEN12MS-CR, Ebel et al., CC BY 4.0',
    'real cloudy: the same',
    'synthetic clear',
    'synthetic cloudy',
    'SAR',
)


def draw(real: Collection, made: Collection, out: Path) -> None:
    """Draw spectra per class, histograms, PSNR over cover, and chips.

    Args:
        real: Real chips.
        made: Synthetic ones.
        out: File to write.
    """
    figure = plt.figure(figsize=(15, 17), layout='constrained')
    parts = figure.subfigures(3, 1, height_ratios=(3, 3.4, 5))
    upper, middle, lower = np.ravel(np.asarray(parts, dtype=object))
    _draw_histograms(upper.subplots(2, 5).ravel(), real, made)
    axes = middle.subplots(2, 4).ravel()
    _draw_spectra(axes[:7], real, made)
    _draw_pairs(axes[7], real, made)
    _draw_chips(lower.subplots(5, 10), real, made)
    with replacing(out) as part:
        figure.savefig(part, dpi=80)
    plt.close(figure)


def _draw_histograms(axes: Sequence[Axes], real: Collection, made: Collection) -> None:
    """Histograms of clear images and of SAR."""
    panels = [
        (f'{band}, clear', 'clear', i, (0, 4500 if i > 4 else 3000))
        for band, i in ((band, BANDS.index(band)) for band in SHOWN)
    ]
    panels += [
        (f'{name} (dB)', 'sar', i, (-35, 5)) for i, name in enumerate(('VV', 'VH'))
    ]
    for axis, (title, kind, i, limits) in zip(axes, panels, strict=True):
        for name, chips, color in (('real', real, 'k'), ('synthetic', made, 'C1')):
            values = np.concatenate([c[i].ravel()[::7] for c in getattr(chips, kind)])
            axis.hist(
                values,
                80,
                range=limits,
                density=True,
                histtype='step',
                color=color,
                label=name,
            )
        axis.set_title(title, fontsize=9)
        axis.set_yticks([])
    axes[0].legend(fontsize=8)


def _draw_spectra(axes: Sequence[Axes], real: Collection, made: Collection) -> None:
    """Spectra of the classes, and of cloud or shadow in the last panel."""
    names = list(dict.fromkeys(SYNTHETIC.values()))
    for axis, name in zip(axes, [*names, 'cloud or shadow'], strict=True):
        for chips, color in ((real, 'k'), (made, 'C1')):
            if name in names:
                found = of_class(chips, name)
                if found is None:
                    continue
                spectra = found[0]
            else:
                pairs = zip(chips.cloudy, chips.masks, strict=True)
                spectra = np.concatenate([c[:, m][:, ::5] for c, m in pairs], 1)
            low, median, high = np.percentile(spectra, (10, 50, 90), 1)
            axis.plot(median, color=color)
            axis.fill_between(range(13), low, high, color=color, alpha=0.2)
        axis.set_title(f'{name}: median, 10 to 90 %', fontsize=9)
        axis.set_xticks(range(13), BANDS, fontsize=6)


def _draw_pairs(axis: Axes, real: Collection, made: Collection) -> None:
    """PSNR of the cloudy image over cloud cover."""
    axis.plot(*np.array(made.pairs).T, '.', color='C1', ms=4, label='synthetic')
    axis.plot(*np.array(real.pairs).T, 'k*', ms=9, label='real')
    axis.set_title('PSNR of cloudy against clear (dB), over cover', fontsize=9)
    axis.legend(fontsize=8)


def _draw_chips(axes: np.ndarray, real: Collection, made: Collection) -> None:
    """Ten chips of each, in the order of their cloud cover."""
    rng = np.random.default_rng(1)
    picks = rng.choice(len(made.clear), 10, replace=False)
    order = np.argsort([cover for cover, _ in real.pairs])
    picks = picks[np.argsort([made.pairs[i][0] for i in picks])]
    rows: list[list[np.ndarray]] = [
        [picture(real.clear[i], 3000) for i in order],
        [picture(real.cloudy[i], 7000) for i in order],
        [picture(made.clear[i], 3000) for i in picks],
        [picture(made.cloudy[i], 7000) for i in picks],
        [radar_picture(made.sar[i]) for i in picks],
    ]
    for line, title, pictures in zip(axes, TITLES, rows, strict=True):
        for axis, image in zip(line, pictures, strict=False):
            axis.imshow(image)
        for axis in line:
            axis.set_axis_off()
        line[0].set_title(title, fontsize=9, loc='left')


def picture(image: np.ndarray, white: float) -> np.ndarray:
    """B4, B3, B2 as a picture."""
    share = np.clip((image[[3, 2, 1]] - 300) / (white - 300), 0, 1) ** 0.7
    return share.transpose(1, 2, 0)


def radar_picture(sar: np.ndarray) -> np.ndarray:
    """VV, VH, VV as a picture."""
    vv, vh = np.clip((sar[0] + 25) / 25, 0, 1), np.clip((sar[1] + 32) / 32, 0, 1)
    return np.stack([vv, vh, vv], -1)
