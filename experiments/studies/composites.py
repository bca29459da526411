# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What other dates are worth to a cloudy scene: alone, with a model, and the model alone.

    python -m experiments.studies.composites

It maps synthetic scenes of several covers with the weights of the package, alone and with
another date of the same cover, so many days later, with the true cloud masks. What comes
out is compared with the ground on the day of the scene, over its cloudy pixels. It prints a
table and writes it to `docs/results/composites.md`. It takes five minutes on two cores.
"""

import argparse
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from torchgeo_tdpcr import SceneDataModule, SceneWriter, TDPCRTask
from torchgeo_tdpcr.datasets.synthetic.scene_dates import write_scene_dates
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair
from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.models import TDPCR_Weights

from ..markdown import table

COVERS = (0.2, 0.5, 0.8)
DAYS = (5, 20, 60, 150)
SEEDS = (1, 2, 3)

type Image = NDArray[np.float64]


def read(path: Path) -> Image:
    """Read a raster."""
    with rasterio.open(path) as file:
        image: Image = file.read().astype(np.float64)
    return image


def error(image: Image, truth: Image, part: NDArray[np.bool_]) -> float:
    """Mean squared error of reflectance over some pixels."""
    return float(np.mean(((image - truth)[:, part] / 1e4) ** 2))


def predict(task: TDPCRTask, pairs: Path, out: Path) -> dict[str, Path]:
    """Map the scenes of a table; the image and its source of each."""
    writer = SceneWriter(out, layers=['image', 'source'], progress=False)
    trainer = Trainer(
        accelerator='cpu',
        callbacks=[writer],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    data = SceneDataModule(pairs=pairs)
    trainer.predict(task, datamodule=data, return_predictions=False)
    return {path.name: path for path in out.iterdir() if path.is_dir()}


def measure(
    task: TDPCRTask, folder: Path, cover: float, seed: int, size: int
) -> Iterator[dict[str, float]]:
    """Errors of a scene with each other date."""
    place = {'size': size, 'seed': seed, 'cover': cover}
    pair = write_scene_pair(folder, **place)  # type: ignore[arg-type]
    same, *dates = write_scene_dates(folder, [0, *DAYS], **place)  # type: ignore[arg-type]
    lines = ['s2,s1,cloud_mask,other_dates,name']
    lines += [f'{pair.s2},{pair.s1},{pair.clouds},,alone']
    lines += [
        f'{pair.s2},{pair.s1},{pair.clouds}|{date.clouds},{date.s2},after{days}'
        for days, date in zip(DAYS, dates, strict=True)
    ]
    pairs = folder / 'pairs.csv'
    pairs.write_text('\n'.join(lines) + '\n')
    maps = predict(task, pairs, folder / 'maps')
    truth, cloudy = read(same.clear), read(pair.clouds)[0] > 0
    alone = read(maps['alone'] / 'alone_image.tif')
    for days, date in zip(DAYS, dates, strict=True):
        name = f'after{days}'
        both = read(maps[name] / f'{name}_image.tif')
        taken = (read(maps[name] / f'{name}_source.tif')[0] == 1) & cloudy
        yield {
            'days': days,
            'share': float(taken.sum() / cloudy.sum()),
            'plain': error(read(date.s2), truth, taken),
            'matched': error(both, truth, taken),
            'model': error(alone, truth, taken),
            'alone': error(alone, truth, cloudy),
            'both': error(both, truth, cloudy),
        }


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.composites',
        description='Measure what other dates are worth to a cloudy scene.',
    )
    parser.add_argument('--size', type=int, default=480, help='side of the scenes')
    parser.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
    parser.add_argument('--covers', type=float, nargs='+', default=COVERS)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/composites.md'),
        help='where to write',
    )
    args = parser.parse_args(argv)
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    task = TDPCRTask.load_from_weights(TDPCR_Weights.SENTINEL2_L1C_SMALL)
    rows = []
    for cover in args.covers:
        found: dict[float, list[dict[str, float]]] = {}
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                for entry in measure(task, Path(folder), cover, seed, args.size):
                    found.setdefault(entry['days'], []).append(entry)
        for days, entries in found.items():
            # Of mean errors, so that a scene with hardly an error does not outweigh others
            means = {key: np.mean([e[key] for e in entries]) for key in entries[0]}
            decibels = {key: f'{-10 * np.log10(means[key]):.1f}' for key in means}
            cells = [decibels[key] for key in _SCORES]
            rows.append([f'{cover:.0%}', str(days), f'{means["share"]:.0%}', *cells])
            print(rows[-1], flush=True)
    text = f'{table(_HEADER, rows)}\n'
    write_text(args.out, text)
    print(text)


_SCORES = ('plain', 'matched', 'model', 'alone', 'both')
_HEADER = [
    'cover',
    'days',
    'taken of cloudy',
    'taken: as it was (dB)',
    'taken: matched',
    'taken: model',
    'cloudy: model alone',
    'cloudy: both',
]


if __name__ == '__main__':
    main()
