# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The light of a cloud: what each band sees of a layer from above.

How bright a cloud is, is another thing than how much it hides. A few units of optical
thickness leave nothing of the ground to be made out, but reflect less than half of the
light; the rest reaches the ground, spread out, and part of that comes back. In the
short-wave infrared droplets absorb, so that there the brightness comes to an end which
depends on their size. Measured on the cloudy pixels of real Sentinel-2 chips.
"""

from dataclasses import dataclass

import numpy as np

from .bands import SENTINEL2_BANDS
from .noise import FloatArray
from .sky import CloudLayer

_NAMES = tuple(SENTINEL2_BANDS)
# Top of a thick cloud, reflectance x 10^4; B9 and B10 depend on its height, B11 and B12
# on its droplets.
_CLOUD = (6776, 6885, 6657, 7100, 7200, 7300, 7450, 7250, 7500, 3378, 30, 6885, 6885)
# What a cirrus adds per unit of reflectance at B2, relative to a thick cloud's.
_ICE = (0.97, 0.97, 1.0, 0.96, 0.95, 0.93, 0.90, 0.91, 0.90, 1.0, 1.0, 0.85, 0.7)
# Where a band stands between the blue (0) and the near infrared (1).
_RED = (0, 0, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1, 1, 1)
# Below this thickness a layer is one of ice or mist that only adds its light.
_THIN = 1.0
# Part of the light below a cloud that comes back up through it, as spread as it went.
_BACK = 0.8


@dataclass(frozen=True, slots=True)
class CloudLight:
    """How one layer scatters light.

    Attributes:
        layer: The layer.
        faint: Brightness of its thinnest parts relative to the thickest.
        reach: Optical thickness over which it gains most of the rest.
        tilt: How much brighter it is in the near infrared than usual, as a logarithm.
        swir: For B11 and B12, brightness relative to the blue, and its limit.
    """

    layer: CloudLayer
    faint: float
    reach: float
    tilt: float
    swir: tuple[tuple[float, float], tuple[float, float]]

    @property
    def thin(self) -> bool:
        """Whether it only adds its light, whatever is around."""
        return self.layer.depth < _THIN

    @property
    def distance(self) -> int:
        """Pixels over which light that it lets down is spread before it comes back."""
        return 16

    def brightness(self, thickness: FloatArray) -> FloatArray:
        """Brightness relative to a thick cloud, H×W.

        Args:
            thickness: Its optical thickness, H×W.
        """
        full = 1 - np.exp(-thickness / np.float32(self.reach))
        bright: FloatArray = np.float32(self.faint) + np.float32(1 - self.faint) * full
        return bright

    def top(self, band: int, thickness: FloatArray, texture: FloatArray) -> FloatArray:
        """Reflectance × 10⁴ of the layer itself, H×W.

        Args:
            band: Number of the band, from 0.
            thickness: Its optical thickness, H×W.
            texture: How bright it is relative to a thick cloud, H×W.
        """
        bright = texture * self.brightness(thickness)
        name, height = _NAMES[band], self.layer.height
        if name == 'B9':  # water vapour above the cloud absorbs
            return bright * np.float32(7000 * min(0.22 + 0.09 * height, 0.75))
        if name == 'B10':  # all of the light below about 5 km
            share = (min(max(height - 2.5, 0), 8.5) / 8.5) ** 2.5
            return bright * np.float32(12 + 4300 * share)
        value = _CLOUD[band] * (1 + self.layer.ice * (_ICE[band] - 1))
        top: FloatArray = bright * np.float32(value * np.exp(self.tilt * _RED[band]))
        if name in ('B11', 'B12'):
            part, limit = self.swir[name == 'B12']
            top = top * np.float32(part)
            top = top / (1 + (top / np.float32(limit)) ** 4) ** np.float32(0.25)
        return top

    def over(
        self,
        ground: FloatArray,
        band: int,
        thickness: FloatArray,
        texture: FloatArray,
    ) -> FloatArray:
        """See the ground through the layer, H×W.

        Args:
            ground: What is below, H×W digital numbers.
            band: Number of the band, from 0.
            thickness: See :meth:`top`.
            texture: See :meth:`top`.
        """
        through = np.exp(-thickness)
        top = self.top(band, thickness, texture)
        if not self.thin:
            down = np.clip(1 - top / np.float32(1e4), 0, 1)
            top = top + np.float32(_BACK) * down * spread(ground, self.distance)
        seen: FloatArray = ground * through + top * (1 - through)
        return seen


def draw_light(rng: np.random.Generator, layer: CloudLayer) -> CloudLight:
    """Draw how a layer scatters light.

    Args:
        rng: Source of randomness.
        layer: The layer.
    """
    thin = layer.depth < _THIN
    # small droplets absorb little, so what they limit is high, and B12 is near B11
    small = float(rng.uniform())
    limit = 5300 * (1 + 0.9 * small)
    part = float(np.clip(rng.normal(0.9 + 0.25 * small, 0.07), 0.6, 1.35))
    second = 0.7 + 0.23 * small + float(rng.normal(0, 0.02))
    return CloudLight(
        layer,
        faint=1.0 if thin else float(rng.uniform(0.1, 0.5)),
        reach=float(np.exp(rng.uniform(np.log(1.5), np.log(6)))),
        tilt=float(rng.normal(0.09, 0.06)),
        swir=((part, limit), (part * second, limit * second)),
    )


def spread(field: FloatArray, size: int) -> FloatArray:
    """Average over about `size` pixels, as light that was scattered below a cloud.

    Args:
        field: Array whose last two dimensions are height and width.
        size: Side of the area in pixels.

    Returns:
        Smooth array of the same shape.

    Example:
        >>> float(spread(np.ones((2, 20, 33)), 16).mean())
        1.0
    """
    for axis in (-2, -1):
        length = field.shape[axis]
        cells = max(length // size, 1)
        first = np.arange(cells) * length // cells
        counts = np.diff(first, append=length)
        shape = [1] * field.ndim
        shape[axis] = cells
        mean = np.add.reduceat(field, first, axis) / counts.reshape(shape)
        centre = first + (counts - 1) / 2
        at = np.interp(np.arange(length), centre, np.arange(cells))
        below = np.floor(at).astype(np.intp)
        above = np.minimum(below + 1, cells - 1)
        shape[axis] = length
        weight = (at - below).reshape(shape)
        low, high = np.take(mean, below, axis), np.take(mean, above, axis)
        field = (low + (high - low) * weight).astype(field.dtype)
    return field
