# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Reading the layers of one chip: native pixels, checked, with as few copies as can be.

Each file is opened once, only the bands and the window that are wanted are read, and
what a file claims to be is compared with what its layer must be. Every fault raises
:class:`~torchgeo_tdpcr.datasets.chips.layout.CorruptChipError` with the name of the file.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from torch import Tensor

from ...transforms.bands import BASELINE_OFFSET, SENTINEL2_BANDS
from ..grids import Grid, PixelBox, epsg_of
from ..plausibility import (
    B10_WITH_OFFSET,
    DECIBELS,
    DIGITAL_NUMBERS,
    THICKNESS,
    Range,
    pixel_fault,
)
from ..sources import RASTER_ERRORS, cause_of, open_geotiff
from .layout import CorruptChipError, Layer

#: Label of pixels that have no class.
IGNORE_INDEX = 255

#: What numbers of layers are, by the key of the sample, and their range.
LIMITS: Mapping[str, tuple[str, Range]] = MappingProxyType(
    {
        'image': ('a digital number', DIGITAL_NUMBERS),
        'image_clear': ('a digital number', DIGITAL_NUMBERS),
        'image_sar': ('backscatter in dB', DECIBELS),
        'image_thickness': ('optical thickness', THICKNESS),
    }
)

_B10 = list(SENTINEL2_BANDS).index('B10') + 1


def grid_fault(source: DatasetReader, grid: Grid) -> str:
    """Tell how the grid of an opened file disagrees with that of its chip.

    A shift of less than half a pixel is no fault: the file's pixels are then taken as
    those of the chip that lie nearest, which are the ones with the same row and column.
    A CRS without an EPSG code (as the land cover of LuojiaSET-OSFCR has) is not
    compared.

    Args:
        source: The opened file.
        grid: The grid of the chip.

    Returns:
        The fault in words, '' if none.
    """
    if (source.width, source.height) != (grid.width, grid.height):
        return (
            f'is {source.width}×{source.height} pixels large, the chip is '
            f'{grid.width}×{grid.height}'
        )
    a, b, c, d, e, f = source.transform[:6]
    # The far corner as well, so that a different pixel size shows
    shifts = (c - grid.x, c - grid.x + (a - grid.xres) * grid.width)
    falls = (f - grid.y, f - grid.y + (e + grid.yres) * grid.height)
    if (
        max(map(abs, shifts)) >= grid.xres / 2
        or max(map(abs, falls)) >= grid.yres / 2
        or b
        or d
    ):
        return (
            f'lies {shifts[0]:+.2f} m east and {falls[0]:+.2f} m north of the chip, '
            f'with pixels of {a:g}×{-e:g} m: half a pixel or more off'
        )
    epsg = epsg_of(source.crs) if source.crs else None
    if epsg is not None and epsg != grid.epsg:
        return f'is in EPSG:{epsg}, the chip in EPSG:{grid.epsg}'
    return ''


def type_fault(count: int, dtype: str, layer: Layer) -> str:
    """Tell how the bands of a file disagree with its layer, '' if they do not."""
    if count != layer.count:
        return f'has {count} band{"s" * (count > 1)}, its layer has {layer.count}'
    if np.dtype(dtype).kind not in layer.kinds:
        wanted = 'floating-point numbers' if 'f' in layer.kinds else 'integers'
        return f'holds {dtype}, its layer holds {wanted}'
    return ''


@contextmanager
def opened(
    path: str, layer: Layer, grid: Grid | None = None
) -> Iterator[DatasetReader]:
    """Open a file of a chip, and turn what is wrong with it into one kind of error.

    Args:
        path: The file.
        layer: The layer that it must be.
        grid: The grid that it must have, None where layers have grids of their own.

    Yields:
        The opened file.

    Raises:
        CorruptChipError: If the file is not what it must be, or reading it fails.
    """
    aligned = grid is not None
    try:
        with warnings.catch_warnings():
            # Whether a place is needed, and missed, is for the caller to say
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            source = open_geotiff(path)
        with source:
            fault = type_fault(source.count, source.dtypes[0], layer)
            if not fault and grid is not None:
                fault = grid_fault(source, grid)
            if fault:
                raise CorruptChipError(path, fault, aligned)
            yield source
    except RASTER_ERRORS as error:
        fault = f'cannot be read ({cause_of(error)})'
        raise CorruptChipError(path, fault, aligned) from error


def as_tensor(array: NDArray[Any], dtype: type[np.number[Any]]) -> Tensor:
    """Turn an array into a tensor of numbers of a kind.

    By NumPy: threads of PyTorch would be woken for each layer, and slow the reading down.
    """
    return torch.from_numpy(array.astype(dtype, copy=False))


