# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes: one region of interest, seen clear, cloudy and by radar.

A region is rendered once on two dates. Chips are windows of it; the clear image, radar
and labels of overlapping chips are the same pixels. Every chip's cloudy image has a sky
and a date of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...kinds import Level
from ...transforms.bands import SENTINEL2_BANDS
from ...transforms.clouds import CloudyImage, simulate_clouds
from ...transforms.noise import FloatArray, block_mean
from .biomes import BIOMES, Biome
from .landscape import Landscape, build_landscape
from .layouts import lay_out
from .radar import render_radar
from .spectra import Date, Palette, draw_date, render, take_off_air

# How far the estimate of an atmospheric correction is off.
_AEROSOL_ERROR = 0.15
_VAPOUR_ERROR = 0.1
# Towns that are added for each one where there are cities.
_MORE_TOWNS = 0.8


@dataclass(frozen=True, slots=True)
class Scene:
    """A region of interest, arrays H×W or C×H×W.

    Attributes:
        clear: Clear Sentinel-2, 13 bands, digital numbers of level 1C without offset.
        other: The same on another date.
        sar: VV and VH in dB.
        label: Land-cover labels.
        dates: Both dates.
    """

    clear: FloatArray
    other: FloatArray
    sar: FloatArray
    label: NDArray[np.uint8]
    dates: tuple[Date, Date]

    @property
    def sun(self) -> tuple[float, float]:
        """Azimuth and zenith angle in degrees on the other date."""
        return self.dates[1].sun


def build_scene(
    rng: np.random.Generator,
    shape: tuple[int, int],
    biome: Biome = BIOMES[0],
    northern: bool = True,
    layout: NDArray[np.uint8] | None = None,
    variety: float = 0.0,
    cities: float = 0.0,
) -> Scene:
    """Make a scene of any size.

    Args:
        rng: Source of randomness.
        shape: Height and width in pixels of 10 m.
        biome: What the place is made of.
        northern: Whether it lies on the northern hemisphere.
        layout: Labels of a real place to lay it out by, H×W; drawn if None.
        variety: How far its materials differ from those of other places, see
            :func:`.place_tints`.
        cities: How much more is built up, and as bright as real towns are, 0 to 1.

    Returns:
        The scene.

    Example:
        >>> scene = build_scene(np.random.default_rng(0), (64, 96))
        >>> scene.clear.shape, scene.sar.shape
        ((13, 64, 96), (2, 64, 96))
    """
    biome = replace(biome, towns=(1 + _MORE_TOWNS * cities) * biome.towns)
    place: Landscape = build_landscape(rng, shape, biome)
    if layout is not None:
        place = lay_out(rng, place, layout, biome)
    palette = Palette(rng, biome, variety, cities)
    first, second = draw_date(rng, northern), draw_date(rng, northern)
    # rarely does a field look the same twice, but the place is the same
    second = replace(second, season=0.6 * first.season + 0.8 * second.season)
    return Scene(
        clear=render(rng, place, palette, first),
        other=render(rng, place, palette, second),
        sar=render_radar(rng, place),
        label=place.label,
        dates=(first, second),
    )


def between_dates(rng: np.random.Generator) -> FloatArray:
    """Factor per band between two dates that is the same all over a chip.

    Season, moisture and viewing angle change the infrared more than the visible; B9
    follows the water vapour of the day.
    """
    ramp = np.array((0, 0, 0, 0.2, 0.4, 0.9, 1, 1, 1, 1, 0, 0.8, 0.8), np.float32)
    factor = np.exp(rng.normal(0, 0.04) + rng.normal(-0.02, 0.12) * ramp)
    factor[11:] *= np.exp(rng.normal(0, 0.12))
    factor[9] *= np.exp(rng.normal(0, 0.25))
    return factor.astype(np.float32)[:, None, None]


