# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the data sets beside LuojiaSET-OSFCR and SEN12MS-CR share.

They have other sensors, so other bands and pixel sizes, and layers that do not lie on one
grid.
"""

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..grids import Grid, PixelBox
from .dataset import ChipDataset
from .footprints import METRES_PER_DEGREE
from .layout import CorruptChipError, Layer
from .reading import GDAL_SETTINGS, type_fault
from .selection import Missing, choose


class CorruptFileError(CorruptChipError):
    """A file of a sample cannot be used; the message names the file and the fault."""

    def __init__(self, path: str | os.PathLike[str], fault: str) -> None:
        self.path = os.fspath(path)
        self.fault = fault
        RuntimeError.__init__(
            self,
            f"'{self.path}': {fault}. Fetch the file anew, or remove it: the dataset "
            'then leaves out what belongs to it.',
        )


class SiblingDataset(ChipDataset):
    """Base class for data sets of chips with sensors of their own.

    A subclass sets the attributes below, calls ``_set_up`` with a table of chips, and
    implements :meth:`_read_layers`.

    Samples have two keys more than those of a
    :class:`~torchgeo_tdpcr.datasets.ChipDataset`, which say what the pixels are of. They
    are tensors, because :func:`~torchgeo.datasets.stack_samples` stacks nothing else, and
    kornia leaves them alone, because of their names:

    * ``wavelength``: of each optical band in nanometres, C float32
    * ``resolution``: size of a pixel as it was recorded, of the optical and of the SAR
      sensor, in metres, 2 float32; ``transform`` has the size of the sample's own

    Attributes:
        wavelengths: Centre of each optical band in nanometres, in file order.
        resolutions: Size of a pixel of the optical and of the SAR sensor in metres.
    """

    wavelengths: Mapping[str, float] = {}
    resolutions: tuple[float, float] = (math.nan, math.nan)

    def _read_layers(self, row: int, grid: Grid, window: PixelBox) -> Sample:
        """Read the layers of the chip of a row.

        Args:
            row: The row of the index.
            grid: Grid of the whole chip.
            window: Pixels of the chip that are wanted.

        Returns:
            The layers by their keys.
        """
        raise NotImplementedError

    def _read(self, row: int, window: PixelBox) -> Sample:
        """Read some pixels of the chip of a row, and say where they lie."""
        grid = self.locator.grids[row]
        with rasterio.Env(**GDAL_SETTINGS):
            sample = self._read_layers(row, grid, window)
        xmin, xmax = (grid.x + grid.xres * i for i in (window.left, window.right))
        ymax, ymin = (grid.y - grid.yres * i for i in (window.top, window.bottom))
        times = self.locator.times[row]
        places = {
            'bounds': [xmin, xmax, grid.xres, ymin, ymax, grid.yres, *times, 1],
            'transform': [grid.xres, 0, xmin, 0, -grid.yres, ymax, 0, 0, 1],
        }
        for key, numbers in places.items():
            sample[key] = torch.tensor(numbers, dtype=torch.float64)
        sample['epsg'] = torch.tensor(self.locator.codes[row])
        sample['wavelength'] = torch.tensor([self.wavelengths[b] for b in self.bands])
        sample['resolution'] = torch.tensor(self.resolutions)
        return sample if self.transforms is None else self.transforms(sample)

    def _resolution(self, crs: CRS) -> tuple[float, float]:
        """Size of a pixel in units of a CRS."""
        native = CRS.from_epsg(int(self._index['epsg'].iloc[0]))
        scale = METRES_PER_DEGREE ** (native.is_geographic - crs.is_geographic)
        return self._pixel[0] * scale, self._pixel[1] * scale


def check_choice(
    name: str, values: Sequence[str] | None, choices: Sequence[str]
) -> tuple[str, ...]:
    """Complete and check a selection, such as of bands or of layers.

    Args:
        name: Name of the argument.
        values: Those chosen in any order, or None for all.
        choices: Those there are.

    Returns:
        The selection, in the order given.

    Raises:
        ValueError: If one is unknown or given twice, or there is none.

    Example:
        >>> check_choice('bands', ['R', 'B'], ('B', 'G', 'R', 'NIR'))
        ('R', 'B')
    """
    if values is None:
        return tuple(choices)
    chosen = (values,) if isinstance(values, str) else tuple(values)
    if not chosen or len(set(chosen)) != len(chosen) or set(chosen) - set(choices):
        raise ValueError(
            f'`{name}={list(chosen)}`: choose each at most once from {list(choices)}, '
            'and at least one.'
        )
    return chosen


def held_out(groups: Sequence[Any], share: float, seed: int = 42) -> set[Any]:
    """Choose the groups of training samples that validate instead.

    Args:
        groups: Groups of samples in a fixed order, such as scenes.
        share: Share of the groups, from 0 to below 1; one group at least unless it is 0.
        seed: Seed of the choice.

    Returns:
        Those held out.

    Raises:
        ValueError: If *share* is out of its range, or no group would be left to train.

    Example:
        >>> len(held_out(range(80), 0.1))
        8
    """
    if not 0 <= share < 1:
        raise ValueError(f'`val_share={share}` must be in 0 to below 1.')
    if not share:
        return set()
    count = max(1, round(share * len(groups)))
    if count >= len(groups):
        raise ValueError(
            f'`val_share={share}` leaves nothing to train with: there are {len(groups)} '
            'areas to hold out from. Add data, or set it to 0.'
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    return {groups[i] for i in order[:count]}


def leave_out(
    table: pd.DataFrame, faults: Sequence[str], missing: Missing
) -> pd.DataFrame:
    """Leave out the rows that cannot be used, and say so once.

    Args:
        table: One row a sample or scene, with a column ``filepath``.
        faults: Why each cannot be used, '' if it can.
        missing: ``'skip'`` to leave them out, ``'error'`` to raise.

    Returns:
        The rows that can be used.

    Raises:
        CorruptFileError: If one cannot and *missing* is ``'error'``.
    """
    choose('missing', [missing], list(get_args(Missing)))
    bad = [i for i, fault in enumerate(faults) if fault]
    if not bad:
        return table
    path, fault = table['filepath'].iloc[bad[0]], faults[bad[0]]
    if missing == 'error':
        raise CorruptFileError(path, fault)
    warnings.warn(
        f"{len(bad)} of {len(table)} are left out, for instance '{path}': {fault}. Pass "
        "`missing='error'` to stop here.",
        UserWarning,
        stacklevel=3,
    )
    return table[[not fault for fault in faults]]


@contextmanager
def opened_layer(path: str, layer: Layer) -> Iterator[DatasetReader]:
    """Open a GeoTIFF, and turn what is wrong with it into one kind of error.

    Args:
        path: The file.
        layer: The layer that it must be.

    Yields:
        The opened file.

    Raises:
        CorruptFileError: If the file is not what it must be, or reading it fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            source = rasterio.open(path, driver='GTiff')
        with source:
            if fault := type_fault(source.count, source.dtypes[0], layer):
                raise CorruptFileError(path, fault)
            yield source
    except (RasterioError, OSError) as error:
        cause = error.__cause__ or error
        raise CorruptFileError(path, f'cannot be read ({cause})') from error


