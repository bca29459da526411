# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clouds and shadows of a scene that has no mask of them, found by ukis-csmask.

M. Wieland, Y. Li, S. Martinis: *Multi-sensor cloud and cloud shadow segmentation with a
convolutional neural network*. https://doi.org/10.1016/j.rse.2019.05.022
"""

import warnings
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ....transforms.bands import QUANTIFICATION
from ...grids import Grid, PixelBox
from ..blocks import block_sums
from ..common import SceneError
from ..formats.parts import OpticalProduct
from .optical.reader import OpticalReader

#: Name of the package that finds clouds, and of what it must be installed with.
DETECTOR = 'ukis-csmask'
EXTRA = "`pip install 'torchgeo-tdpcr[clouds]'`, or `'.[clouds]'` in a clone"

#: The detector's names of the bands: all six, or else the first four.
_NAMES = ('blue', 'green', 'red', 'nir', 'swir16', 'swir22')
_BANDS = ('B2', 'B3', 'B4', 'B8', 'B11', 'B12')

#: Height and width of the parts in which a scene is looked at, and how far is looked
#: beyond them, in pixels of the detector.
_BLOCK, _MARGIN = 1024, 64

#: By how many pixels of the detector clouds and shadows are grown, as their rims are thin.
_BUFFER = 2


def check_detector() -> None:
    """Raise where the detector is not installed.

    Raises:
        ModuleNotFoundError: Saying how to install it.
    """
    if find_spec('ukis_csmask') is None or find_spec('onnxruntime') is None:
        raise ModuleNotFoundError(
            f"`cloud_mask='auto'` finds clouds with {DETECTOR}, which is not installed. "
            f'Install it by {EXTRA}; or give a mask.',
            name='ukis_csmask',
        )


class DetectedClouds:
    """Windows of the clouds and shadows that ukis-csmask finds in a product.

    It looks at the product in pixels of about 20 m, part by part as they are asked for,
    and keeps what it found: 30 MB for a whole tile. What is found does not depend on the
    windows. Without short-wave infrared it uses its network of four bands. Clouds and
    shadows are grown by 40 m. Missing pixels count as cloud. It can be pickled and
    forked.

    Args:
        product: The product, of :func:`~.products.find_optical`.
        grid: The pixels of the scene, which are those of the product or finer.
        offset: What was added to reflectance × 10⁴.
        scale: Reflectance of one unit; None to find out.
        cell: Size in metres, about, of the pixels in which it looks. The detector was
            trained with 30, in which it overlooks small clouds; in those of 10 it takes
            dark ground for shadow.

    Raises:
        ModuleNotFoundError: If the detector is not installed.
        SceneError: If the product lacks a band that it needs.
    """

    def __init__(
        self,
        product: OpticalProduct,
        grid: Grid,
        offset: float,
        scale: float | None = None,
        cell: float = 20.0,
    ) -> None:
        check_detector()
        self.grid = grid
        self.level = product.level
        """Level of the product, by its name or else by whether it has a band of cirrus."""
        self._optical = OpticalReader(product, _choose(product), offset, scale)
        self._own = self._optical.grid
        self._factor = max(round(cell / max(self._own.ground_size)), 1)
        size = (
            -(-self._own.height // self._factor),
            -(-self._own.width // self._factor),
        )
        self._unclear = np.zeros(size, np.bool_)
        blocks = -(-size[0] // _BLOCK), -(-size[1] // _BLOCK)
        self._seen = np.zeros(blocks, np.bool_)

    @property
    def origin(self) -> str:
        """What tells where clouds are: name and version of the detector, and the level."""
        return f'{DETECTOR} {version(DETECTOR)}, level {self.level}'

    def read(self, window: PixelBox) -> NDArray[np.bool_]:
        """Read a window, see :meth:`.CloudReader.read`."""
        self.grid.check(window)
        rows, columns = self._cells(window)
        for row in range(rows[0] // _BLOCK, rows[-1] // _BLOCK + 1):
            for column in range(columns[0] // _BLOCK, columns[-1] // _BLOCK + 1):
                self._look(row, column)
        unclear: NDArray[np.bool_] = self._unclear[rows[:, None], columns]
        return unclear

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        self._optical.close()

    def _cells(self, window: PixelBox) -> tuple[NDArray[Any], NDArray[Any]]:
        """Row and column of the detector's pixel in which each of a window lies."""
        own, grid = self._own.transform, self.grid.transform
        # All bands of a product have one corner and one direction
        size = self._factor * abs(own.determinant / grid.determinant) ** 0.5
        edges = (window.top, window.bottom), (window.left, window.right)
        rows, columns = (
            np.minimum(((np.arange(*edge) + 0.5) / size).astype(np.int64), count - 1)
            for edge, count in zip(edges, self._unclear.shape, strict=True)
        )
        return rows, columns

    def _look(self, row: int, column: int) -> None:
        """Find the clouds of a part of the scene, once."""
        if self._seen[row, column]:
            return
        height, width = self._unclear.shape
        top, left = row * _BLOCK, column * _BLOCK
        bottom, right = min(top + _BLOCK, height), min(left + _BLOCK, width)
        around = PixelBox(
            max(left - _MARGIN, 0),
            max(top - _MARGIN, 0),
            min(right + _MARGIN, width),
            min(bottom + _MARGIN, height),
        )
        image, there = self._average(around)
        unclear = ~there
        if there.any():
            unclear |= self._detect(image)
        self._unclear[top:bottom, left:right] = unclear[
            top - around.top : bottom - around.top,
            left - around.left : right - around.left,
        ]
        self._seen[row, column] = True

    def _average(
        self, box: PixelBox, rows: int = 64
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Reflectance in pixels of the detector, H×W×C, and where there is any."""
        factor, own = self._factor, self._own
        count = len(self._optical.bands)
        image = np.zeros((box.height, box.width, count), np.float32)
        there = np.zeros((box.height, box.width), np.bool_)
        # A few rows at a time: they are four times as many numbers as what becomes of them
        for top in range(box.top, box.bottom, rows):
            bottom = min(top + rows, box.bottom)
            window = PixelBox(
                box.left * factor,
                top * factor,
                min(box.right * factor, own.width),
                min(bottom * factor, own.height),
            )
            numbers, valid = self._optical.read(window)
            weight = block_sums(valid, factor)
            sums = block_sums(np.where(valid, numbers, 0), factor)
            part = slice(top - box.top, bottom - box.top)
            mean = sums / np.maximum(weight, 1)
            mean = (mean - np.float32(self._optical.offset)) / np.float32(
                QUANTIFICATION
            )
            there[part] = weight > 0
            image[part] = np.where(weight > 0, mean, 0).transpose(1, 2, 0)
        return image, there

    def _detect(self, image: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where a part of the scene is cloud or shadow."""
        from ukis_csmask.mask import CSmask

        with warnings.catch_warnings():
            # Of images smaller than its windows, which are mirrored
            warnings.simplefilter('ignore', UserWarning)
            found = CSmask(
                image,
                list(_NAMES[: image.shape[2]]),
                product_level=f'l{self.level.lower()}',
                invalid_buffer=_BUFFER,
                intra_op_num_threads=torch.get_num_threads(),
                providers=['CPUExecutionProvider'],
            )
        unclear: NDArray[np.bool_] = found.valid[..., 0] == 0
        return unclear


def _choose(product: OpticalProduct) -> list[str]:
    """The bands that the detector reads, in its order."""
    # Folders of 20 m have the narrow band of near infrared alone
    near = 'B8' if 'B8' in product.bands else 'B8A'
    wanted = [near if band == 'B8' else band for band in _BANDS]
    if missing := [band for band in wanted[:4] if band not in product.bands]:
        raise SceneError(
            product.path,
            f'has no {", ".join(missing)}, which `cloud_mask=auto` needs to find '
            'clouds. Give a mask.',
        )
    infrared = [band for band in wanted[4:] if band in product.bands]
    return wanted if len(infrared) == 2 else wanted[:4]
