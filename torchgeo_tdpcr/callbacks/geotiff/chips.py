# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Stored chips: each is a scene of one window, in its own pixels."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Never

import torch
from rasterio import Affine

from ...datasets.chips.dataset import ChipDataset
from ...datasets.chips.locating import ChipQuery
from ...datasets.grids import Grid, PixelBox
from ...datasets.scenes.common import SceneInfo
from ...datasets.scenes.progress import Progress
from ...samplers.chips import ChipSampler
from .source import Placed


class ChipFrame:
    """The chips of a data module.

    Args:
        datamodule: A data module whose ``predict_dataset`` is of stored chips.
        world_size: Number of processes.

    Raises:
        ValueError: If several processes do not know how they share the chips.
    """

    resumes: ClassVar[bool] = False
    noun: ClassVar[str] = 'chips'

    def __init__(self, datamodule: Any, world_size: int = 1) -> None:
        dataset: ChipDataset = datamodule.predict_dataset
        sampler = getattr(datamodule, 'predict_sampler', None)
        rows: Sequence[int] = range(len(dataset))
        if isinstance(sampler, ChipSampler):
            # Of fewer chips than processes, some chips come to several
            spare = sampler.rank >= sampler.length
            rows = [] if spare else sorted(set(sampler.order()))
        elif world_size > 1:
            raise ValueError(
                f'`predict_sampler` is a {type(sampler).__name__}, which does not share '
                'chips out. Use ChipSampler, or `trainer.devices=1`.'
            )
        self._dataset = dataset
        self.class_names = tuple(dataset.class_names)
        self.rejected: dict[str, Exception] = {}
        self.progress = Progress()
        chips = dataset.index['filepath'].tolist()
        names = chip_names(chips)
        white = torch.ones(1, len(dataset.bands), 1, 1)
        white = datamodule.denormalize({'reconstruction': white})['reconstruction']
        self.scenes = {
            row: self._info(row, names[row], float(white[0, 0])) for row in rows
        }
        self.settings = {
            'data': {k: v for k, v in datamodule.kwargs.items() if k != 'paths'},
            'normalization': {
                name: value.tolist() for name, value in datamodule.aug.named_buffers()
            },
        }

    def _info(self, row: int, name: str, white: float) -> SceneInfo:
        dataset = self._dataset
        whole, box = dataset.locator.grids[row], dataset.locator.windows[row]
        transform = whole.transform @ Affine.translation(box.left, box.top)
        paths = {layer: str(dataset._paths[layer][row]) for layer in dataset.layers}
        return SceneInfo(
            name,
            Grid(whole.crs, transform, box.width, box.height),
            {layer: path for layer, path in paths.items() if path},
            bands=tuple(dataset.bands),
            white=white,
        )

    def place(self, queries: Sequence[Any] | None, batch: Any) -> list[Placed]:
        """Tell which chips a batch holds.

        Args:
            queries: The queries of the batch, as ChipSampler gave them.
            batch: The batch.

        Raises:
            ValueError: If the queries do not tell.
        """
        if not queries or not all(isinstance(query, ChipQuery) for query in queries):
            raise ValueError(
                'SceneWriter cannot tell which chips a batch holds. Use ChipSampler and '
                'a DataLoader, as the data modules of chips do.'
            )
        valid = (batch['image'] != 0).any(1).cpu()
        placed = []
        for i, query in enumerate(queries):
            row = self._dataset.locator.row(query)
            if row not in self.scenes:
                continue
            there = valid[i : i + 1]
            part = None if bool(there.all()) else there
            placed.append(Placed(row, [0], [0], part, slice(i, i + 1)))
            if row not in self.progress.covered:
                offset = self._dataset.offset_of(row)
                self.scenes[row] = replace(self.scenes[row], offset=offset)
        return placed

    def take(self, scene: int, window: PixelBox) -> bool:
        """Note that a chip has come."""
        return self.progress.cover(scene, window)

    def gap(self, scene: int, first: int, last: int) -> int | None:
        """Tell whether a chip has come."""
        return self.progress.gap(scene, first, last, self.scenes[scene].grid.width)

    def lacks(self, scene: int) -> int | None:
        """Tell whether a chip has come."""
        return self.gap(scene, 0, self.scenes[scene].grid.height)

    def is_upward(self, placed: Placed) -> bool:
        """Never."""
        return False

    def observed(self, scene: int, window: PixelBox) -> Never:
        """Raise: chips are not read a second time."""
        raise ValueError(
            'The layer `change` and `keep_clear` are for scenes: use SceneDataModule.'
        )

    clouds = other_dates = observed


def chip_names(chips: Sequence[str]) -> list[str]:
    """Name chips after their files, and their folders where that is not enough.

    Args:
        chips: Identities of chips: the column ``filepath`` of their index. One that is
            there again is a further part of the chip, as split functions leave them.

    Returns:
        Names of files, all different.

    Example:
        >>> chip_names(['a/0-20%/p1.tif', 'a/20-30%/p1.tif'])
        ['0-20_p1', '20-30_p1']
        >>> chip_names(['a/north.tif:0:256'])
        ['north_0_256']
        >>> chip_names(['a/p1.tif', 'a/p2.tif', 'a/p1.tif'])
        ['p1', 'p2', 'p1_part2']
    """
    whole = list(dict.fromkeys(chips))
    names = dict(zip(whole, _names(whole), strict=True))
    seen: Counter[str] = Counter()
    found = []
    for chip in chips:
        seen[chip] += 1
        part = f'_part{seen[chip]}' if seen[chip] > 1 else ''
        found.append(names[chip] + part)
    return found


def _names(chips: Sequence[str]) -> list[str]:
    parts = [Path(re.sub(r'\.\w+(?=$|:\d+:\d+$)', '', chip)).parts for chip in chips]
    deepest = max(map(len, parts), default=0)
    for depth in range(1, deepest + 1):
        # Folders without meaning between two others come with them
        names = [_clean('_'.join(part[-depth:])) for part in parts]
        if len({name.casefold() for name in names}) == len(names):
            return names
    return [f'{_clean(part[-1])}_{i}' for i, part in enumerate(parts)]


def _clean(name: str) -> str:
    name = re.sub(r'[^\w.-]+', '_', name)
    return re.sub(r'_+', '_', name).strip('_.')
