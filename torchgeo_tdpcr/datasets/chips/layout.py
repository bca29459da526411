# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where LuojiaSET-OSFCR and SEN12MS-CR keep which layer of a chip on disk.

A :class:`Layout` turns the folders of a data set into a table of one row a chip. Chips
are recognised by the numbers in their file names, not by the names themselves, because
published files do not always follow their own naming rule.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import pandas as pd


class CorruptChipError(RuntimeError):
    """A file of a chip cannot be used; the message names the file and the fault."""

    def __init__(self, path: str | os.PathLike[str], fault: str) -> None:
        self.path = os.fspath(path)
        self.fault = fault
        super().__init__(
            f"'{self.path}': {fault}. Run `torchgeo-tdpcr verify` on the data set to "
            'list all such files; replace or remove them.'
        )

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Survive the way from a worker process to the main process."""
        return type(self), (self.path, self.fault)


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


#: Layers of SEN12MS-CR by folder.
SEN12MSCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        's2_cloudy': Layer('image', 's2_cloudy', 13, 'ui'),
        's2': Layer('image_clear', 's2', 13, 'ui'),
        's1': Layer('image_sar', 's1', 2, 'f'),
    }
)

#: Layers of LuojiaSET-OSFCR by folder. ``cloud_thickness`` is of synthetic sets only.
OSFCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        **SEN12MSCR_LAYERS,
        'land_cover_maps': Layer('mask', 's2', 1, 'ui'),
        'cloud_detection_results': Layer('mask_cloud', 's2_cloudy', 1, 'fui'),
        'cloud_thickness': Layer('image_thickness', 's2_cloudy', 1, 'f', True),
    }
)

#: Cloud-cover folders of LuojiaSET-OSFCR, in the order that its split recipe uses.
COVERS = ('0-20%', '20%-40%', '40%-60%', '60%-80%', '80%-100%')

#: Layers whose file gives a chip its place, the first that exists.
REFERENCES: tuple[str, ...] = ('s2_cloudy', 's2')


class Folder(NamedTuple):
    """A folder that holds one layer of some chips."""

    path: Path
    layer: str
    group: str


class Layout(Protocol):
    """How a data set arranges its files.

    Attributes:
        name: Name of the data set, and of its folder.
        layers: Its layers by name.
        group: Column of the table for the outermost grouping of chips.
        looked_for: What a folder must hold to be taken for the data set, in words.
        references: Layers whose file gives a chip its place, the first that exists.
    """

    name: str
    layers: Mapping[str, Layer]
    group: str
    looked_for: str
    references: tuple[str, ...]

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the folders of *root* that hold chips."""

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""

    def parse(self, folder: Folder, name: str) -> tuple[int, int] | None:
        """Return the ROI and the patch number in a file name, or None."""

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""


class OSFCRLayout:
    """``{cover}/{layer}/ROIs_{NN}_{infix}_p{K}.tif``, as LuojiaSET-OSFCR is laid out.

    Example:
        >>> folder = Folder(Path('0-20%/s1'), 's1', '0-20%')
        >>> OSFCRLayout().parse(folder, 'ROIs_01_s1_p4.tif')
        (1, 4)
    """

    name = 'LuojiaSET-OSFCR'
    layers = OSFCR_LAYERS
    group = 'cover'
    references = REFERENCES
    looked_for = (
        "the folders '0-20%', '20%-40%', '40%-60%', '60%-80%' or '80%-100%', in each "
        "of them folders such as 's2_cloudy' and 's2', and in these files such as "
        "'ROIs_01_s2_cloudy_p4.tif'"
    )
    _name = re.compile(r'ROIs_?(\d+)_(?:.*_)?p(\d+)\.tiff?', re.IGNORECASE)

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the layer folders of every cloud-cover folder of *root*."""
        for cover in COVERS:
            for layer in self.layers:
                if (path := root / cover / layer).is_dir():
                    yield Folder(path, layer, cover)

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""
        return Folder(root / group / layer, layer, group)

    def parse(self, folder: Folder, name: str) -> tuple[int, int] | None:
        """Return the ROI and the patch number in a file name, or None."""
        match = self._name.fullmatch(name)
        return (int(match[1]), int(match[2])) if match else None

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""
        return f'ROIs_{roi:02d}_{self.layers[folder.layer].infix}_p{patch}.tif'


class SEN12MSCRLayout:
    """``{season}_{layer}/{layer}_{roi}/{season}_{layer}_{roi}_p{K}.tif``.

    Example:
        >>> folder = Folder(Path('ROIs1158_spring_s1/s1_1'), 's1', 'ROIs1158_spring')
        >>> SEN12MSCRLayout().parse(folder, 'ROIs1158_spring_s1_1_p30.tif')
        (1, 30)
    """

    name = 'SEN12MS-CR'
    layers = SEN12MSCR_LAYERS
    group = 'season'
    references = REFERENCES
    looked_for = (
        "folders such as 'ROIs1158_spring_s2_cloudy/s2_cloudy_1' and "
        "'ROIs1158_spring_s2/s2_1', and in these files such as "
        "'ROIs1158_spring_s2_1_p30.tif'"
    )
    _season = re.compile(r'(ROIs\d+_[a-z]+)_(s1|s2|s2_cloudy)')
    _name = re.compile(r'ROIs\d+_.+_(\d+)_p(\d+)\.tiff?', re.IGNORECASE)

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the ROI folders of every season and layer of *root*."""
        for season in sorted(root.iterdir()):
            if (match := self._season.fullmatch(season.name)) and season.is_dir():
                for path in sorted(season.glob(f'{match[2]}_*')):
                    if path.is_dir():
                        yield Folder(path, match[2], match[1])

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a chip."""
        return Folder(root / f'{group}_{layer}' / f'{layer}_{roi}', layer, group)

    def parse(self, folder: Folder, name: str) -> tuple[int, int] | None:
        """Return the ROI and the patch number in a file name, or None."""
        match = self._name.fullmatch(name)
        return (int(match[1]), int(match[2])) if match else None

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a chip should have."""
        infix = self.layers[folder.layer].infix
        return f'{folder.group}_{infix}_{roi}_p{patch}.tif'


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
            if (numbers := layout.parse(folder, name)) is not None:
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
    here = Path(path).expanduser().absolute()
    if not here.is_dir():
        return None
    children = sorted(child for child in here.iterdir() if child.is_dir())
    for candidate in (here, here / layout.name, *children):
        if candidate.is_dir() and next(iter(layout.folders(candidate)), None):
            return candidate
    return None
