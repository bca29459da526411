# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Skies: layers of cloud above an image, as tall as they are and lit by one sun.

A layer is a random field that becomes optical thickness above a threshold. The
threshold is what decides the cloud cover, so it is searched for; where shadows fall and
how far bands disagree follow from the layer's height.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .noise import FloatArray, fractal_noise, smooth

Kind = Literal['cumulus', 'stratus', 'cirrus', 'veil']
KINDS: tuple[Kind, ...] = ('cumulus', 'stratus', 'cirrus', 'veil')

#: Optical thickness from which on a pixel counts as cloud; below, it is haze.
THICKNESS_LIMIT = 0.05

# Shadow strength from which on a pixel counts as shadow.
_SHADOW_LIMIT = 0.35

# When each band looks at a place, in seconds after B2: what lies high above the
# ground appears displaced between bands. Approximate, as is the scale below, which
# was set a little under the geometric one.
_DELAY = (2.31, 0, 0.53, 1.0, 1.27, 1.53, 1.79, 0.26, 2.06, 2.59, 0.85, 1.47, 2.09)
_PIXELS_PER_SECOND_AND_KM = 0.7
_MAX_SHIFT = 96


@dataclass(frozen=True, slots=True)
class CloudLayer:
    """A cloud layer: a field that becomes thickness above a threshold.

    Args:
        field: Random field.
        depth: Thickness that the layer approaches well above the threshold.
        width: How far above the threshold that is, in units of the field.
        height: Height above the ground in km.
        ice: 0 for droplets, 1 for ice.
    """

    field: FloatArray
    depth: float
    width: float
    height: float
    ice: float

    def thickness(
        self, threshold: float, field: FloatArray | None = None
    ) -> FloatArray:
        """Optical thickness of this field, or of another in its place."""
        field = self.field if field is None else field
        above = np.maximum(field - np.float32(threshold), 0)
        tau: FloatArray = self.depth * (1 - np.exp(-above / np.float32(self.width)))
        # textured by its own field: without it, thick parts saturate flat
        textured: FloatArray = tau * (1 + np.float32(0.35) * np.minimum(above, 2))
        return textured


def draw_layer(
    rng: np.random.Generator, kind: Kind, shape: tuple[int, int], cover: float
) -> CloudLayer:
    """Draw a layer.

    Args:
        rng: Source of randomness.
        kind: Kind of cloud.
        shape: Height and width.
        cover: Part of the image that is to be covered.
    """
    angle = float(rng.uniform(0, np.pi))
    if kind == 'cumulus':
        size = float(np.exp(rng.uniform(np.log(35), np.log(320))))
        field = fractal_noise(rng, shape, rng.uniform(3.1, 3.8), size, 1.5)
        # billows: folding the noise gives rounded tops and sharp gaps
        puffs = -np.abs(fractal_noise(rng, shape, 3.1, size / 2.5, 1.5))
        field = field + np.float32(rng.uniform(0.15, 0.5)) * puffs
        depth = np.exp(rng.normal(1.15, 0.5)) * (1 + 0.6 * cover)
        return CloudLayer(field, depth, rng.uniform(0.6, 2.1), rng.uniform(0.4, 1.8), 0)
    if kind == 'stratus':
        field = fractal_noise(
            rng, shape, rng.uniform(3.1, 3.9), None, 2, rng.uniform(1, 2.2), angle
        )
        depth = np.exp(rng.normal(0.95, 0.55)) * (1 + 0.8 * cover)
        height = np.exp(rng.uniform(np.log(0.8), np.log(8.5)))
        return CloudLayer(
            field, depth, rng.uniform(0.7, 2), height, max(0, height - 4) / 6
        )
    if kind == 'veil':
        field = fractal_noise(rng, shape, rng.uniform(3, 3.8), None)
        height = rng.uniform(1, 6)
        return CloudLayer(
            field, rng.uniform(0.25, 1), 1.5, height, max(0, height - 4) / 6
        )
    # a smooth veil with fibres along the wind, both bent by large eddies
    field = fractal_noise(rng, shape, 3.6, None, 3, rng.uniform(1.2, 3), angle)
    fibres = fractal_noise(rng, shape, 2.9, 70, 2.5, rng.uniform(3, 8), angle)
    field = field + np.float32(rng.uniform(0.1, 0.4)) * fibres
    field = _bend(rng, field)
    return CloudLayer(field, rng.uniform(0.06, 0.4), 1.5, rng.uniform(6, 11), 1)


def _bend(rng: np.random.Generator, field: FloatArray) -> FloatArray:
    """Move pixels along smooth displacements of up to a few dozen pixels."""
    height, width = field.shape
    reach = rng.uniform(3, 14)
    down = fractal_noise(rng, field.shape, 4.5, 250, 30) * np.float32(reach)
    right = fractal_noise(rng, field.shape, 4.5, 250, 30) * np.float32(reach)
    y = np.arange(height, dtype=np.float32)[:, None] + down
    x = np.arange(width, dtype=np.float32)[None] + right
    return smooth(
        field[
            np.clip(y, 0, height - 1).astype(np.intp),
            np.clip(x, 0, width - 1).astype(np.intp),
        ]
    )


