# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How near the synthetic data set is to real samples: a table and a figure.

Compares spectra per band and per class, backscatter, and the PSNR between the cloudy
and the clear image over cloud cover with real chips of SEN12MS-CR, LuojiaSET-OSFCR and
TerraMind's samples.

Example:
    python experiments/realism.py --samples DIR --out docs/_static/realism.jpg \
        --table docs/results/realism.md
"""

import argparse
import contextlib
import io
import itertools
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from torchgeo_tdpcr.datasets.synthetic import SyntheticOSFCR
from torchgeo_tdpcr.files import replacing, write_text
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

BANDS = tuple(SENTINEL2_BANDS)

#: Labels of TerraMind's land cover that the synthetic classes have.
TERRAMIND = {1: 'water', 2: 'trees', 4: 'crops', 5: 'built', 6: 'bare', 9: 'rangeland'}

#: Rangeland is grass and shrub; measured figures for classes without samples here.
SYNTHETIC = {
    0: 'water',
    1: 'trees',
    2: 'built',
    3: 'bare',
    4: 'crops',
    5: 'rangeland',
    6: 'rangeland',
}


@dataclass
class Chips:
    """Chips of one origin.

    Attributes:
        clear: Clear images, 13×H×W digital numbers without offset.
        sar: VV and VH in dB, 2×H×W each.
        labels: Land cover by name, one H×W array of names' indices a chip, or None.
        pairs: Cloud cover and PSNR of cloudy against clear, one a chip.
        cloudy: Cloudy images.
        masks: Cloud-or-shadow masks.
    """

    clear: list[np.ndarray] = field(default_factory=list)
    sar: list[np.ndarray] = field(default_factory=list)
    labels: list[dict[str, np.ndarray] | None] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    cloudy: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)

    def add_pair(self, cloudy: np.ndarray, mask: np.ndarray) -> None:
        """Add the cloudy twin of the last clear image."""
        self.cloudy.append(cloudy)
        self.masks.append(mask)
        self.pairs.append((float(mask.mean()), psnr(cloudy, self.clear[-1])))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of reflectance clipped to 0 to 1."""
    difference = np.clip(a / 1e4, 0, 1) - np.clip(b / 1e4, 0, 1)
    return float(-10 * np.log10(np.mean(difference**2) + 1e-12))


def read(path: Path) -> np.ndarray:
    """Read a raster as float32, and take the offset off 13-band ones that have it."""
    with rasterio.open(path) as file:
        array = file.read().astype(np.float32)
    if len(array) == len(BANDS) and array[10].min() > 900:
        array -= 1000
    return array


def read_real(samples: Path) -> Chips:
    """Read the real samples; snow is left out, the generator makes none."""
    real = Chips()
    for path in sorted((samples / 'sen12mscr_pairs').glob('*_s2.tif')):
        name = path.name.removesuffix('_s2.tif')
        real.clear.append(read(path))
        real.sar.append(read(path.with_name(f'{name}_s1.tif')))
        real.labels.append(None)
        mask = read(path.with_name(f'{name}_cloud_mask.tif'))[0] > 0
        real.add_pair(read(path.with_name(f'{name}_s2_cloudy.tif')), mask)
    for path in sorted((samples / 'terramind' / 'S2L1C').glob('*.tif')):
        label = read(samples / 'terramind' / 'LULC' / path.name)[0]
        if (label == 7).mean() > 0.5:
            continue
        real.clear.append(read(path))
        real.sar.append(read(samples / 'terramind' / 'S1RTC' / path.name))
        real.labels.append({v: label == k for k, v in TERRAMIND.items()})
    root = samples / 'osfcr_sample' / 'LuojiaSET-OSFCR'
    for cover, patch in (('0-20%', 4), ('60%-80%', 22), ('80%-100%', 23)):
        real.clear.append(read(root / cover / 's2' / f'ROIs_01_s2_p{patch}.tif'))
        real.sar.append(read(root / cover / 's1' / f'ROIs_01_s1_p{patch}.tif'))
        label = read(root / cover / 'land_cover_maps' / f'ROIs_01_s2_p{patch}.tif')[0]
        real.labels.append({'trees': label == 6})
    return real


def read_synthetic(folder: Path, every: int = 1) -> Chips:
    """Read a synthetic data set."""
    made = Chips()
    paths = sorted(folder.glob('*/s2/*.tif'), key=lambda path: path.name)
    for path in paths[::every]:
        cover = path.parent.parent
        twin = path.name.replace('_s2_', '_s2_cloudy_')
        made.clear.append(read(path))
        made.sar.append(read(cover / 's1' / path.name.replace('_s2_', '_s1_')))
        label = read(cover / 'land_cover_maps' / path.name)[0]
        masks = {
            name: np.isin(label, [k for k, v in SYNTHETIC.items() if v == name])
            for name in SYNTHETIC.values()
        }
        made.labels.append(masks)
        mask = read(cover / 'cloud_detection_results' / twin)[0] > 0
        made.add_pair(read(cover / 's2_cloudy' / twin), mask)
    return made