def to_labels(
    path: str, codes: NDArray[Any], classes: Mapping[int, int], ignored: Sequence[int]
) -> Tensor:
    """Turn the codes of a land-cover map into class numbers.

    Args:
        path: Where they are from, for the error.
        codes: H×W codes.
        classes: Class of each code.
        ignored: Codes of pixels without a class.

    Returns:
        H×W int64, 255 where there is no class.

    Raises:
        CorruptFileError: If there is a code that is neither.

    Example:
        >>> to_labels('lbl.tif', np.array([[0, 10, 20]]), {10: 0, 20: 1}, [0])
        tensor([[255,   0,   1]])
    """
    found = np.unique(codes)
    if bad := [int(code) for code in found if code not in {*classes, *ignored}]:
        raise CorruptFileError(
            path, f'holds the codes {bad[:8]}; there are {sorted({*classes, *ignored})}'
        )
    labels = np.full(int(found.max()) + 1, 255, dtype=np.int64)
    for code, number in classes.items():
        if code < len(labels):
            labels[code] = number
    return torch.from_numpy(labels[codes])


def finite(path: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Return an array as float32, and raise if it holds what is no number."""
    if bad := int((~np.isfinite(array)).sum()):
        raise CorruptFileError(path, f'holds {bad} NaN or infinite values')
    return array.astype(np.float32)
