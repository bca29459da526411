# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Landscapes: land cover, parcels and terrain of a place that does not exist.

Terrain comes first; water fills its low parts and carves its valleys; forests, fields
and towns take the ground that suits them. Fields are parcels of farms with an
orientation each, towns are blocks between streets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...transforms.noise import FloatArray, fractal_noise, smooth
from .biomes import BARE, BUILT, CROPS, GRASS, SHRUB, TREES, WATER, Biome
from .parcels import IntArray, draw_farms, draw_parcels, mix_integers

IGNORE = 255

#: Segments: 0 to 6 are the classes as they occur in nature, then parcels and roofs.
NUM_PARCELS = 600
NUM_ROOFS = 200
ROAD = 7
GARDEN = 8
FIRST_PARCEL = 10
FIRST_ROOF = FIRST_PARCEL + NUM_PARCELS
NUM_SEGMENTS = FIRST_ROOF + NUM_ROOFS


@dataclass(frozen=True, slots=True)
class Landscape:
    """A place, all arrays H×W.

    Attributes:
        label: Land-cover label, uint8; 255 where it is unknown.
        segment: What gives a pixel its colour: class, parcel or roof.
        shade: Terrain slopes down the rows and along the columns, 2×H×W.
        vigour: How dense vegetation is compared to the mean of its segment.
        tone: How bright the ground is compared to the mean of its segment.
        furrow: Stripes within fields, 0 elsewhere.
    """

    label: NDArray[np.uint8]
    segment: NDArray[np.int32]
    shade: FloatArray
    vigour: FloatArray
    tone: FloatArray
    furrow: FloatArray


def _rank(field: FloatArray, share: float) -> NDArray[np.bool_]:
    """The `share` of the pixels where a field is highest."""
    if share <= 0:
        return np.zeros(field.shape, bool)
    return field >= np.quantile(field, 1 - min(share, 1.0))


def _terrain(
    rng: np.random.Generator, shape: tuple[int, int], relief: float
) -> FloatArray:
    body = fractal_noise(rng, shape, 4.2, max(shape))
    # folds of smooth noise are ridges; their flanks carry smaller ones
    strike = float(rng.uniform(0, np.pi))
    large = -np.abs(fractal_noise(rng, shape, 4.0, 150, 10, 1.8, strike))
    small = -np.abs(fractal_noise(rng, shape, 3.5, 60, 7, 1.5, strike + 1.2))
    rough = np.float32(0.6 + 0.6 * relief)
    return body + rough * (large + np.float32(0.22) * (1 - large) * small)


def _rivers(
    rng: np.random.Generator, shape: tuple[int, int], count: int
) -> NDArray[np.bool_]:
    """Meandering lines of varying width: where a bent plane crosses zero."""
    height, width = shape
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    river = np.zeros(shape, bool)
    for _ in range(count):
        # a tilted plane keeps the line open, noise makes it wind
        angle = rng.uniform(0, 2 * np.pi)
        course = np.float32(np.cos(angle)) * (x - np.float32(rng.uniform(0, width)))
        course = course + np.float32(np.sin(angle)) * (
            y - np.float32(rng.uniform(0, height))
        )
        bends = fractal_noise(rng, shape, 4.4, 250, 25)
        course = course + np.float32(rng.uniform(20, 60)) * bends
        down, right = np.gradient(course)
        steep = np.hypot(down, right) + 0.2
        half = np.exp(rng.uniform(np.log(0.7), np.log(9)))
        swell = 1 + 0.4 * fractal_noise(rng, shape, 3, 120)
        river |= np.abs(course) / steep < half * swell
    return river


def _towns(
    rng: np.random.Generator, shape: tuple[int, int], biome: Biome
) -> NDArray[np.bool_]:
    height, width = shape
    count = int(rng.poisson(1.4 * biome.towns * height * width / 1e6))
    if biome.towns >= 5:
        count = max(count, 1)
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    near = np.full(shape, -np.inf, np.float32)
    for _ in range(count):
        row, col = rng.uniform(0, height), rng.uniform(0, width)
        radius = float(np.exp(rng.normal(np.log(24), 0.7)))
        distance = np.hypot(y - np.float32(row), x - np.float32(col))
        near = np.maximum(near, 1 - distance / np.float32(min(radius, 130)))
    rough = fractal_noise(rng, shape, 2.4, 60)
    return near + np.float32(0.25) * rough > 0


