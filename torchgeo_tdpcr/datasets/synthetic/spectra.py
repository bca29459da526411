# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Spectra: what the 13 bands see of a landscape on a clear day.

Every segment is a mixture of a few materials (leaves, needles, straw, soils, water,
roofs). Mixtures keep the correlations between bands that real scenes have. The
atmosphere then dims the surface and adds its own light, mostly in the blue.
"""

from dataclasses import dataclass

import numpy as np

from ...transforms.bands import SENTINEL2_BANDS
from ...transforms.noise import FloatArray, block_mean, smooth
from .biomes import BARE, GRASS, SHRUB, TREES, WATER, Biome
from .landscape import (
    FIRST_PARCEL,
    FIRST_ROOF,
    GARDEN,
    NUM_PARCELS,
    NUM_ROOFS,
    NUM_SEGMENTS,
    ROAD,
    Landscape,
)

# Reflectance x 10^4 at the surface, B1 to B12; B10 sees none of it. Set by hand so that
# mixtures under this file's atmosphere come near the means of real classes.
_MATERIALS = {
    'leaf': (150, 180, 430, 200, 720, 2450, 3150, 3300, 3500, 3500, 0, 1450, 520),
    'needle': (120, 140, 270, 170, 470, 1400, 1720, 1800, 1930, 1930, 0, 780, 300),
    'crop': (250, 300, 620, 300, 1010, 2700, 3400, 3550, 3700, 3700, 0, 1850, 900),
    'straw': (420, 550, 850, 1100, 1470, 1850, 2070, 2240, 2440, 2440, 0, 2750, 1700),
    'brown': (420, 560, 800, 1020, 1220, 1370, 1490, 1590, 1720, 1720, 0, 2150, 1650),
    'red': (420, 600, 1000, 1750, 2020, 2160, 2300, 2400, 2550, 2550, 0, 3400, 2900),
    'sand': (1250, 1650, 2250, 2850, 3050, 3150, 3250, 3300, 3420, 3420, 0, 4250, 3750),
    'grey': (420, 520, 660, 800, 900, 980, 1050, 1110, 1200, 1200, 0, 1500, 1250),
    'clear': (30, 30, 35, 15, 10, 8, 8, 5, 5, 5, 0, 3, 2),
    'silt': (420, 560, 850, 850, 720, 330, 300, 200, 170, 170, 0, 50, 30),
    'algae': (120, 170, 420, 210, 380, 190, 190, 130, 120, 120, 0, 40, 25),
    'tarmac': (480, 560, 660, 730, 790, 830, 870, 900, 950, 950, 0, 1150, 1050),
    'pale': (1700, 2000, 2250, 2400, 2480, 2530, 2580, 2620, 2680, 2680, 0, 2700, 2400),
    'tile': (420, 520, 750, 1250, 1450, 1530, 1620, 1700, 1800, 1800, 0, 2250, 2050),
    'blue': (1500, 1800, 1650, 1250, 1250, 1450, 1650, 1800, 1900, 1900, 0, 2100, 1800),
}
_NAMES = tuple(_MATERIALS)
_SPECTRA = np.array(tuple(_MATERIALS.values()), np.float32)
_SOILS = ('brown', 'red', 'sand', 'grey')
_ROOFS = ('pale', 'tile', 'blue', 'grey', 'tarmac')

# Light of the air itself on a clear day, and what it lets through.
_PATH = (960, 700, 420, 245, 205, 170, 145, 125, 100, 30, 5, 12, 7)
_THROUGH = (0.82, 0.86, 0.89, 0.92, 0.90, 0.93, 0.95, 0.90, 1.0, 0.26, 0, 0.96, 0.95)
# How the air's light grows with aerosol: all of it in the blue, little in the red.
_AEROSOL = (0.36, 0.42, 0.5, 0.6, 0.62, 0.65, 0.67, 0.7, 0.72, 0.4, 0.0, 0.6, 0.6)
_B9 = list(SENTINEL2_BANDS).index('B9')
_NOISE = (5, 9, 8, 8, 9, 10, 11, 12, 12, 5, 1, 9, 8)


@dataclass(frozen=True, slots=True)
class Date:
    """What differs between two acquisitions of the same place.

    Args:
        season: Added to the vigour of all vegetation.
        aerosol: Amount of aerosol, 0 (clean air) to 2.
        vapour: Factor on what water vapour lets through in B9.
        light: Factor on the surface, from the height of the sun and its anisotropy.
        sun: Azimuth in degrees clockwise from north, and zenith angle.
        seed: Draws the state of the fields.
    """

    season: float
    aerosol: float
    vapour: float
    light: float
    sun: tuple[float, float]
    seed: int


def draw_date(rng: np.random.Generator, northern: bool) -> Date:
    """Draw an acquisition in the morning, as Sentinel-2 flies.

    Args:
        rng: Source of randomness.
        northern: Whether the sun stands in the south.
    """
    azimuth = rng.normal(148, 14) if northern else rng.normal(42, 14)
    return Date(
        season=float(rng.normal(0, 0.19)),
        aerosol=float(rng.gamma(1.5, 0.5)),
        vapour=float(np.exp(rng.normal(0, 0.35))),
        light=float(np.exp(rng.normal(-0.05, 0.13))),
        sun=(float(azimuth), float(np.clip(rng.normal(38, 11), 15, 66))),
        seed=int(rng.integers(2**31)),
    )


def place_tints(rng: np.random.Generator, variety: float) -> FloatArray:
    """How the materials of one place differ from those of others.

    What grows and what is built differs from land to land more than within a place: one
    town is brown, another grey. Only what is seen between the clouds tells which.

    Args:
        rng: Source of randomness.
        variety: Spread of the logarithm of a material's brightness.

    Returns:
        Factors, materials × bands, smooth over the wavelengths.
    """
    at = np.log([band.wavelength for band in SENTINEL2_BANDS.values()])
    slope = 2 * (at - at.min()) / (at.max() - at.min()) - 1
    shapes = np.stack([np.ones_like(slope), slope, 1.5 * slope**2 - 0.5])
    # A part of it is the same for all materials of the place
    common = rng.normal(0, (0.5, 0.4, 0.2), 3)
    own = rng.normal(0, (0.85, 0.5, 0.3), (len(_NAMES), 3))
    tints: FloatArray = np.exp(variety * (common + own) @ shapes).astype(np.float32)
    return tints


class Palette:
    """Spectrum and spread of every segment of one place.

    Args:
        rng: Source of randomness; draws what no date changes.
        biome: What the place is made of.
        variety: How far its materials differ from those of other places, see
            :func:`place_tints`.
        cities: Part of the roofs that are as bright as those of real towns.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        biome: Biome,
        variety: float = 0.0,
        cities: float = 0.0,
    ) -> None:
        self.biome = biome
        soil = np.asarray(biome.soil, float) + 0.02
        mixes = rng.dirichlet(soil * 6, NUM_SEGMENTS)
        # neighbours lie on the same ground: a common soil, varied
        common = rng.dirichlet(soil * 4)
        self.soil = 0.65 * common + 0.35 * mixes
        self.soil_tone = np.exp(rng.normal(0, 0.12, NUM_SEGMENTS))
        self.soil_tone *= np.exp(rng.normal(0.05, 0.22))
        # what grows nothing is drier and brighter than what is ploughed
        self.soil_tone[BARE] *= 1.35
        self.conifer = float(np.clip(rng.normal(biome.conifer, 0.15), 0, 1))
        self.roof = rng.dirichlet((0.22, 0.3, 0.08, 0.4, 0.2), NUM_ROOFS)
        self.roof_tone = np.exp(rng.normal(0, 0.3, NUM_ROOFS))
        self.turbid = float(np.clip(rng.normal(biome.turbid, 0.2), 0.02, 1))
        self.algae = float(rng.beta(1, 5))
        self.kind = rng.random(NUM_PARCELS)
        self.parcel_vigour = rng.normal(0, 1, NUM_PARCELS)
        self.materials: FloatArray = _SPECTRA
        # Of their own, so that all else is drawn as without
        rng, city_rng = rng.spawn(2)
        if cities:
            self._paint(city_rng, cities)
        if variety:
            self.materials = _SPECTRA * place_tints(rng, variety)
            town = rng.dirichlet((0.44, 0.6, 0.16, 0.8, 0.4))
            self.roof = 0.6 * town + 0.4 * self.roof

    def _paint(self, rng: np.random.Generator, cities: float) -> None:
        """Paint roofs as bright as those of real towns, some more than others."""
        painted = rng.random(NUM_ROOFS) < cities
        roof = rng.dirichlet((0.4, 0.25, 0.15, 0.35, 0.12), NUM_ROOFS)
        tone = np.exp(rng.normal(rng.normal(0.15, 0.15), 0.4, NUM_ROOFS))
        self.roof[painted] = roof[painted]
        self.roof_tone[painted] = tone[painted]

    def fractions(self, date: Date) -> FloatArray:
        """Part of each material in each segment on a date, segments × materials."""
        rng = np.random.default_rng(date.seed)
        biome = self.biome
        mix = np.zeros((NUM_SEGMENTS, len(_NAMES)))
        at = {name: i for i, name in enumerate(_NAMES)}
        green = np.clip(biome.green + date.season, 0.03, 0.97)

        def cover(
            segment: int | slice,
            leaf: str,
            dense: float | FloatArray,
            straw: float | FloatArray,
        ) -> None:
            """Vegetation that covers `dense`; of the rest, `straw` is dry plants."""
            mix[segment, at[leaf]] = dense
            mix[segment, at['straw']] = (1 - dense) * straw
            rest = (1 - dense) * (1 - straw) * self.soil_tone[segment]
            for i, name in enumerate(_SOILS):
                mix[segment, at[name]] = rest * self.soil[segment, i]

        cover(BARE, 'leaf', 0.04 * green, 0.08)
        cover(GRASS, 'crop', 0.18 + 0.5 * green, 0.5)
        cover(SHRUB, 'leaf', 0.2 + 0.42 * green, 0.35)
        cover(GARDEN, 'leaf', 0.15 + 0.45 * green, 0.2)
        dense = 0.5 + 0.25 * green
        mix[TREES, at['leaf']] = dense * (1 - self.conifer)
        mix[TREES, at['needle']] = (0.75 + 0.1 * green) * self.conifer
        mix[TREES, at['straw']] = (1 - green) * 0.06
        mix[WATER, at['silt']] = np.clip(self.turbid * rng.uniform(0.5, 1.4), 0, 1)
        mix[WATER, at['algae']] = self.algae * (1 - mix[WATER, at['silt']])
        mix[WATER, at['clear']] = 1 - mix[WATER, at['silt']] - mix[WATER, at['algae']]
        mix[ROAD, at['tarmac']] = 0.7
        mix[ROAD, at['brown']] = 0.2

        parcels = slice(FIRST_PARCEL, FIRST_PARCEL + NUM_PARCELS)
        # crops of one kind ripen together; each kind has its own time
        phase = rng.uniform(-1.4, 1.4, 4)[(self.kind * 4).astype(int)]
        level = np.log(green / (1 - green)) + phase + 0.5 * self.parcel_vigour
        level = level + 0.3 + rng.normal(0, 0.5, NUM_PARCELS)
        dense = 0.92 / (1 + np.exp(-2.2 * level))
        straw = np.clip(rng.beta(1.2, 1.4, NUM_PARCELS), 0, 1)
        cover(parcels, 'crop', dense, straw)

        roofs = slice(FIRST_ROOF, FIRST_ROOF + NUM_ROOFS)
        for i, name in enumerate(_ROOFS):
            mix[roofs, at[name]] += self.roof[:, i] * self.roof_tone * 0.8
        mix[roofs, at['leaf']] += 0.1 + 0.1 * green
        return mix.astype(np.float32)

    def surface(self, date: Date) -> tuple[FloatArray, FloatArray]:
        """Spectra, and how they change with vigour: two arrays, bands × segments."""
        mix = self.fractions(date)
        spectra = mix @ self.materials
        ground = self.materials[[_NAMES.index(name) for name in _SOILS]]
        soil = self.soil.astype(np.float32) @ ground
        leaf = self.materials[_NAMES.index('leaf')]
        spread = np.full(NUM_SEGMENTS, 0.07, np.float32)
        spread[[BARE, GRASS, SHRUB, GARDEN, ROAD]] = (0.04, 0.11, 0.13, 0.15, 0.03)
        spread[WATER] = 0
        spread[FIRST_ROOF:] = 0.05
        change = (leaf - 0.8 * soil) * spread[:, None]
        # canopies grow and shrink as a whole
        change[TREES] = spectra[TREES] * np.float32(0.1)
        return spectra.T.copy(), change.T.copy()