def _ranges(window: PixelBox | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    return None if window is None else window.ranges


def detect_offset(b10: NDArray[Any]) -> int:
    """Tell from band B10 which offset the digital numbers of a chip carry.

    Args:
        b10: Digital numbers of B10, of any shape.

    Returns:
        1000 if the lowest is above 900, else 0. Pixels of 0 are missing ones and do not
        count.

    Example:
        >>> detect_offset(np.array([1006, 1009])), detect_offset(np.array([5, 16]))
        (1000, 0)
    """
    lowest = b10.min()
    if lowest == 0 and b10.any():
        lowest = b10[b10 > 0].min()
    return BASELINE_OFFSET if lowest > B10_WITH_OFFSET else 0


def read_optical(
    path: str,
    layer: Layer,
    grid: Grid,
    window: PixelBox | None,
    indexes: Sequence[int],
    offset: float | None,
) -> tuple[Tensor, float]:
    """Read Sentinel-2 bands as digital numbers without offset.

    Args:
        path: The file.
        layer: The layer that it must be.
        grid: The grid that it must have.
        window: Pixels to read, None for all.
        indexes: Bands to read, counted from 1.
        offset: What to subtract, None to find out from the whole of B10.

    Returns:
        float32 of shape C×H×W, and the offset that was subtracted.
    """
    with opened(path, layer, grid) as source:
        if offset is not None:
            array = source.read(list(indexes), window=_ranges(window))
        elif window is not None:
            offset = detect_offset(source.read(_B10))
            array = source.read(list(indexes), window=_ranges(window))
        elif _B10 in indexes:
            array = source.read(list(indexes))
            offset = detect_offset(array[list(indexes).index(_B10)])
        else:
            array = source.read([*indexes, _B10])
            offset = detect_offset(array[-1])
            array = array[:-1]
    if fault := number_fault(array, layer):
        raise CorruptChipError(path, fault, verifiable=True)
    image = array.astype(np.float32, copy=False)
    if offset:
        image -= np.float32(offset)
    return as_tensor(image, np.float32), offset


def read_float(path: str, layer: Layer, grid: Grid, window: PixelBox | None) -> Tensor:
    """Read backscatter or cloud thickness: float32 of shape C×H×W, all plausible."""
    with opened(path, layer, grid) as source:
        array = source.read(window=_ranges(window))
    if fault := number_fault(array, layer, whole=window is None):
        raise CorruptChipError(path, fault, verifiable=True)
    return as_tensor(array, np.float32)


def number_fault(array: NDArray[Any], layer: Layer, whole: bool = True) -> str:
    """Tell which numbers of a layer are none that it can hold.

    Args:
        array: Numbers as stored.
        layer: The layer.
        whole: Whether they are a whole chip, whose backscatter cannot all be above 0 dB.

    Returns:
        The fault in words, '' if none.
    """
    if layer.key not in LIMITS:
        return ''
    what, limits = LIMITS[layer.key]
    if fault := pixel_fault(array, limits, what):
        return fault
    if layer.key == 'image_sar' and whole and array.size and array.min() > 0:
        return 'holds nothing below 0, so it is no backscatter in dB, but perhaps power'
    return ''


def finite(path: str, array: NDArray[Any], verifiable: bool = False) -> Tensor:
    """Return an array as float32 tensor, and raise if it holds what is no number."""
    image = as_tensor(array, np.float32)
    # One pass: a single NaN or infinite value makes the sum one, too
    if not torch.isfinite(image.sum()):
        bad = int((~torch.isfinite(image)).sum())
        if bad:
            fault = f'holds {bad} NaN or infinite values'
            raise CorruptChipError(path, fault, verifiable)
    return image


def read_labels(
    path: str, layer: Layer, grid: Grid, window: PixelBox | None, num_classes: int
) -> Tensor:
    """Read land cover: int64 of shape H×W, below *num_classes* or 255."""
    with opened(path, layer, grid) as source:
        array = source.read(1, window=_ranges(window))
    if fault := label_fault(array, num_classes):
        raise CorruptChipError(path, fault, verifiable=True)
    return as_tensor(array, np.int64)


def read_cloud(path: str, layer: Layer, grid: Grid, window: PixelBox | None) -> Tensor:
    """Read a cloud mask: int64 of shape H×W, 0 or 1."""
    with opened(path, layer, grid) as source:
        array = source.read(1, window=_ranges(window))
    if fault := cloud_fault(array):
        raise CorruptChipError(path, fault, verifiable=True)
    return as_tensor(array, np.int64)


def labels_of_codes(
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
        CorruptChipError: If there is a code that is neither.

    Example:
        >>> labels_of_codes('lbl.tif', np.array([[0, 10, 20]]), {10: 0, 20: 1}, [0])
        tensor([[255,   0,   1]])
    """
    found = np.unique(codes)
    if bad := [int(code) for code in found if code not in {*classes, *ignored}]:
        raise CorruptChipError(
            path, f'holds the codes {bad[:8]}; there are {sorted({*classes, *ignored})}'
        )
    labels = np.full(int(found.max()) + 1, IGNORE_INDEX, dtype=np.int64)
    for code, number in classes.items():
        if code < len(labels):
            labels[code] = number
    return torch.from_numpy(labels[codes])


def label_fault(array: NDArray[Any], num_classes: int) -> str:
    """Tell which labels of an array are no classes, '' if there are none."""
    bad = (array >= num_classes) & (array != IGNORE_INDEX)
    if array.dtype.kind == 'i':
        bad |= array < 0
    if not bad.any():
        return ''
    values = np.unique(array[bad])[:8].tolist()
    return (
        f'holds the labels {values}; labels are 0 to {num_classes - 1}, or '
        f'{IGNORE_INDEX} for none (`num_classes={num_classes}`)'
    )


def cloud_fault(array: NDArray[Any]) -> str:
    """Tell which values of a cloud mask are neither 0 nor 1, '' if there are none."""
    bad = (array != 0) & (array != 1)
    if not bad.any():
        return ''
    return f'holds {np.unique(array[bad])[:8].tolist()}; cloud masks hold 0 and 1'
