# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What every part of a scene shares: its errors, what a writer needs of it."""

from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Any, NamedTuple

from ...transforms.bands import QUANTIFICATION
from ..grids import Grid, PixelBox

#: Where to find out more about a file that is refused.
INSPECT = '`torchgeo-tdpcr inspect PATH` shows how a file is read, and why not.'


class SceneError(RuntimeError):
    """A file of a scene is not what it must be.

    A note at the end of its traceback says how to find out more.

    Args:
        path: The file.
        fault: What is wrong with it, and what to do.

    Example:
        >>> str(SceneError('s1.tif', 'has one band; give VV and VH.'))
        "'s1.tif': has one band; give VV and VH."
    """

    def __init__(self, path: str | PathLike[str], fault: str) -> None:
        super().__init__(path, fault)
        self.path = str(path)
        self.fault = fault
        self.add_note(INSPECT)

    def __str__(self) -> str:
        """File and fault."""
        return f"'{self.path}': {self.fault}"


class SceneWarning(UserWarning):
    """Something of a scene is not known or not of use, and it goes on in spite of that."""


@dataclass(frozen=True, slots=True)
class SceneInfo:
    """What a writer needs to know of a scene.

    Args:
        name: Name, unique among the scenes.
        grid: Its pixels.
        inputs: What it was made from: paths by kind, such as ``'s2'`` and ``'s1'``.
        date: Begin and end of the acquisition in UTC, None where unknown.
        bands: Names of the optical bands, empty where it has none.
        offset: What its digital numbers carry on top.
        white: Digital number, without offset, that a model takes for 1.
        declared: What the user said of its inputs, to read them again.
        detector: Name and version of what finds its clouds, '' where a mask has them.
        composite: Whether clear pixels of other dates stand for cloudy ones.
        other_detectors: What finds the clouds of each other date, see *detector*; empty
            where masks have all of them.
        masked: Whether anything tells where its clouds are.
    """

    name: str
    grid: Grid
    inputs: dict[str, str] = field(default_factory=dict)
    date: tuple[datetime, datetime] | None = None
    bands: tuple[str, ...] = ()
    offset: float = 0.0
    white: float = QUANTIFICATION
    declared: dict[str, Any] = field(default_factory=dict)
    detector: str = ''
    composite: bool = False
    other_detectors: tuple[str, ...] = ()
    masked: bool = False


class WindowRun(NamedTuple):
    """Neighbouring windows in one row of a scene, which become one batch.

    Args:
        scene: Row of the scene in the dataset's index.
        top: First row of the windows.
        lefts: First column of each window, ascending.
        height: Height of each window in pixels.
        width: Width of each window in pixels.
    """

    scene: int
    top: int
    lefts: tuple[int, ...]
    height: int
    width: int

    def window(self, left: int) -> PixelBox:
        """The window whose first column is given."""
        return PixelBox(left, self.top, left + self.width, self.top + self.height)
