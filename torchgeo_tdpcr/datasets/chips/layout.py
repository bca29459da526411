# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where a data set keeps which layer of a chip on disk.

A :class:`Layout` turns the folders of a data set into a table of one row a chip. Chips
are recognised by the numbers in their file names, not by the names themselves, because
published files do not always follow their own naming rule.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import pandas as pd

from ...files import expanded


class CorruptChipError(RuntimeError):
    """A file of a chip cannot be used; the message names the file and the fault.

    Args:
        path: The file.
        fault: What is wrong with it.
        verifiable: Whether ``torchgeo-tdpcr verify`` finds such files of its data set.
    """

    def __init__(
        self, path: str | os.PathLike[str], fault: str, verifiable: bool = False
    ) -> None:
        self.path = os.fspath(path)
        self.fault = fault
        self.verifiable = verifiable
        hint = '`torchgeo-tdpcr verify` lists all such files of the data set.'
        super().__init__(
            f"'{self.path}': {fault}. Fetch the file anew, or remove it: the dataset "
            f'then leaves out what belongs to it.{f" {hint}" if verifiable else ""}'
        )

    def __reduce__(self) -> tuple[type, tuple[str, str, bool]]:
        """Survive the way from a worker process to the main process."""
        return type(self), (self.path, self.fault, self.verifiable)


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of file of a chip.

    Args:
        key: Key of the sample that the layer becomes.
        infix: What stands between the ROI and the patch number in a file name.
        count: Number of bands.
        kinds: NumPy kinds of dtypes that the file may have, such as ``'u'``.
        optional: True if no published data set has it.
    """

    key: str
    infix: str
    count: int
    kinds: str
    optional: bool = False


class Folder(NamedTuple):
    """A folder that holds one layer of some chips."""

    path: Path
    layer: str
    group: str


class Layout(ABC):
    """How a data set arranges its files.

    Attributes:
        name: Name of the data set, and of its folder.
        layers: Its layers by name.
        group: Column of the table for the outermost grouping of chips.
        looked_for: What a folder must hold to be taken for the data set, in words.
        references: Layers whose file gives a chip its place, the first that exists.
        aligned: Whether all layers of a chip lie on its grid. The commands ``index``
            and ``verify`` know every layout of which that is so.
    """

    name: str
    layers: Mapping[str, Layer]
    group: str
    looked_for: str
    references: tuple[str, ...]
    aligned: ClassVar[bool] = True

    #: A file name, with the numbers of the ROI (or none) and of the patch as groups.
    _name: ClassVar[re.Pattern[str]]
    _aligned: ClassVar[list[type['Layout']]] = []

    def __init_subclass__(cls) -> None:
        """Make the layout known to :func:`find_layout`."""
        super().__init_subclass__()
        if cls.aligned:
            Layout._aligned.append(cls)

    @classmethod
    def known(cls) -> 'list[Layout]':
        """Return the layouts of the data sets whose layers lie on one grid."""
        return [layout() for layout in cls._aligned]

    @abstractmethod
    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the folders of *root* that hold chips."""

    @abstractmethod
    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""

    @abstractmethod
    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""

    def parse(self, name: str) -> tuple[int, int] | None:
        """Return the ROI (0 if none) and the patch number in a file name, or None."""
        match = self._name.fullmatch(name)
        return (int(match[1] or 0), int(match[2])) if match else None


class Claim(NamedTuple):
    """A file that, by the numbers in its name, is a layer of a chip."""

    path: str
    layer: str
    group: str
    roi: int
    patch: int
    expected: str

    @property
    def rightful(self) -> bool:
        """Whether the file has the name that it should have."""
        return os.path.basename(self.path) == self.expected


def claims(layout: Layout, root: Path) -> Iterator[Claim]:
    """Yield every file under *root* whose name holds a ROI and a patch number."""
    for folder in layout.folders(root):
        for name in sorted(os.listdir(folder.path)):
            if (numbers := layout.parse(name)) is not None:
                path = os.path.join(folder.path, name)
                expected = layout.file_name(folder, *numbers)
                yield Claim(path, folder.layer, folder.group, *numbers, expected)


def chip_table(layout: Layout, root: Path) -> pd.DataFrame:
    """List the chips under *root*.

    Where two files of a folder claim to be the same layer of the same chip, the one
    whose name follows the rule is taken.

    Args:
        layout: How the data set arranges its files.
        root: Folder of the data set.

    Returns:
        One row a chip: the group (cloud cover or season), ``roi``, ``patch``, and for
        each layer the path of its file relative to *root*, '' where there is none.
    """
    chips: dict[tuple[str, int, int], dict[str, Claim]] = {}
    for claim in claims(layout, root):
        layers = chips.setdefault((claim.group, claim.roi, claim.patch), {})
        if claim.layer not in layers or (
            claim.rightful and not layers[claim.layer].rightful
        ):
            layers[claim.layer] = claim
    prefix = len(os.path.join(root, ''))
    rows = [
        [*key]
        + [
            layers[layer].path[prefix:] if layer in layers else ''
            for layer in layout.layers
        ]
        for key, layers in chips.items()
    ]
    columns = [layout.group, 'roi', 'patch', *layout.layers]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(columns[:3], ignore_index=True)


def find_root(layout: Layout, path: str | os.PathLike[str]) -> Path | None:
    """Find the folder of a data set: *path* itself or a folder directly in it."""
    for candidate in candidates(path, layout.name):
        if next(iter(layout.folders(candidate)), None):
            return candidate
    return None


def candidates(path: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Yield a folder and those directly in it, first the one with a data set's name."""
    here = expanded(path).absolute()
    if here.is_dir():
        children = sorted(child for child in here.iterdir() if child.is_dir())
        yield here
        yield from sorted(children, key=lambda child: child.name != name)


def find_layout(path: str | os.PathLike[str]) -> tuple[Layout, Path]:
    """Find which data set a folder holds, of those whose layers lie on one grid.

    Args:
        path: Folder of the data set, or the folder above.

    Returns:
        The layout of the data set, and its folder.

    Raises:
        FileNotFoundError: If the folder holds none.
    """
    layouts = Layout.known()
    for layout in layouts:
        if (root := find_root(layout, path)) is not None:
            return layout, root
    wanted = '; or for '.join(layout.looked_for for layout in layouts)
    raise FileNotFoundError(f"'{path}' holds no data set. Looked for {wanted}.")