_TONE = np.full(NUM_SEGMENTS, 0.07, np.float32)
_TONE[TREES], _TONE[WATER], _TONE[ROAD] = 0.09, 0.03, 0.12
_TONE[SHRUB], _TONE[GARDEN], _TONE[GRASS], _TONE[BARE] = 0.1, 0.15, 0.06, 0.09
_TONE[FIRST_ROOF:] = 0.13


def render(
    rng: np.random.Generator, place: Landscape, palette: Palette, date: Date
) -> FloatArray:
    """See a landscape through the atmosphere with Sentinel-2.

    Args:
        rng: Source of the sensor's noise.
        place: The landscape.
        palette: Its spectra.
        date: Day and air.

    Returns:
        Digital numbers without offset, 13×H×W.
    """
    spectra, change = palette.surface(date)
    azimuth, zenith = np.radians(date.sun)
    toward = np.float32(np.tan(zenith))
    lit = place.shade[0] * np.float32(np.cos(azimuth))
    lit = lit - place.shade[1] * np.float32(np.sin(azimuth))
    lit = np.clip(1 + toward * lit, 0.25, 1.7) * np.float32(date.light)
    tone = 1 + _TONE[place.segment] * (place.tone + 0.8 * place.furrow)
    lit = np.maximum(lit * tone, 0.1)
    image = np.empty((len(SENTINEL2_BANDS), *place.label.shape), np.float32)
    for i, band in enumerate(SENTINEL2_BANDS.values()):
        if band.name == 'B10':
            vapour = block_mean(place.tone, 6)
            plane = 11 + 4 * np.float32(date.aerosol) + vapour
        else:
            plane = spectra[i][place.segment] + change[i][place.segment] * place.vigour
            plane = np.maximum(plane, 0.2 * spectra[i][place.segment]) * lit
            air, through = _air(i, date.aerosol, date.vapour)
            plane = plane * through + air
            # a wider point spread where pixels are larger
            plane = smooth(plane, 2 if band.resolution > 10 else 1)
        plane = block_mean(plane, band.resolution // 10)
        noise = rng.standard_normal(plane.shape, dtype=np.float32)
        image[i] = plane + block_mean(noise, band.resolution // 10) * np.float32(
            _NOISE[i] * (band.resolution / 10) ** 0.5
        )
    return image


def take_off_air(image: FloatArray, aerosol: float, vapour: float) -> FloatArray:
    """Take the air off an image, as the atmospheric correction of level 2A does.

    Args:
        image: Digital numbers without offset of level 1C, 13×H×W.
        aerosol: Amount of aerosol that is assumed, see :class:`Date`.
        vapour: Water vapour that is assumed, see :class:`Date`.

    Returns:
        The same of level 2A, 13×H×W. B10, which that level does not have, is 0.
    """
    surface = np.zeros_like(image)
    for i, band in enumerate(SENTINEL2_BANDS):
        if band == 'B10':
            continue
        air, through = _air(i, aerosol, vapour)
        surface[i] = (image[i] - air) / through
    return surface


def _air(band: int, aerosol: float, vapour: float) -> tuple[np.float32, np.float32]:
    """Light of the air in a band, and the part of the surface's that it lets through."""
    through = _THROUGH[band]
    if band == _B9:
        through = min(through * vapour, 0.6)
    light = _PATH[band] * (1 + _AEROSOL[band] * (aerosol - 0.5))
    return np.float32(light), np.float32(through)
