# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The prompt of a scene: the first three principal components of all its pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....datasets.scenes.common import SceneInfo
from ..raster import Band, RawRaster
from .kinds import MapLayer, Rows

#: Rows that are projected at a time.
_BLOCK = 256


class PromptLayer(MapLayer):
    """First three principal components of the prompt, as in Fig. 4 of the paper.

    The axes are those of the whole scene, so all channels are kept on disk until its
    end. The sign of a component, which is arbitrary, is such that its largest loading
    is positive.
    """

    name = 'prompt'
    title = 'Principal components of the degradation prompt'
    key = 'prompt'
    dtype = 'float32'
    nodata = float('nan')

    def __init__(self) -> None:
        self._count = 0
        self._sum: NDArray[np.float64] = np.zeros(0)
        self._products: NDArray[np.float64] = np.zeros((0, 0))

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band a component, with its share of the variance once it is known."""
        number = min(3, count)
        if not self._count:
            return [Band(f'component {i + 1}') for i in range(number)]
        variances, _ = self._axes()
        total = variances.sum() or 1.0
        return [
            Band(f'component {i + 1} ({variances[i] / total:.0%} of the variance)')
            for i in range(number)
        ]

    def raw_count(self, count: int, info: SceneInfo) -> int:
        """All channels."""
        return count

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Leave the channels alone, but gather their covariance."""
        prompt = rows.values[self.key].numpy()
        flat = prompt[:, rows.valid.numpy()].astype(np.float64)
        if not len(self._sum):
            self._sum = np.zeros(len(flat))
            self._products = np.zeros((len(flat), len(flat)))
        self._count += flat.shape[1]
        self._sum += flat.sum(1)
        self._products += flat @ flat.T
        return prompt

    def state(self) -> Any:
        """Sums so far."""
        return [self._count, self._sum.tolist(), self._products.tolist()]

    def load_state(self, state: Any) -> None:
        """Go on with the sums."""
        self._count = state[0]
        self._sum, self._products = np.array(state[1]), np.array(state[2])

    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Variances in falling order, and the axes as columns."""
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        variances, axes = np.linalg.eigh(covariance)
        variances, axes = variances[::-1].clip(0), axes[:, ::-1]
        largest = np.abs(axes).argmax(0)
        return variances, axes * np.sign(axes[largest, np.arange(len(axes))])

    def finish(self, raw: RawRaster, count: int, info: SceneInfo) -> RawRaster:
        """Project all pixels on the axes of the scene."""
        number = min(3, count)
        path = raw.path.with_name(f'{raw.path.stem}_components.raw')
        result = RawRaster(path, number, raw.height, raw.width, raw.dtype)
        result.create()
        mean = self._sum / self._count
        axes = self._axes()[1][:, :number]
        for top in range(0, raw.height, _BLOCK):
            rows = raw.read(top, min(_BLOCK, raw.height - top))
            flat = rows.reshape(count, -1) - mean[:, None].astype(np.float32)
            projected = axes.T.astype(np.float32) @ flat
            result.write(top, projected.reshape(number, *rows.shape[1:]))
        return result
