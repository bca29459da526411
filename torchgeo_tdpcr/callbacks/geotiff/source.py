# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where predictions lie: what a data module tells a writer about its scenes.

A data module that offers :class:`SceneSource`, as
:class:`~torchgeo_tdpcr.datamodules.SceneDataModule` does, is taken at its word. The
dataset of any other becomes one mosaic, placed by the queries of its sampler: see
:mod:`~torchgeo_tdpcr.callbacks.geotiff.mosaic`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...datasets.grids import PixelBox
from ...datasets.scenes.common import SceneInfo
from ...datasets.scenes.progress import Progress


@runtime_checkable
class SceneSource(Protocol):
    """A data module of scenes, each on a grid of its own.

    A scene counts as complete when windows have covered it. So a data module that
    leaves out windows without data says so: ``progress.cover(scene, window)``.

    Its batches say where their windows lie: ``scene`` (its number), ``top`` (first row
    of all windows), ``left`` (first column of each) and ``valid`` (B×H×W bool). Its
    loader has a length; else Lightning fetches a batch before the writer has said what
    is done already.
    """

    @property
    def scenes(self) -> Mapping[int, SceneInfo]:
        """What there is to know of each scene of this process, by its number."""

    @property
    def rejected(self) -> Mapping[str, Exception]:
        """What went wrong with scenes of any process before it began, by name."""

    @property
    def progress(self) -> Progress:
        """How far the scenes are; the data module leaves out what is done or failed."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What predictions depend on, besides the files and the model."""

    def observed(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Digital numbers of a window as stored, and where they are valid."""

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window is cloud or shadow."""


class CompositeSource(SceneSource, Protocol):
    """A data module some of whose scenes are composites of several dates.

    They say so (:attr:`.SceneInfo.composite`), and only of them other dates are asked.
    """

    def other_dates(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Digital numbers of other dates without offset, and where they are clear."""


class Placed(NamedTuple):
    """Where the windows of a batch lie.

    Args:
        scene: Number of the scene.
        tops: First row of each window.
        lefts: First column of each window.
        valid: B×H×W bool, None if all is.
        part: Which windows of the batch these are.
    """

    scene: int
    tops: list[int]
    lefts: list[int]
    valid: Tensor | None
    part: slice = slice(None)


class Frame(Protocol):
    """What a writer writes on: the scenes of a data module, or one mosaic."""

    #: Whether a scene can be gone on with at the row where it broke off.
    resumes: ClassVar[bool]
    #: What people call the scenes.
    noun: ClassVar[str]
    #: Names of the classes, where the data set knows them.
    class_names: tuple[str, ...]

    @property
    def scenes(self) -> Mapping[int, SceneInfo]:
        """See :class:`SceneSource`."""

    @property
    def rejected(self) -> Mapping[str, Exception]:
        """See :class:`SceneSource`."""

    @property
    def progress(self) -> Progress:
        """See :class:`SceneSource`."""

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """See :class:`SceneSource`; None where the data module says nothing."""

    def place(self, queries: Sequence[Any] | None, batch: Any) -> list[Placed]:
        """Tell where the windows of a batch lie, scene by scene.

        Args:
            queries: The queries of the batch, where they are known.
            batch: The batch.
        """

    def take(self, scene: int, window: PixelBox) -> bool:
        """Note that a window has come; False if it came before."""

    def gap(self, scene: int, first: int, last: int) -> int | None:
        """Find the first row, of those from one to before another, to lack windows."""

    def lacks(self, scene: int) -> int | None:
        """Find the first row of a scene, from where it was begun, to lack windows."""

    def is_upward(self, placed: Placed) -> bool:
        """Tell from its first windows whether a scene comes from its bottom to its top."""

    def observed(self, scene: int, window: PixelBox) -> NDArray[Any]:
        """Digital numbers of a window as stored."""

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window is cloud or shadow."""

    def other_dates(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See :class:`CompositeSource`."""


class SceneFrame:
    """The scenes of a data module.

    Args:
        source: The data module.
    """

    resumes: ClassVar[bool] = True
    noun: ClassVar[str] = 'scenes'
    class_names: tuple[str, ...] = ()

    def __init__(self, source: SceneSource) -> None:
        self._source = source
        self.scenes = source.scenes
        self.rejected = source.rejected
        self.progress = source.progress
        self.settings = source.settings

    def place(self, queries: Sequence[Any] | None, batch: Any) -> list[Placed]:
        """Take the word of the batch."""
        lefts = batch['left'].tolist()
        valid = batch['valid'].cpu()
        placed = Placed(
            int(batch['scene']),
            [int(batch['top'])] * len(lefts),
            lefts,
            None if bool(valid.all()) else valid,
        )
        return [placed]

    def take(self, scene: int, window: PixelBox) -> bool:
        """Note it where others see it."""
        return self.progress.cover(scene, window)

    def gap(self, scene: int, first: int, last: int) -> int | None:
        """Look at what has come."""
        return self.progress.gap(scene, first, last, self.scenes[scene].grid.width)

    def lacks(self, scene: int) -> int | None:
        """Look at the rows that are not done."""
        height = self.scenes[scene].grid.height
        return self.gap(scene, self.progress.rows.get(scene, 0), height)

    def is_upward(self, placed: Placed) -> bool:
        """Never."""
        return False

    def observed(self, scene: int, window: PixelBox) -> NDArray[Any]:
        """Digital numbers of a window as stored."""
        return self._source.observed(scene, window)[0]

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Where a window is cloud or shadow."""
        return self._source.clouds(scene, window)

    def other_dates(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Digital numbers of other dates without offset, and where they are clear."""
        return cast(CompositeSource, self._source).other_dates(scene, window)