def _roads(
    rng: np.random.Generator, shape: tuple[int, int], count: int
) -> NDArray[np.bool_]:
    """Nearly straight lines across the place, one or two pixels wide."""
    height, width = shape
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    bend = fractal_noise(rng, shape, 4, max(shape), 30)
    road = np.zeros(shape, bool)
    for _ in range(count):
        angle = rng.uniform(0, np.pi)
        u = np.float32(np.cos(angle)) * (x - np.float32(rng.uniform(0, width)))
        u = u + np.float32(np.sin(angle)) * (y - np.float32(rng.uniform(0, height)))
        u = u + np.float32(rng.uniform(0, 25)) * bend
        road |= np.abs(u) < rng.uniform(0.5, 1.1)
    return road


def build_landscape(
    rng: np.random.Generator, shape: tuple[int, int], biome: Biome
) -> Landscape:
    """Lay out a place of any size.

    Args:
        rng: Source of randomness.
        shape: Height and width in pixels of 10 m.
        biome: What the place is made of.

    Returns:
        The landscape.

    Example:
        >>> from torchgeo_tdpcr.datasets.synthetic.biomes import BIOMES
        >>> place = build_landscape(np.random.default_rng(0), (64, 96), BIOMES[0])
        >>> place.label.shape, place.segment.dtype
        ((64, 96), dtype('int32'))
    """
    height = _terrain(rng, shape, biome.relief)
    slopes = np.stack(tuple(np.gradient(smooth(height, 2))))
    slopes *= np.float32(0.46 * biome.relief) / slopes.std()
    steep = smooth(np.hypot(slopes[0], slopes[1]), 2) * np.float32(4)
    dry = fractal_noise(rng, shape, 2.6, 260)

    # open land by dryness and height
    weights = np.asarray(biome.open_land, float) * rng.uniform(0.6, 1.6, 3)
    weights /= weights.sum()
    aridity = dry + np.float32(0.5 * biome.relief) * height
    aridity = aridity + np.float32(0.5) * fractal_noise(rng, shape, 2.3, 50)
    aridity = smooth(aridity, 2)
    label = np.full(shape, SHRUB, np.uint8)
    label[_rank(aridity, weights[0])] = BARE
    label[_rank(-aridity, weights[1])] = GRASS

    # woods: patches with ragged edges, denser on slopes
    wood = smooth(fractal_noise(rng, shape, 2.5, 150))
    wood = wood - np.float32(0.3) * dry + np.float32(0.4 * biome.relief) * steep
    woods = _rank(wood, biome.trees * rng.uniform(0.6, 1.4))

    # farms: flat ground
    farm = draw_farms(rng, shape, 230)
    bend = np.float32(4) * fractal_noise(rng, shape, 4, 300, 20)
    size = biome.field * float(np.exp(rng.normal(0, 0.2)))
    aspect = (rng.uniform(0.45, 0.9), rng.uniform(0.9, 1.6))
    parcel, edge, across, radius = draw_parcels(rng, farm, size, bend, aspect)
    suit = fractal_noise(rng, shape, 2.8, 300) - np.float32(biome.relief) * steep
    # whole parcels are farmed or not
    mean = np.bincount((parcel % 65521).ravel(), suit.ravel(), 65521)
    count = np.bincount((parcel % 65521).ravel(), minlength=65521)
    suit = (mean / np.maximum(count, 1)).astype(np.float32)[parcel % 65521]
    fields = _rank(suit, biome.crops * rng.uniform(0.75, 1.15))
    woods &= ~(fields & (mix_integers(parcel, 7) % 100 > 100 * biome.trees * 0.5))
    label[fields] = CROPS
    segment = label.astype(np.int32)
    segment[fields] = FIRST_PARCEL + (parcel % NUM_PARCELS)[fields]
    # irrigated circles leave the corners of their square dry
    corner = fields & (mix_integers(parcel, 10) % 100 < 100 * biome.pivots)
    corner &= radius > 0.97
    label[corner], segment[corner] = BARE, BARE
    fields &= ~corner
    lines = fields & (edge < 0.6) & (mix_integers(parcel, 3) % 100 < 45)
    label[lines] = GRASS
    segment[lines] = GRASS
    label[woods], segment[woods] = TREES, TREES

    hedge = fields & (edge < 1.4) & (mix_integers(parcel, 4) % 100 < 60 * biome.trees)
    label[hedge], segment[hedge] = TREES, TREES

    furrow = draw_furrows(rng, fields, parcel, across)

    # water
    ponds = fields & (mix_integers(parcel, 6) % 1000 < 1000 * biome.ponds) & (edge > 1)
    wet = -height + np.float32(0.12) * fractal_noise(rng, shape, 2.2, 60)
    if biome.coast:
        angle = rng.uniform(0, 2 * np.pi)
        y = np.linspace(-2, 2, shape[0], dtype=np.float32)[:, None]
        x = np.linspace(-2, 2, shape[1], dtype=np.float32)[None]
        wet = wet * np.float32(0.7) + np.float32(np.cos(angle)) * x
        wet = wet + np.float32(np.sin(angle)) * y
    elif biome.relief > 0.5:
        wet = -height + fractal_noise(rng, shape, 3, 90)
    water = _rank(wet, biome.water * rng.uniform(0.4, 1.6)) | ponds
    water |= _rivers(rng, shape, biome.rivers)

    towns = _towns(rng, shape, biome) & ~water
    build_towns(rng, farm, towns, label, segment)
    road = _roads(rng, shape, 1 + int(min(biome.towns, 6) / 2)) & ~water
    label[road], segment[road] = BUILT, ROAD

    label[water], segment[water] = WATER, WATER
    slopes *= smooth((~water).astype(np.float32))
    shore = smooth(water.astype(np.float32), 2)
    beach = (shore > 0.12) & ~water & (aridity > 0.3 if not biome.coast else True)
    label[beach], segment[beach] = BARE, BARE

    unknown = fractal_noise(rng, shape, 2.5, 30) > 3.4
    label[unknown] = IGNORE

    vigour = fractal_noise(rng, shape, 2.1, 130)
    tone = fractal_noise(rng, shape, 1.9, 90)
    return Landscape(label, segment, slopes, vigour, tone, furrow)


