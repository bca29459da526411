# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What clouds look like at each brightness, real ones and simulated ones.

    python -m experiments.studies.cloud_looks --samples DIR

Pixels under cloud or shadow of the real pairs of SEN12MS-CR, and of simulated skies over
synthetic scenes, are sorted by the brightness of B2 around them. Of each range it tells how
common it is, how much B4 changes over four ranges of distance, how much of the ground can
be made out, and how much the colour changes.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from torchgeo_tdpcr.datasets.synthetic.biomes import BIOMES
from torchgeo_tdpcr.datasets.synthetic.scene import build_scene
from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.models.around import mean_around
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS
from torchgeo_tdpcr.transforms.clouds import simulate_clouds

from ..markdown import table
from ..real.lay_out import read

#: Least brightness of B2 of each range, in digital numbers.
RANGES = (0, 1500, 2000, 2500, 3000, 4000, 5000, 6500)
#: Sides in pixels of the windows whose means are compared.
SCALES = ((1, 3), (3, 9), (9, 27), (27, 81))
_SIDE = 9
_LEAST = 200
_B2, _B4, _B8 = (list(SENTINEL2_BANDS).index(name) for name in ('B2', 'B4', 'B8'))

#: Cloudy and clear image, 13×H×W, and where there is cloud or shadow, H×W.
Chip = tuple[np.ndarray, np.ndarray, np.ndarray]


def around(field: Tensor, side: int) -> Tensor:
    """Mean over windows of an odd side, which end where the field does, H×W."""
    return mean_around(field[None, None], side // 2)[0, 0]


def change(field: Tensor, sides: tuple[int, int]) -> Tensor:
    """How far means over small windows are from those over large ones, H×W."""
    return around(field, sides[0]) - around(field, sides[1])


def looks(chips: Iterable[Chip]) -> dict[int, list[float]]:
    """Tell how clouds look at each brightness.

    Args:
        chips: The chips.

    Returns:
        By the least brightness of a range: its part of all cloudy pixels in percent, the
        standard deviation of B4 at each of the scales, the slope of B8 on that of the
        clear image within nine pixels, and the standard deviation of the ratio of B8 and
        B4 between nine and 27 pixels in percent.
    """
    sums: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(len(SCALES) + 4))
    total = 0
    for cloudy, clear, mask in chips:
        image, ground = (
            torch.from_numpy(x.astype(np.float64)) for x in (cloudy, clear)
        )
        within = torch.from_numpy(mask)
        total += int(within.sum())
        bright = around(image[_B2], _SIDE)
        over, under = (change(x[_B8], (1, _SIDE)) for x in (image, ground))
        ratio = (image[_B8].clamp(1) / image[_B4].clamp(1)).log()
        squares = [change(image[_B4], sides) ** 2 for sides in SCALES]
        squares += [over * under, under**2, change(ratio, (9, 27)) ** 2]
        for low, high in zip(RANGES, (*RANGES[1:], np.inf), strict=True):
            there = within & (bright >= low) & (bright < high)
            if (count := int(there.sum())) >= _LEAST:
                found = [float(x[there].sum()) for x in squares]
                sums[low] += np.array([count, *found])
    out = {}
    for low, (count, *found) in sorted(sums.items()):
        deviations = np.sqrt(np.array(found[: len(SCALES)]) / count)
        both, clear_squares, ratios = found[len(SCALES) :]
        slope, colour = both / clear_squares, 100 * np.sqrt(ratios / count)
        out[low] = [100 * count / total, *deviations, slope, colour]
    return out


def real_pairs(samples: Path) -> Iterator[Chip]:
    """Read the pairs of SEN12MS-CR that have clouds."""
    for path in sorted((samples / 'sen12mscr_pairs').glob('*_cloud_mask.tif')):
        mask = read(path)[0] > 0
        if mask.any():
            start = path.name.removesuffix('cloud_mask.tif')
            cloudy, clear = (
                read(path.with_name(f'{start}{end}.tif')) for end in ('s2_cloudy', 's2')
            )
            yield cloudy, clear, mask


def simulated(soft: bool, count: int = 24, size: int = 256) -> Iterator[Chip]:
    """Make scenes of all biomes but dry ones, which the real pairs have none of."""
    for seed in range(count):
        biome = BIOMES[seed % len(BIOMES)]
        if biome.name in ('desert', 'savanna'):
            continue
        rng = np.random.default_rng(seed)
        scene = build_scene(rng, (size, size), biome)
        share = np.float32(rng.beta(1.6, 1.6))
        ground = scene.clear + share * (scene.other - scene.clear)
        cover = float(rng.uniform(0.3, 1)) if seed % 3 else 1.0
        sky = simulate_clouds(ground, rng, cover, sun=scene.sun, soft=soft)
        yield sky.image, scene.clear, sky.mask


def page(found: dict[str, dict[int, list[float]]]) -> str:
    """Write a table of each kind of cloud.

    Args:
        found: What :func:`looks` told, by what the clouds are.
    """
    scales = [f'B4, {small}–{large} px' for small, large in SCALES]
    header = ['B2', 'pixels (%)', *scales, 'ground in B8', 'B8 / B4 (%)']
    parts = []
    for name, rows in found.items():
        cells = [
            [
                *(f'≥ {low}', f'{share:.0f}', *(f'{x:.0f}' for x in deviations)),
                *(f'{slope:.2f}', f'{colour:.1f}'),
            ]
            for low, (share, *deviations, slope, colour) in rows.items()
        ]
        parts.append(f'{name}:\n\n{table(header, cells)}')
    return '\n\n'.join(parts) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.cloud_looks',
        description=(__doc__ or '').splitlines()[0],
    )
    parser.add_argument('--samples', type=Path, required=True, help='real samples')
    parser.add_argument('--out', type=Path, help='Markdown file for the tables')
    args = parser.parse_args(argv)
    if not (args.samples / 'sen12mscr_pairs').is_dir():
        parser.error(f"`--samples`: '{args.samples}' has no folder 'sen12mscr_pairs'.")
    text = page(
        {
            'Real': looks(real_pairs(args.samples)),
            'Simulated': looks(simulated(soft=False)),
            'Simulated, soft': looks(simulated(soft=True)),
        }
    )
    print(text)
    if args.out:
        write_text(args.out, text)


if __name__ == '__main__':
    main()
