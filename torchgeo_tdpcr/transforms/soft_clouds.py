# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Soft clouds: layers that thicken slowly from their edges and shine as thick as they are.

Measured on real pairs (`experiments.studies.cloud_looks`): nothing of the ground is to be
made out through a cloud with a third of the brightness of a thick one; brightness goes on
growing long after that; from pixel to pixel it changes little, over a kilometre a lot.
"""

from dataclasses import dataclass

import numpy as np

from .cloud_light import CloudLight, draw_light
from .noise import FloatArray, fractal_noise, smooth
from .sky import CloudLayer, Kind, draw_layer

# How thickness grows from the edge: a power of the depth below it, up to a limit.
_ONSET = 1.5
_LIMIT = 2.0
# Part of a thickness of 1 that is reflected, of droplets that scatter mostly forwards, and
# the brightness of what is infinitely thick, relative to that of a usual thick cloud.
_REFLECTED = 0.13
_BRIGHTEST = 1.25
# Pixels over which light below a cloud is spread at least: clouds are wide.
_LEAST_DISTANCE = 80
# How much tops differ in brightness whatever their thickness, and thickness from place to
# place, as a logarithm.
_LUMPS = 0.13
_WISPS = 0.28


@dataclass(frozen=True, slots=True)
class SoftLayer(CloudLayer):
    """A layer whose edges are soft.

    Args:
        field: See :class:`CloudLayer`.
        depth: Thickness where the field is `width` above the threshold, but for a limit.
        width: See there.
        height: See :class:`CloudLayer`.
        ice: See there.
        wisps: Factor on the thickness, of the shape of the field.
    """

    wisps: FloatArray

    def thickness(
        self, threshold: float, field: FloatArray | None = None
    ) -> FloatArray:
        """Optical thickness of this field, or of another in its place."""
        field = self.field if field is None else field
        above = np.maximum(field - np.float32(threshold), 0) / np.float32(self.width)
        above = above / (1 + above / np.float32(_LIMIT))
        tau: FloatArray = np.float32(self.depth) * above ** np.float32(_ONSET)
        # Another field may have no margin; that of the wisps is the same on all sides
        height, width = field.shape
        margin = (len(self.wisps) - height) // 2
        return tau * self.wisps[margin:, margin:][:height, :width]


@dataclass(frozen=True, slots=True)
class SoftLight(CloudLight):
    """How a soft layer scatters light: by two streams, up and down.

    Args:
        layer: See :class:`CloudLight`.
        faint: Of no use here.
        reach: Of no use here.
        tilt: See :class:`CloudLight`.
        swir: See there.
        reflected: Part of the light that a thickness of 1 reflects.
    """

    reflected: float

    @property
    def thin(self) -> bool:
        """Never: what it scatters down comes back."""
        return False

    @property
    def distance(self) -> int:
        """Pixels of 10 m over which light is spread, about as far as it falls."""
        return max(round(100 * self.layer.height), _LEAST_DISTANCE)

    def brightness(self, thickness: FloatArray) -> FloatArray:
        """Brightness relative to a thick cloud, H×W."""
        part = np.float32(self.reflected) * thickness
        bright: FloatArray = np.float32(_BRIGHTEST) * part / (1 + part)
        return bright


def draw_soft_layer(
    rng: np.random.Generator, kind: Kind, shape: tuple[int, int], cover: float
) -> CloudLayer:
    """Draw a layer, soft if it is of cumulus or stratus; the others are so anyway.

    Args:
        rng: Source of randomness.
        kind: Kind of cloud.
        shape: Height and width.
        cover: Part of the image that is to be covered.
    """
    if kind not in ('cumulus', 'stratus'):
        return draw_layer(rng, kind, shape, cover)
    angle = float(rng.uniform(0, np.pi))
    if kind == 'cumulus':
        size = float(np.exp(rng.uniform(np.log(60), np.log(500))))
        field = fractal_noise(rng, shape, rng.uniform(3.3, 3.9), size, 1.5)
        puffs = -np.abs(fractal_noise(rng, shape, 3.6, size / 2.5, 2))
        field = field + np.float32(rng.uniform(0.15, 0.5)) * puffs
        height = float(rng.uniform(0.4, 1.8))
    else:
        slope, stretch = rng.uniform(3.4, 4.0), rng.uniform(1, 2.2)
        field = fractal_noise(rng, shape, slope, None, 2, stretch, angle)
        height = float(np.exp(rng.uniform(np.log(0.8), np.log(8.5))))
    slope, largest = rng.uniform(2.9, 3.5), float(rng.uniform(40, 120))
    stretch, angle = rng.uniform(1, 2.5), float(rng.uniform(0, np.pi))
    wisps = fractal_noise(rng, shape, slope, largest, 2, stretch, angle)
    return SoftLayer(
        smooth(field, 2),
        depth=5 * float(np.exp(rng.normal(0, 1))),
        width=0.8 * float(rng.uniform(0.8, 1.5)),
        height=height,
        ice=max(0.0, height - 4) / 6,
        wisps=np.exp(np.float32(_WISPS * rng.uniform(0.5, 1.5)) * wisps),
    )


def draw_soft_light(rng: np.random.Generator, layer: CloudLayer) -> CloudLight:
    """Draw how a layer scatters light, by two streams if it is soft.

    Args:
        rng: Source of randomness.
        layer: The layer.
    """
    light = draw_light(rng, layer)
    if not isinstance(layer, SoftLayer):
        return light
    reflected = _REFLECTED * float(np.exp(rng.normal(0, 0.25)))
    return SoftLight(layer, light.faint, light.reach, light.tilt, light.swir, reflected)


def draw_lumps(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Draw how tops differ in brightness, whatever their thickness.

    Args:
        rng: Source of randomness.
        shape: Height and width.

    Returns:
        What is to be added to a brightness of 1, H×W.
    """
    largest = float(np.exp(rng.uniform(np.log(80), np.log(250))))
    lumps = fractal_noise(rng, shape, rng.uniform(3.1, 3.6), largest, 2)
    much = np.clip(_LUMPS * np.exp(rng.normal(0, 0.4)), 0.02, 0.3)
    drawn: FloatArray = np.float32(much) * lumps
    return drawn