def draw_furrows(
    rng: np.random.Generator,
    fields: NDArray[np.bool_],
    parcel: IntArray,
    across: FloatArray,
) -> FloatArray:
    """Draw stripes within some of the fields, 0 elsewhere.

    Args:
        rng: Source of randomness.
        fields: Where there are fields, H×W.
        parcel: What tells them apart, H×W.
        across: Coordinate across each, H×W.
    """
    stripes = np.sin(across * np.float32(2 * np.pi / rng.uniform(3, 7)))
    striped = fields & (mix_integers(parcel, 5) % 100 < 30)
    return np.where(striped, stripes, 0).astype(np.float32)


def build_towns(
    rng: np.random.Generator,
    farm: IntArray,
    towns: NDArray[np.bool_],
    label: NDArray[np.uint8],
    segment: NDArray[np.int32],
) -> None:
    """Build streets, roofs, yards and parks, in place.

    Args:
        rng: Source of randomness.
        farm: What gives blocks their direction, H×W.
        towns: Where to build, H×W.
        label: Labels, H×W.
        segment: Segments, H×W.
    """
    if not towns.any():
        return
    shape = label.shape
    still = np.zeros(shape, np.float32)
    block, street, *_ = draw_parcels(rng, farm, rng.uniform(9, 16), still, (0.8, 1.3))
    roof, gap, *_ = draw_parcels(rng, farm, rng.uniform(2.6, 4.2), still, (0.9, 1.3))
    hall, hall_gap, *_ = draw_parcels(rng, farm, rng.uniform(7, 11), still, (0.8, 1.5))
    works = fractal_noise(rng, shape, 3, 90) > rng.uniform(0.4, 1.8)
    roof = np.where(works, hall, roof)
    gap = np.where(works, hall_gap, gap)
    dense = rng.uniform(35, 75)
    kind = mix_integers(roof, 8) % 100
    park = mix_integers(block, 9) % 100
    part = FIRST_ROOF + roof % NUM_ROOFS
    part = np.where((kind > dense) & ~works, GARDEN, part)
    part = np.where((gap < 0.5) & (kind % 3 > 0), ROAD, part)
    part = np.where(street < 0.7, ROAD, part)
    part = np.where((park < 5) & (street > 0.7), GRASS, part)
    part = np.where((park > 94) & (street > 0.7), TREES, part)
    segment[towns] = part[towns]
    natural = (part == GRASS) | (part == TREES)
    label[towns] = np.where(natural, part, BUILT)[towns]