def of_class(chips: Chips, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Spectra (13×N) and backscatter (2×N) of a class, None if there is none."""
    optical, sar = [], []
    pairs = zip(chips.clear, chips.sar, chips.labels, strict=True)
    for clear, radar, labels in pairs:
        if labels is not None and name in labels:
            optical.append(clear[:, labels[name]])
            sar.append(radar[:, labels[name]])
    joined = np.concatenate(optical, 1) if optical else np.empty((13, 0))
    if joined.shape[1] < 50:
        return None
    return joined, np.concatenate(sar, 1)


def print_table(real: Chips, made: Chips) -> None:
    """Print means and spreads of both."""

    def line(name: str, values: np.ndarray, form: str = '7.0f') -> None:
        print(f'{name:<28}' + ''.join(f'{v:{form}}' for v in values))

    print(f'{"":<28}' + ''.join(f'{band:>7}' for band in BANDS) + '     VV     VH')
    for kind, chips in (('real', real), ('synthetic', made)):
        # chips count alike, whatever their size
        means = np.stack([c.mean((1, 2)) for c in chips.clear])
        inside = np.mean([c.std((1, 2)) for c in chips.clear], 0)
        sar = np.stack([s.mean((1, 2)) for s in chips.sar])
        spread = np.mean([s.std((1, 2)) for s in chips.sar], 0)
        line(f'clear mean, {kind}', np.r_[means.mean(0), sar.mean(0)])
        line(f'  std over chips, {kind}', np.r_[means.std(0), sar.std(0)])
        line(f'  std within chips, {kind}', np.r_[inside, spread])
        gradient = np.mean([np.abs(np.diff(c)).mean((1, 2)) for c in chips.clear], 0)
        line(f'  step to neighbour, {kind}', gradient)
    for name in dict.fromkeys(SYNTHETIC.values()):
        for kind, chips in (('real', real), ('synthetic', made)):
            found = of_class(chips, name)
            if found is not None:
                line(f'{name}, {kind}', np.r_[found[0].mean(1), found[1].mean(1)])
                line(f'  std, {kind}', np.r_[found[0].std(1), found[1].std(1)])
    for kind, chips in (('real', real), ('synthetic', made)):
        ratio = []
        for clear, cloudy, mask in zip(
            chips.clear, chips.cloudy, chips.masks, strict=False
        ):
            if (~mask).mean() > 0.02:
                ratio.append(cloudy[:, ~mask].mean(1) / clear[:, ~mask].mean(1))
        line(f'clear sky, ratio, {kind}', np.mean(ratio, 0), '7.2f')
        line(f'  std over chips, {kind}', np.std(ratio, 0), '7.2f')
        pixels = np.concatenate(
            [c[:, m] for c, m in zip(chips.cloudy, chips.masks, strict=True)], 1
        )
        for share in (25, 50, 75, 95):
            line(f'cloud or shadow, p{share}, {kind}', np.percentile(pixels, share, 1))
    print('cover      real PSNR (chips)   synthetic PSNR: 10 %, median, 90 % (chips)')
    edges = (-0.01, 0.2, 0.4, 0.6, 0.8, 1.01)
    for low, high in itertools.pairwise(edges):
        both = []
        for chips in (real, made):
            both.append([p for c, p in chips.pairs if low <= c < high])
        shares = np.percentile(both[1] or [np.nan], (10, 50, 90))
        text = ' '.join(f'{value:5.1f}' for value in both[0])
        print(
            f'{max(low, 0):.1f}-{min(high, 1):.1f}   {text:<26} '
            f'{shares[0]:.1f} {shares[1]:.1f} {shares[2]:.1f} ({len(both[1])})'
        )


def draw(real: Chips, made: Chips, out: Path) -> None:
    """Draw spectra per class, histograms, PSNR over cover, and chips."""
    figure = plt.figure(figsize=(15, 17), layout='constrained')
    parts = figure.subfigures(3, 1, height_ratios=(3, 3.4, 5))
    upper, middle, lower = np.ravel(np.asarray(parts, dtype=object))
    axes = upper.subplots(2, 5)
    shown = ('B2', 'B3', 'B4', 'B8', 'B11', 'B12', 'B1', 'B9')
    for axis, band in zip(axes.ravel(), shown, strict=False):
        i = BANDS.index(band)
        limit = 4500 if i > 4 else 3000
        for name, chips, color in (('real', real, 'k'), ('synthetic', made, 'C1')):
            values = np.concatenate([c[i].ravel()[::7] for c in chips.clear])
            axis.hist(
                values,
                80,
                range=(0, limit),
                density=True,
                histtype='step',
                color=color,
                label=name,
            )
        axis.set_title(f'{band}, clear', fontsize=9)
        axis.set_yticks([])
    for axis, i, name in zip(axes.ravel()[8:], (0, 1), ('VV', 'VH'), strict=True):
        for chips, color in ((real, 'k'), (made, 'C1')):
            values = np.concatenate([s[i].ravel()[::7] for s in chips.sar])
            axis.hist(
                values, 80, range=(-35, 5), density=True, histtype='step', color=color
            )
        axis.set_title(f'{name} (dB)', fontsize=9)
        axis.set_yticks([])
    axes[0, 0].legend(fontsize=8)

    axes = middle.subplots(2, 4).ravel()
    names = list(dict.fromkeys(SYNTHETIC.values()))
    for axis, name in zip(axes, names, strict=False):
        for kind, chips, color in (('real', real, 'k'), ('synthetic', made, 'C1')):
            found = of_class(chips, name)
            if found is None:
                continue
            low, middle_, high = np.percentile(found[0], (10, 50, 90), 1)
            axis.plot(middle_, color=color, label=kind)
            axis.fill_between(range(13), low, high, color=color, alpha=0.2)
        axis.set_title(f'{name}: median, 10 to 90 %', fontsize=9)
        axis.set_xticks(range(13), BANDS, fontsize=6)
    axis = axes[6]
    for kind, chips, color in (('real', real, 'k'), ('synthetic', made, 'C1')):
        pixels = np.concatenate(
            [c[:, m][:, ::5] for c, m in zip(chips.cloudy, chips.masks, strict=True)],
            1,
        )
        low, middle_, high = np.percentile(pixels, (10, 50, 90), 1)
        axis.plot(middle_, color=color, label=kind)
        axis.fill_between(range(13), low, high, color=color, alpha=0.2)
    axis.set_title('cloud or shadow: median, 10 to 90 %', fontsize=9)
    axis.set_xticks(range(13), BANDS, fontsize=6)
    axis = axes[7]
    axis.plot(*np.array(made.pairs).T, '.', color='C1', ms=4, label='synthetic')
    axis.plot(*np.array(real.pairs).T, 'k*', ms=9, label='real')
    axis.set_title('PSNR of cloudy against clear (dB), over cover', fontsize=9)
    axis.legend(fontsize=8)

    axes = lower.subplots(5, 10)
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
    titles = (
        'real clear: SEN12MS-CR, Ebel et al., CC BY 4.0',
        'real cloudy: the same',
        'synthetic clear',
        'synthetic cloudy',
        'SAR',
    )
    for line, title, pictures in zip(axes, titles, rows, strict=True):
        for axis, image in zip(line, pictures, strict=False):
            axis.imshow(image)
        for axis in line:
            axis.set_axis_off()
        line[0].set_title(title, fontsize=9, loc='left')
    with replacing(out) as part:
        figure.savefig(part, dpi=80)
    plt.close(figure)


def picture(image: np.ndarray, white: float) -> np.ndarray:
    """B4, B3, B2 as a picture."""
    share = np.clip((image[[3, 2, 1]] - 300) / (white - 300), 0, 1) ** 0.7
    return share.transpose(1, 2, 0)


def radar_picture(sar: np.ndarray) -> np.ndarray:
    """VV, VH, VV as a picture."""
    vv, vh = np.clip((sar[0] + 25) / 25, 0, 1), np.clip((sar[1] + 32) / 32, 0, 1)
    return np.stack([vv, vh, vv], -1)


def main() -> None:
    """Read both, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--samples', type=Path, required=True, help='real samples')
    parser.add_argument('--out', type=Path, required=True, help='figure to write')
    parser.add_argument('--table', type=Path, help='Markdown file for the table')
    parser.add_argument('--synthetic', type=Path, help='root of a synthetic data set')
    args = parser.parse_args()
    if not (args.samples / 'sen12mscr_pairs').is_dir():
        parser.error(f'--samples {args.samples} has no folder sen12mscr_pairs')
    warnings.simplefilter('ignore', NotGeoreferencedWarning)
    real = read_real(args.samples)
    if args.synthetic:
        made = read_synthetic(args.synthetic / 'LuojiaSET-OSFCR')
    else:
        with tempfile.TemporaryDirectory() as root:
            made = read_synthetic(SyntheticOSFCR(root, 24, 6).generate())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        print_table(real, made)
    print(printed.getvalue())
    if args.table:
        write_text(args.table, f'```text\n{printed.getvalue()}```\n')
    draw(real, made, args.out)


if __name__ == '__main__':
    main()
