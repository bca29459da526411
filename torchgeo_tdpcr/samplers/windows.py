# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows over scenes: rows of overlapping patches, in runs that share one read."""

from collections.abc import Iterator
from typing import Protocol

from torch.utils.data import Sampler

from ..datasets.scenes.common import WindowRun
from ..datasets.scenes.progress import Progress


class Scenes(Protocol):
    """What the sampler needs to know of a dataset of scenes."""

    #: How far the scenes are: windows that are not wanted (any more) are left out.
    progress: Progress

    def shape(self, scene: int) -> tuple[int, int]:
        """Height and width of a scene in pixels."""

    def __len__(self) -> int:
        """Number of scenes."""


def starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    """Where windows start along one axis, so that they cover it and none sticks out.

    Args:
        length: Length of the axis in pixels.
        size: Length of a window.
        overlap: What neighbours share at least.

    Returns:
        The first pixel of each window, ascending. The last window ends with the axis.

    Example:
        >>> starts(600, size=256, overlap=64)
        (0, 192, 344)
        >>> starts(100, size=256, overlap=64)
        (0,)
    """
    if length <= size:
        return (0,)
    return (*range(0, length - size, size - overlap), length - size)


class WindowSampler(Sampler[WindowRun]):
    """Yield every window of every scene, scene by scene, from the top to the bottom.

    Batches never cross from one scene, or one row of windows, to the next. So what a
    batch holds depends on its scene alone: not on the other scenes, the number of
    processes, or where an interrupted run goes on.

    TorchGeo's :class:`~torchgeo.samplers.GriddedPatchSampler` yields coordinates in one
    CRS; it cannot tell scenes at one place apart, nor hit the pixels of each.

    Args:
        dataset: Dataset of scenes.
        size: Height and width of the windows in pixels; a scene smaller than that is
            one window.
        overlap: Number of pixels that neighbouring windows share at least.
        batch_size: Most windows in a run.
        rank: Number of this process among those that share the scenes out.
        world_size: Number of these processes.

    Raises:
        ValueError: If *overlap* is not within 0 and half of *size*.
    """

    def __init__(
        self,
        dataset: Scenes,
        size: int = 256,
        overlap: int = 64,
        batch_size: int = 4,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= overlap <= size // 2:
            raise ValueError(
                f'`overlap={overlap}` is not within 0 and {size // 2}, half of the '
                f'window of {size} pixels.'
            )
        if batch_size < 1:
            raise ValueError(f'`batch_size={batch_size}`: give at least 1.')
        self.dataset = dataset
        self.size = size
        self.overlap = overlap
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size

    @property
    def scenes(self) -> list[int]:
        """Scenes of this process: the largest first to whoever has least to do."""
        areas = [h * w for h, w in map(self.dataset.shape, range(len(self.dataset)))]
        loads = [0] * self.world_size
        mine = []
        for scene in sorted(range(len(areas)), key=lambda i: (-areas[i], i)):
            rank = loads.index(min(loads))
            loads[rank] += areas[scene]
            if rank == self.rank:
                mine.append(scene)
        return sorted(mine)

    def __iter__(self) -> Iterator[WindowRun]:
        """Yield the runs of this process.

        Yields:
            Runs of windows. Those of scenes that have failed meanwhile are left out.
        """
        wants = self.dataset.progress.wants
        for scene in self.scenes:
            for run in self._runs(scene):
                if wants(scene, run.top + run.height):
                    yield run

    def _runs(self, scene: int) -> Iterator[WindowRun]:
        height, width = self.dataset.shape(scene)
        size = min(self.size, height), min(self.size, width)
        lefts = starts(width, self.size, self.overlap)
        for top in starts(height, self.size, self.overlap):
            for i in range(0, len(lefts), self.batch_size):
                yield WindowRun(scene, top, lefts[i : i + self.batch_size], *size)
