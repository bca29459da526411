# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How far a run over scenes is: one object for all who take part in it."""

from dataclasses import dataclass, field

from ..grids import PixelBox
from .coverage import Coverage


@dataclass(slots=True)
class Progress:
    """How far scenes are, by their row in the index of the dataset.

    Whoever reads windows asks what is still wanted, and says what could not be read.
    Whoever makes maps of them says which rows are done and how scenes ended. Neither
    knows the other.

    Args:
        rows: Rows that need not be made (again), counted from where the scene begins.
        mapped: Scenes that were mapped.
        skipped: Scenes that had been mapped before.
        failures: What went wrong with scenes; the first error counts.
        covered: Windows that have come, or that hold no data and will not.

    Example:
        >>> progress = Progress()
        >>> progress.advance(0, 100)
        >>> progress.wants(0, 100), progress.wants(0, 101)
        (False, True)
        >>> progress.fail(0, OSError('disk full'))
        >>> progress.wants(0, 101), progress.is_over(0), progress.is_over(1)
        (False, True, False)
    """

    rows: dict[int, int] = field(default_factory=dict)
    mapped: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    failures: dict[int, Exception] = field(default_factory=dict)
    covered: dict[int, Coverage] = field(default_factory=dict, compare=False)
    # Of thousands of chips, looking through lists would take longer than mapping
    _ended: set[int] = field(default_factory=set, repr=False, compare=False)

    def wants(self, scene: int, bottom: int) -> bool:
        """Tell whether a window is wanted (any more).

        Args:
            scene: The scene.
            bottom: The row below the window.
        """
        return scene not in self.failures and bottom > self.rows.get(scene, 0)

    def is_over(self, scene: int) -> bool:
        """Tell whether nothing more will be done for a scene."""
        return scene in self.failures or scene in self._ended

    def advance(self, scene: int, count: int) -> None:
        """Note that so many more rows of a scene are done."""
        self.rows[scene] = self.rows.get(scene, 0) + count

    def cover(self, scene: int, window: PixelBox) -> bool:
        """Note that a window has come, or that it holds no data and will not.

        Args:
            scene: The scene.
            window: The window.

        Returns:
            Whether it is the first at its place.
        """
        return self.covered.setdefault(scene, Coverage()).add(window)

    def gap(self, scene: int, first: int, last: int, width: int) -> int | None:
        """Find the first row that windows do not cover, see :meth:`.Coverage.gap`."""
        return self.covered.get(scene, Coverage()).gap(first, last, width)

    def skip(self, scene: int, height: int) -> None:
        """Note that a scene of so many rows had been mapped before."""
        self.rows[scene] = height
        self.skipped.append(scene)
        self._ended.add(scene)

    def finish(self, scene: int) -> None:
        """Note that a scene was mapped."""
        self.mapped.append(scene)
        self._ended.add(scene)
        # Of a thousand scenes that would be much
        self.covered.pop(scene, None)

    def fail(self, scene: int, error: Exception) -> None:
        """Note what went wrong with a scene, which is then left out."""
        self.failures.setdefault(scene, error)
