# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Chips per second from disk to normalised batch, beside plain rasterio.

Plain rasterio opens the same files and reads them into the same kinds of numbers, and
does nothing else: no checks, no offset, no batch. It does so in two ways, converting
with NumPy or letting GDAL convert; the faster of the two in each turn is what counts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import rasterio
import torch
from torch.utils.data import DataLoader

from torchgeo_tdpcr.datamodules import OSFCRDataModule
from torchgeo_tdpcr.datasets import OSFCR, SyntheticOSFCR
from torchgeo_tdpcr.datasets.gdal import CHIP_SETTINGS
from torchgeo_tdpcr.samplers import ChipSampler

from ..markdown import table
from .timing import Options, median, take_turns, verdict

BATCH_SIZE = 4
AIM = 0.9

#: Layers that hold labels, read as int64; all others are read as float32.
LABELS = ('land_cover_maps', 'cloud_detection_results')


def make_set(root: Path, quick: bool) -> None:
    """Write a synthetic set, uncompressed as the published set is."""
    # Ten chips a cover are the fewest that leave one to validation
    shape = (5, 10, 64) if quick else (5, 12, 256)
    SyntheticOSFCR(root, *shape, progress=False).generate()


def plain(dataset: OSFCR, convert: str) -> None:
    """Read all layers of all chips with rasterio alone.

    Args:
        dataset: Names the files.
        convert: Who converts the numbers: ``'numpy'`` or ``'gdal'``.
    """
    columns = [dataset.index[layer].tolist() for layer in dataset.layers]
    for paths in zip(*columns, strict=True):
        for layer, path in zip(dataset.layers, paths, strict=True):
            dtype = np.int64 if layer in LABELS else np.float32
            bands = 1 if layer in LABELS else None
            with rasterio.open(path) as source:
                if convert == 'numpy':
                    source.read(bands).astype(dtype)
                else:
                    source.read(bands, out_dtype=dtype)


def batches(
    loader: DataLoader[Any], augmentation: torch.nn.Module | None
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the batches of an epoch, normalised if asked to."""
    for batch in loader:
        yield batch if augmentation is None else augmentation(batch)


def run(root: Path, options: Options) -> str:
    """Measure reading.

    Args:
        root: Folder of the set of :func:`make_set`.
        options: What the command line chose.

    Returns:
        Markdown.
    """
    dataset = OSFCR(root)
    module = OSFCRDataModule(root)
    augmentation = cast(torch.nn.Module, module.aug)

    def loader(workers: int) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=BATCH_SIZE,
            sampler=ChipSampler(dataset),
            num_workers=workers,
            collate_fn=module.collate_fn,
            persistent_workers=workers > 0,
        )

    def epoch(source: DataLoader[Any], augmentation: torch.nn.Module | None) -> None:
        seen = sum(len(b['image']) for b in batches(source, augmentation))
        assert seen == len(dataset)

    def tuned(convert: str) -> None:
        with rasterio.Env(**CHIP_SETTINGS):
            plain(dataset, convert)

    here, away = loader(0), loader(2)
    times = take_turns(
        {
            'numpy': lambda: plain(dataset, 'numpy'),
            'gdal': lambda: plain(dataset, 'gdal'),
            'tuned numpy': lambda: tuned('numpy'),
            'tuned gdal': lambda: tuned('gdal'),
            'read': lambda: epoch(here, None),
            'normalised': lambda: epoch(here, augmentation),
            'two read': lambda: epoch(away, None),
            'two normalised': lambda: epoch(away, augmentation),
        },
        torch.device('cpu'),
        turns=(1, 1) if options.quick else (5, 9),
        seconds=20,
    )
    base = np.minimum(times['numpy'], times['gdal'])
    best = np.minimum(times['tuned numpy'], times['tuned gdal'])
    count = len(dataset)

    def row(
        title: str, took: np.ndarray, workers: int = 1, aim: bool = False
    ) -> list[str]:
        ratio = median(base / took) / workers
        return [
            title,
            f'{count / median(took):.0f}',
            f'{ratio:.2f}',
            f'{median(best / took) / workers:.2f}',
            f'≥ {AIM}: {verdict(ratio >= AIM)}' if aim else '',
        ]

    rows = [
        row('plain rasterio, NumPy converts', times['numpy']),
        row('plain rasterio, GDAL converts', times['gdal']),
        row('the faster of these with the GDAL settings of `OSFCR`', best),
        row('`OSFCR`, in batches, not normalised', times['read']),
        row('`OSFCR`, in normalised batches', times['normalised'], aim=True),
        row('the same not normalised, 2 workers', times['two read'], 2),
        row('the same normalised, 2 workers', times['two normalised'], 2, aim=True),
    ]
    header = ['', 'chips/s', 'of plain rasterio', 'of it with settings', 'aim']
    layers = ', '.join(f'`{layer}`' for layer in dataset.layers)
    side = chip_side(dataset)
    return (
        '## From disk to normalised batch\n\n'
        f'{count} chips of {side}×{side} pixels, synthetic, uncompressed, from the page '
        f'cache; layers {layers}; batches of {BATCH_SIZE}; {len(base)} turns. Ratios '
        'are per reading process, to the faster of the two plain ways. “With settings” '
        'is plain rasterio under the GDAL settings that `OSFCR` reads with. The '
        'workers share the processors with the main process, which normalises.\n\n'
        + table(header, rows)
        + '\n'
    )


def chip_side(dataset: OSFCR) -> int:
    """Side of the chips in pixels."""
    return int(dataset.index['width'].iloc[0])
