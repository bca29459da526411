# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A mosaic: one grid for all patches of a TorchGeo dataset."""

from collections.abc import Sequence
from typing import Any, ClassVar, Never

from rasterio.crs import CRS
from rasterio.transform import from_origin

from ...datasets.grids import Grid, PixelBox
from ...datasets.scenes.common import SceneInfo
from ...datasets.scenes.coverage import Coverage
from ...datasets.scenes.progress import Progress
from .source import Placed


class Mosaic:
    """One grid for all patches of a TorchGeo dataset.

    Args:
        datamodule: A data module of TorchGeo. Its ``predict_dataset`` has ``crs``,
            ``res`` and ``bounds``.
        name: Name of the mosaic.

    Raises:
        ValueError: If the dataset does not say where it lies.
    """

    resumes: ClassVar[bool] = False
    noun: ClassVar[str] = 'scenes'
    class_names: tuple[str, ...] = ()

    def __init__(self, datamodule: Any, name: str) -> None:
        dataset: Any = getattr(datamodule, 'predict_dataset', None)
        if not hasattr(dataset, 'bounds'):
            raise ValueError(
                'SceneWriter needs a GeoDataModule with a `predict_dataset`, which says '
                'where predictions lie: one of scenes (SceneDataModule), of chips '
                '(OSFCRDataModule and the like), or of rasters. For any other, use what '
                '`Trainer.predict` returns.'
            )
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
        info = SceneInfo(
            name,
            grid,
            {f'input {i}': str(path) for i, path in enumerate(paths)},
            (t.start.to_pydatetime(), t.stop.to_pydatetime()) if known else None,
        )
        self.scenes = {0: info}
        self.rejected: dict[str, Exception] = {}
        self.progress = Progress()
        self.settings = getattr(datamodule, 'settings', None)
        self._wanted = _wanted(datamodule)
        self._windows = Coverage()
        self._taken = 0

    def place(self, queries: Sequence[Any] | None, batch: Any) -> list[Placed]:
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
        if queries and _is_query(queries[0]):
            corners = [(query[0].start, query[1].stop) for query in queries]
        elif isinstance(batch, dict) and 'bounds' in batch:
            # Less exact: TorchGeo keeps them in float32
            corners = [(row[0].item(), row[4].item()) for row in batch['bounds']]
        else:
            raise ValueError(
                'SceneWriter cannot tell where the predictions lie: the batch has no '
                '`bounds`. Use a GeoDataModule, whose sampler gives coordinates.'
            )
        lefts = [round((left - self.left) / self.res[0]) for left, _ in corners]
        tops = [round((self.top - top) / self.res[1]) for _, top in corners]
        return [Placed(0, tops, lefts, None)]

    def take(self, scene: int, window: PixelBox) -> bool:
        """Count the windows, each once."""
        new = self._windows.add(window)
        self._taken += new
        return new

    def gap(self, scene: int, first: int, last: int) -> None:
        """Nothing: a sampler may leave rows out."""

    def lacks(self, scene: int) -> int | None:
        """Compare with what the sampler yields; which row it is, nobody knows."""
        return 0 if self._taken < self._wanted else None

    def is_upward(self, placed: Placed) -> bool:
        """Tell from its first windows whether it comes from its bottom to its top."""
        return placed.tops[0] > self.scenes[0].grid.height // 2

    def observed(self, scene: int, window: PixelBox) -> Never:
        """Raise: nothing tells what was observed."""
        raise ValueError(
            'The layer `change` and `keep_clear` need the observed image: use '
            'SceneDataModule.'
        )

    clouds = other_dates = observed


def _wanted(datamodule: Any) -> int:
    """Number of places that the sampler of a data module yields, 0 where unknown."""
    for name in ('predict_sampler', 'sampler'):
        sampler = getattr(datamodule, name, None)
        if sampler is not None:
            queries = [query for query in sampler if _is_query(query)]
            return len({(query[0].start, query[1].stop) for query in queries})
    return 0


def _is_query(query: Any) -> bool:
    """Tell whether something is a query of TorchGeo."""
    return isinstance(query, tuple) and isinstance(query[0], slice)
