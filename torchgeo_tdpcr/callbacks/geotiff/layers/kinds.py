# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What can be written of a prediction: image, classes, confidence, change, clouds.

A layer says which outputs of the task it is made from, turns blended rows of them into
the numbers of its file, and knows what to say about its bands.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....datasets.plotting import class_colour
from ....datasets.scenes.common import SceneInfo
from ....kinds import SOURCES
from ....transforms.bands import QUANTIFICATION
from ..raster import Band, RawRaster

#: What viewers show the bands as.
_CHANNELS = {'B4': 'Red', 'B3': 'Green', 'B2': 'Blue'}


class Rows:
    """Some finished rows of a scene.

    Args:
        values: Blended outputs of the task by name, C×H×W float32.
        valid: Where they are valid, H×W bool.
        observe: Reads the observed image of these rows: digital numbers, C×H×W.
        weigh: Reads the weight of the reconstruction in these rows, H×W in 0 to 1;
            None to use the reconstruction everywhere.
        offset: What digital numbers carry on top.
        white: Digital number, without offset, of 1.
        find_clouds: Reads where these rows are cloud or shadow, H×W bool.
        find_others: Reads other dates of these rows: digital numbers without offset,
            C×H×W, and how much of what is not observed they are, H×W in 0 to 1; None
            if there are no other dates.
    """

    def __init__(
        self,
        values: dict[str, Tensor],
        valid: Tensor,
        observe: Callable[[], NDArray[Any]],
        weigh: Callable[[], Tensor] | None = None,
        offset: float = 0.0,
        white: float = QUANTIFICATION,
        find_clouds: Callable[[], NDArray[np.bool_]] | None = None,
        find_others: Callable[[], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.values = values
        self.valid = valid
        self._observe = observe
        self._weigh = weigh
        self._offset = offset
        self._white = white
        self._find_clouds = find_clouds
        self._find_others = find_others

    @cached_property
    def others(self) -> tuple[Tensor, Tensor] | None:
        """Other dates and how much they count; None if there are none."""
        return None if self._find_others is None else self._find_others()

    @property
    def cloudy(self) -> NDArray[np.bool_]:
        """Where there is cloud or shadow, H×W.

        Raises:
            ValueError: If nothing tells where there is.
        """
        if self._find_clouds is None:
            raise ValueError('Of these rows nobody knows where clouds are.')
        return self._find_clouds()

    @cached_property
    def observed(self) -> Tensor:
        """The observed image in digital numbers, C×H×W float32."""
        return torch.from_numpy(self._observe().astype(np.float32))

    @cached_property
    def weight(self) -> Tensor | None:
        """Weight of the reconstruction, H×W; None for 1 everywhere."""
        return None if self._weigh is None else self._weigh()

    def weighted(self, values: Tensor) -> Tensor:
        """Values of the reconstruction as digital numbers, less where it is kept out."""
        numbers = values * self._white
        if self.weight is not None:
            numbers = numbers * self.weight
        if self.others is not None:
            numbers = numbers * (1 - self.others[1])
        return numbers

    @cached_property
    def image(self) -> Tensor:
        """The image to write, in digital numbers, C×H×W float32."""
        image = self.values['reconstruction'] * self._white + self._offset
        if self.weight is None:
            return image
        weight = self.weight
        if self.others is not None:
            numbers, share = self.others
            image = image + share * (numbers + self._offset - image)
        # Not lerp_, which does not give back the observed value at weight 0 exactly
        mixed = self.observed * (1 - weight) + image * weight
        return torch.where(weight > 0, mixed, self.observed)


class MapLayer:
    """One file of a map."""

    #: Name of the layer, which ends the name of its file.
    name: ClassVar[str]
    #: Title for people.
    title: ClassVar[str]
    #: Output of the task that the layer is made from.
    key: ClassVar[str]
    #: Type of the numbers in the file, and the one that marks missing pixels.
    dtype: ClassVar[str]
    nodata: ClassVar[float]
    #: How overviews are made.
    resampling: ClassVar[str] = 'AVERAGE'

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """Describe the bands of the file.

        Args:
            count: Number of channels of the output.
            info: The scene.
        """
        raise NotImplementedError

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Turn rows into numbers of the file, C×H×W; where not valid, any."""
        raise NotImplementedError

    def write(self, raw: RawRaster, top: int, rows: Rows) -> None:
        """Write rows to the raw raster.

        Args:
            raw: The raw raster.
            top: The first row.
            rows: The rows.
        """
        numbers = self.encode(rows).astype(self.dtype, copy=False)
        if not bool(rows.valid.all()):
            numbers[:, ~rows.valid.numpy()] = self.nodata
        raw.write(top, numbers)

    def raw_count(self, count: int, info: SceneInfo) -> int:
        """Number of bands of the raw raster."""
        return len(self.bands(count, info))

    def state(self) -> Any:
        """What must be kept to go on after a break, besides the raw raster."""
        return None

    def load_state(self, state: Any) -> None:
        """Go on with what :meth:`state` gave."""

    def finish(self, raw: RawRaster, count: int, info: SceneInfo) -> RawRaster:
        """Make the raw raster of the file, once all rows are written."""
        return raw


def _rounded(values: Tensor, low: float, high: float, dtype: str) -> NDArray[Any]:
    # Not `values`, which others may still need, is rounded in place
    return values.round().clamp_(low, high).numpy().astype(dtype)


class ImageLayer(MapLayer):
    """The cloud-free image, digital numbers on the scale and offset of the input."""

    name = 'image'
    title = 'Cloud-free image'
    key = 'reconstruction'
    dtype = 'uint16'
    nodata = 0

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """Name the bands, and say how digital numbers become reflectance."""
        names = info.bands or [f'Band {i + 1}' for i in range(count)]
        scale = 1 / info.white
        return [
            Band(
                name,
                scale=scale,
                # Not -0.0, where there is none
                offset=(0 - info.offset) / info.white,
                channel=_CHANNELS.get(name, ''),
            )
            for name in names
        ]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Round; 0 is left to missing pixels."""
        return _rounded(rows.image, 1, 65535, self.dtype)


class DifferenceLayer(MapLayer):
    """How far apart two images are, averaged over the bands, in digital numbers."""

    dtype = 'uint16'
    nodata = 65535

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band, in digital numbers."""
        return [Band(self.name, scale=1 / info.white)]

    def difference(self, rows: Rows) -> Tensor:
        """The difference in digital numbers, 1×H×W."""
        raise NotImplementedError

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Round; the highest number is left to missing pixels."""
        return _rounded(self.difference(rows), 0, 65534, self.dtype)


class ChangeLayer(DifferenceLayer):
    """How much was changed: |output − input|, averaged over the bands."""

    name = 'change'
    title = 'Mean absolute change over the bands'
    key = 'reconstruction'

    def difference(self, rows: Rows) -> Tensor:
        """Average over the bands."""
        return (rows.image - rows.observed).abs_().mean(0, keepdim=True)


class UncertaintyLayer(DifferenceLayer):
    """How far off the restored image may be: expected absolute error over the bands."""

    name = 'uncertainty'
    title = 'Expected absolute error, mean over the bands'
    key = 'uncertainty'

    def difference(self, rows: Rows) -> Tensor:
        """Bring it to digital numbers; none where what was observed is kept."""
        return rows.weighted(rows.values[self.key])


class LabelLayer(MapLayer):
    """Classes of pixels."""

    dtype = 'uint8'
    nodata = 255
    resampling = 'MODE'


class CloudMaskLayer(LabelLayer):
    """Where clouds and their shadows were, by the mask of the scene."""

    name = 'cloud_mask'
    title = 'Cloud mask'
    # What is under clouds is what was restored
    key = 'reconstruction'

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band of two classes."""
        names = ('clear', 'cloud or shadow')
        return [Band(self.name, classes=names, colors=((0, 0, 0), (255, 255, 255)))]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """1 in clouds and shadows, and where nothing is known."""
        return rows.cloudy[None].astype(self.dtype)


class SourceLayer(LabelLayer):
    """Where each pixel of the image is from: what counts most in it."""

    name = 'source'
    title = 'Source of the image'
    key = 'reconstruction'

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band of three classes."""
        names = tuple(name for name, _ in SOURCES)
        colors = tuple(color for _, color in SOURCES)
        return [Band(self.name, classes=names, colors=colors)]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Take the largest share."""
        restored = torch.ones(rows.valid.shape) if rows.weight is None else rows.weight
        shares = [1 - restored, torch.zeros_like(restored), restored]
        if rows.others is not None:
            share = rows.others[1]
            shares[1:] = [restored * share, restored * (1 - share)]
        return torch.stack(shares).argmax(0, keepdim=True).numpy().astype(self.dtype)


class ClassesLayer(LabelLayer):
    """The most probable class of each pixel.

    Args:
        names: Names of the classes.
        colors: Colours of the classes, 0 to 255 (defaults to
            :func:`~torchgeo_tdpcr.datasets.plotting.class_colour`).
    """

    name = 'classes'
    title = 'Land cover'
    key = 'probabilities'

    def __init__(
        self,
        names: Sequence[str] | None = None,
        colors: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.names = names
        self.colors = colors

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band with the names and colours of the classes."""
        # A single probability tells two classes apart
        number = max(count, 2)
        names = self.names or [f'class {i}' for i in range(number)]
        colors = self.colors or [class_colour(n, i) for i, n in enumerate(names)]
        for argument, given in (('class_names', names), ('class_colors', colors)):
            if len(given) != number:
                raise ValueError(
                    f'`{argument}` has {len(given)} entries, but the task predicts '
                    f'{number} classes. Give one a class.'
                )
        rgb = tuple((int(r), int(g), int(b)) for r, g, b in colors)
        return [Band('class', classes=tuple(names), colors=rgb)]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Take the most probable class; above one half where there is one only."""
        probabilities = rows.values[self.key]
        if len(probabilities) == 1:
            return (probabilities > 0.5).numpy().astype(self.dtype)
        # `max` finds them five times as fast as `argmax` does
        return probabilities.max(0, keepdim=True).indices.numpy().astype(self.dtype)


class ConfidenceLayer(MapLayer):
    """Probability of the class that was chosen, in percent."""

    name = 'confidence'
    title = 'Probability of the class'
    key = 'probabilities'
    dtype = 'uint8'
    nodata = 255

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band, in percent."""
        return [Band('confidence', unit='%')]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Take the largest probability."""
        probabilities = rows.values[self.key]
        if len(probabilities) == 1:
            largest = torch.maximum(probabilities, 1 - probabilities)
        else:
            largest = probabilities.max(0, keepdim=True).values
        return _rounded(largest * 100, 0, 100, self.dtype)


class ValueLayer(MapLayer):
    """A prediction as it is: what a regression gives."""

    name = 'prediction'
    title = 'Prediction'
    key = 'prediction'
    dtype = 'float32'
    nodata = float('nan')

    def bands(self, count: int, info: SceneInfo) -> list[Band]:
        """One band a channel."""
        return [
            Band('prediction' if count == 1 else f'prediction {i + 1}')
            for i in range(count)
        ]

    def encode(self, rows: Rows) -> NDArray[Any]:
        """Leave the values alone."""
        return rows.values[self.key].numpy()