def draw_kinds(rng: np.random.Generator, cover: float) -> list[Kind]:
    """Draw one or two kinds of cloud; decks are commoner where the sky is full."""
    weights = (0.62, 0.2, 0.09, 0.09) if cover < 0.7 else (0.44, 0.46, 0.04, 0.06)
    first = KINDS[int(rng.choice(4, p=weights))]
    if rng.random() < 0.3:
        second: Kind = 'cumulus' if first in ('cirrus', 'veil') else 'cirrus'
        return [first, second]
    return [first]


#: Draws a layer, see :func:`draw_layer`.
type DrawLayer = Callable[
    [np.random.Generator, Kind, tuple[int, int], float], CloudLayer
]


class Sky:
    """Layers, sun and margins: what turns thresholds into thickness and shadow.

    Args:
        rng: Source of randomness.
        shape: Height and width of the image.
        cover: Part of it that is to be covered.
        kinds: Kind of each layer.
        sun: Azimuth and zenith angle in degrees.
        height: Height of all layers in km, drawn if None.
        draw: Draws a layer.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        cover: float,
        kinds: Sequence[Kind],
        sun: tuple[float, float],
        height: float | None,
        draw: DrawLayer = draw_layer,
    ) -> None:
        self.shape = shape
        azimuth, zenith = np.radians(sun)
        self.away = (float(np.cos(azimuth)), float(-np.sin(azimuth)))
        self.tan = float(np.tan(zenith))
        self.flow = 1 if rng.random() < 0.5 else -1
        self.margin = _MAX_SHIFT
        padded = (shape[0] + 2 * self.margin, shape[1] + 2 * self.margin)
        self.layers = [draw(rng, kind, padded, cover) for kind in kinds]
        if height is not None:
            self.layers = [replace(layer, height=height) for layer in self.layers]
        # cloud in one band is cloud, wherever the others see it
        self.seen = [self._swept(layer) for layer in self.layers]

    def _swept(self, layer: CloudLayer) -> FloatArray:
        """Highest value of the field that any band sees, not padded."""
        first, last = sorted(self.parallax(layer.height, band)[0] for band in (1, 9))
        top = self.crop(layer.field, (first, 0))
        for shift in range(first + 1, last + 1):
            top = np.maximum(top, self.crop(layer.field, (shift, 0)))
        return top

    def crop(self, field: FloatArray, shift: tuple[int, int] = (0, 0)) -> FloatArray:
        """Window of a padded field, moved by `shift` rows and columns."""
        (h, w), m = self.shape, self.margin
        r, c = m - shift[0], m - shift[1]
        return field[r : r + h, c : c + w]

    def displacement(self, height: float) -> tuple[int, int]:
        """Rows and columns from a cloud to its shadow, for a height in km."""
        length = min(height * 100 * self.tan, self.margin)
        return round(length * self.away[0]), round(length * self.away[1])

    def parallax(self, height: float, band: int) -> tuple[int, int]:
        """Rows and columns by which one band sees a height displaced."""
        shift = (_DELAY[band] - 1.3) * height * _PIXELS_PER_SECOND_AND_KM
        return round(self.flow * shift), 0

    def covered(
        self, threshold: float, taus: Sequence[FloatArray]
    ) -> tuple[np.ndarray, FloatArray]:
        """Cloud-or-shadow mask and shadow strength of padded thickness maps."""
        total = np.zeros(self.shape, np.float32)
        for layer, field in zip(self.layers, self.seen, strict=True):
            total += layer.thickness(threshold, field)
        shadow = np.zeros(self.shape, np.float32)
        for layer, tau in zip(self.layers, taus, strict=True):
            shadow += self.crop(tau, self.displacement(layer.height))
        shadow = 1 - np.exp(-np.float32(0.7) * shadow)
        return (total >= THICKNESS_LIMIT) | (shadow >= _SHADOW_LIMIT), shadow

    def solve(self, cover: float) -> tuple[float, list[FloatArray]]:
        """Threshold and thickness of each layer such that `cover` is covered."""
        fields = [layer.field for layer in self.layers]
        if cover <= 0:
            return np.inf, [np.zeros_like(field) for field in fields]
        low = min(float(field.min()) for field in fields) - 1.0
        high = max(float(field.max()) for field in fields)
        if cover < 1:
            for _ in range(12):
                middle = (low + high) / 2
                taus = [layer.thickness(middle) for layer in self.layers]
                if self.covered(middle, taus)[0].mean() > cover:
                    low = middle
                else:
                    high = middle
        return low, [layer.thickness(low) for layer in self.layers]
