# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where predictions lie: what a data module tells a writer about its scenes.

A dataset that offers :class:`SceneSource`, as that of
:class:`~torchgeo_tdpcr.datamodules.SceneDataModule` does, is taken at its word. Any other
dataset of TorchGeo becomes one mosaic, placed by the queries of its sampler.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from torch import Tensor

from ...datasets.grids import Grid, PixelBox
from ...datasets.scenes.common import SceneInfo


@runtime_checkable
class SceneSource(Protocol):
    """A dataset of scenes, each on a grid of its own."""

    #: What went wrong, by row of the index.
    failures: dict[int, Exception]

    #: What could not even be opened, by name.
    rejected: dict[str, Exception]

    def info(self, scene: int) -> SceneInfo:
        """What there is to know of a scene."""

    def observed(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """Digital numbers of a window as stored, and where they are valid."""

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window is cloud or shadow."""


class Placed(NamedTuple):
    """Where the windows of a batch lie.

    Args:
        scene: Number of the scene.
        tops: First row of each window.
        lefts: First column of each window.
        valid: B×H×W bool, None if all is.
    """

    scene: int
    tops: list[int]
    lefts: list[int]
    valid: Tensor | None


def place_windows(batch: dict[str, Any]) -> Placed:
    """Tell where the windows of a batch of :class:`SceneSource` lie."""
    lefts = batch['left'].tolist()
    valid = batch['valid'].cpu()
    return Placed(
        int(batch['scene']),
        [int(batch['top'])] * len(lefts),
        lefts,
        None if bool(valid.all()) else valid,
    )


class Mosaic:
    """One grid for all patches of a TorchGeo dataset.

    Args:
        dataset: A dataset of TorchGeo, which has ``crs``, ``res`` and ``bounds``.
        name: Name of the mosaic.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        x, y, t = dataset.bounds
        self.res: tuple[float, float] = dataset.res
        self.left, self.top = x.start, y.stop
        grid = Grid(
            CRS.from_wkt(dataset.crs.to_wkt()),
            from_origin(self.left, self.top, *self.res),
            max(1, round((x.stop - x.start) / self.res[0])),
            max(1, round((y.stop - y.start) / self.res[1])),
        )
        # Files without a date have the longest interval there is
        known = t.start.year > 1900 and t.stop.year < 2200
        paths = getattr(dataset, 'paths', ())
        if isinstance(paths, str) or not isinstance(paths, Sequence):
            paths = [paths]
        inputs = {f'input {i}': str(path) for i, path in enumerate(paths)}
        self._info = SceneInfo(
            name,
            grid,
            inputs,
            (t.start.to_pydatetime(), t.stop.to_pydatetime()) if known else None,
        )

        self.failures: dict[int, Exception] = {}

    def info(self, scene: int) -> SceneInfo:
        """What there is to know of the mosaic."""
        return self._info

    def place(self, queries: Sequence[Any] | None, batch: Any) -> Placed:
        """Tell where the patches of a batch lie.

        Args:
            queries: The queries of the batch, as the sampler gave them.
            batch: The batch.

        Returns:
            Where they lie.

        Raises:
            ValueError: If neither the queries nor the batch tell.
        """
        corners: list[tuple[float, float]]
        if (
            queries
            and isinstance(queries[0], tuple)
            and isinstance(queries[0][0], slice)
        ):
            corners = [(query[0].start, query[1].stop) for query in queries]
        elif isinstance(batch, dict) and 'bounds' in batch:
            # Less exact: TorchGeo keeps them in float32
            corners = [(row[0].item(), row[4].item()) for row in batch['bounds']]
        else:
            raise ValueError(
                'GeoTIFFWriter cannot tell where the predictions lie: the batch has no '
                "'bounds'. Use a GeoDataModule, whose sampler gives coordinates."
            )
        lefts = [round((left - self.left) / self.res[0]) for left, _ in corners]
        tops = [round((self.top - top) / self.res[1]) for _, top in corners]
        return Placed(0, tops, lefts, None)