def cloudy_chip(
    rng: np.random.Generator,
    scene: Scene,
    row: int,
    col: int,
    size: int,
    covers: tuple[float, float],
    level: Level = '1C',
    soft: bool = False,
) -> CloudyImage:
    """Cloudy image of one chip, whose real cover lies within a range.

    Args:
        rng: Source of randomness.
        scene: The region.
        row: First row of the chip.
        col: First column of the chip.
        size: Side of the chip in pixels.
        covers: Lowest and highest cover; the highest is excluded unless it is 1.
        level: Level of the image.
        soft: See :func:`.simulate_clouds`.

    Returns:
        The chip under a random sky.
    """
    window = np.s_[:, row : row + size, col : col + size]
    clear, other = scene.clear[window], scene.other[window]
    share = np.float32(rng.beta(1.6, 1.6))
    ground = clear + share * (other - clear)
    ground *= between_dates(rng)
    low, high = covers
    sky = None
    for attempt in range(8):
        inner = (high - low) * (0.02 + 0.05 * attempt)
        cover = float(rng.uniform(low + inner, high - inner))
        if low == 0 and rng.random() < 0.15:
            cover = 0.0
        if high == 1 and rng.random() < 0.4:
            cover = 1.0
        sky = simulate_clouds(
            ground, rng, cover, sun=scene.sun, origin=(row, col), soft=soft
        )
        real = float(sky.mask.mean())
        if low <= real < high or (high == 1 and real >= low):
            break
    assert sky is not None
    if level == '2A':
        sky = sky._replace(image=correct(rng, sky.image, scene.dates, float(share)))
    return sky


def correct(
    rng: np.random.Generator,
    image: FloatArray,
    dates: tuple[Date, Date],
    share: float = 0,
) -> FloatArray:
    """Bring an image to level 2A, by an estimate of the air that is a little off.

    Args:
        rng: Source of randomness.
        image: Digital numbers of level 1C without offset, 13×H×W.
        dates: Dates of the scene.
        share: Where the image stands between them, 0 to 1.

    Returns:
        Those of level 2A.
    """
    first, second = dates
    aerosol = first.aerosol + share * (second.aerosol - first.aerosol)
    vapour = first.vapour + share * (second.vapour - first.vapour)
    aerosol = max(aerosol + rng.normal(0, _AEROSOL_ERROR), 0)
    vapour *= np.exp(rng.normal(0, _VAPOUR_ERROR))
    return take_off_air(image, float(aerosol), float(vapour))


def at_level(
    level: Level,
    rng: np.random.Generator,
    image: FloatArray,
    scene: Scene,
    share: float = 0,
) -> dict[str, FloatArray]:
    """Bring an image of level 1C to a level.

    Args:
        level: The level.
        rng: Source of randomness for the estimate of the air.
        image: Digital numbers without offset, 13×H×W.
        scene: The scene that it is of.
        share: Where it stands between the scene's dates, 0 to 1.

    Returns:
        Digital numbers without offset of each band that the level has, H×W.
    """
    if level == '2A':
        image = correct(rng, image, scene.dates, min(share, 1))
    planes = dict(zip(SENTINEL2_BANDS, image, strict=True))
    return {k: v for k, v in planes.items() if level == '1C' or k != 'B10'}


def digital_numbers(
    image: Mapping[str, FloatArray], offset: int
) -> dict[str, NDArray[np.uint16]]:
    """Digital numbers, each band the same all over a pixel of its own resolution.

    Haze, and clouds that bands see displaced, are no blocks: all bands are averaged.
    """
    out = {}
    for name, band in image.items():
        step = SENTINEL2_BANDS[name].resolution // 10
        plane = np.rint(block_mean(band, step)) + offset
        out[name] = np.clip(plane, 1, 65535).astype(np.uint16)
    return out


def windows(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of half-overlapping chips in a compact grid.

    Example:
        >>> list(windows(3, 64))
        [(0, 0), (0, 32), (32, 0)]
    """
    cols = int(np.ceil(np.sqrt(count)))
    for k in range(count):
        yield (k // cols) * (size // 2), (k % cols) * (size // 2)


def scene_shape(count: int, size: int) -> tuple[int, int]:
    """Height and width of the region that holds `count` chips."""
    corners = list(windows(count, size))
    return max(r for r, _ in corners) + size, max(c for _, c in corners) + size
