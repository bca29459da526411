# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Biomes: what covers the ground where, and how green, wet and steep it is.

Each region of interest takes one biome, so that a small data set already spans bright
deserts, dark forests, farmland, towns and coasts on both hemispheres.
"""

from dataclasses import dataclass

#: Land-cover classes of the synthetic data set, by label.
CLASSES = ('water', 'trees', 'built', 'bare', 'crops', 'grass', 'shrub')

WATER, TREES, BUILT, BARE, CROPS, GRASS, SHRUB = range(len(CLASSES))


@dataclass(frozen=True, slots=True)
class Biome:
    """What a landscape is made of.

    Args:
        name: Name of the biome.
        sites: UTM zone's EPSG code, easting and northing of places that have it.
        trees: Part of the land under trees.
        crops: Part of the land under fields.
        open_land: Weights of bare ground, grass and shrub on what is left.
        water: Part of the area under lakes or sea.
        towns: Number of towns in 10 km x 10 km.
        rivers: Number of river systems.
        field: Typical length of a field in pixels of 10 m.
        relief: Steepness, 0 (plain) to 1 (mountains).
        green: Mean vigour of vegetation, 0 to 1.
        soil: Weights of the soils brown, red, sand, grey.
        turbid: Mean turbidity of water, 0 to 1.
        conifer: Part of conifers among the trees.
        pivots: Part of the fields that are irrigated circles.
        coast: Whether the water is a sea on one side.
        ponds: Part of the fields that are ponds or flooded.
    """

    name: str
    sites: tuple[tuple[int, float, float], ...]
    trees: float
    crops: float
    open_land: tuple[float, float, float]
    water: float
    towns: float
    rivers: int
    field: float
    relief: float
    green: float
    soil: tuple[float, float, float, float]
    turbid: float
    conifer: float = 0.2
    pivots: float = 0.0
    coast: bool = False
    ponds: float = 0.0


BIOMES = (
    Biome(
        'temperate farmland',
        ((32632, 548_000, 5_410_000), (32614, 620_000, 4_580_000)),
        0.22,
        0.85,
        (0.1, 0.7, 0.2),
        0.02,
        5,
        1,
        34,
        0.15,
        0.6,
        (0.6, 0.1, 0.1, 0.2),
        0.35,
    ),
    Biome(
        'southern woodland',
        ((32755, 404_280, 5_290_490), (32719, 610_000, 5_620_000)),
        0.7,
        0.25,
        (0.1, 0.45, 0.45),
        0.03,
        1.5,
        1,
        36,
        0.6,
        0.6,
        (0.5, 0.1, 0.1, 0.3),
        0.2,
        0.6,
    ),
    Biome(
        'river delta',
        ((32650, 560_000, 4_180_000), (32636, 330_000, 3_440_000)),
        0.06,
        0.8,
        (0.4, 0.4, 0.2),
        0.05,
        9,
        2,
        26,
        0.03,
        0.45,
        (0.5, 0.05, 0.15, 0.3),
        0.75,
        0.1,
        0.0,
        False,
        0.2,
    ),
    Biome(
        'savanna',
        ((32736, 470_000, 8_320_000), (32723, 380_000, 8_250_000)),
        0.14,
        0.2,
        (0.2, 0.45, 0.35),
        0.01,
        1.5,
        1,
        30,
        0.2,
        0.35,
        (0.35, 0.5, 0.1, 0.05),
        0.6,
        0.0,
        0.05,
    ),
    Biome(
        'desert',
        ((32638, 520_000, 2_690_000), (32733, 480_000, 7_310_000)),
        0.01,
        0.1,
        (0.8, 0.05, 0.15),
        0.003,
        1.5,
        0,
        46,
        0.3,
        0.2,
        (0.05, 0.25, 0.65, 0.05),
        0.5,
        0.0,
        0.6,
    ),
    Biome(
        'tropical forest',
        ((32720, 610_000, 9_480_000), (32647, 640_000, 410_000)),
        0.72,
        0.35,
        (0.15, 0.45, 0.4),
        0.03,
        1.2,
        2,
        30,
        0.2,
        0.8,
        (0.35, 0.55, 0.05, 0.05),
        0.7,
        0.0,
    ),
    Biome(
        'mountains',
        ((32645, 420_000, 3_090_000), (32719, 430_000, 6_290_000)),
        0.4,
        0.12,
        (0.4, 0.35, 0.25),
        0.01,
        1.5,
        1,
        18,
        1.0,
        0.45,
        (0.45, 0.1, 0.05, 0.4),
        0.3,
        0.7,
    ),
    Biome(
        'metropolis',
        ((32648, 680_000, 2_330_000), (32721, 370_000, 6_170_000)),
        0.15,
        0.45,
        (0.3, 0.5, 0.2),
        0.02,
        40,
        1,
        24,
        0.12,
        0.45,
        (0.5, 0.2, 0.1, 0.2),
        0.6,
        0.1,
    ),
    Biome(
        'coast',
        ((32628, 430_000, 3_120_000), (32754, 280_000, 6_110_000)),
        0.2,
        0.4,
        (0.3, 0.35, 0.35),
        0.4,
        5,
        1,
        26,
        0.35,
        0.45,
        (0.25, 0.1, 0.6, 0.05),
        0.25,
        0.3,
        0.0,
        True,
    ),
    Biome(
        'mediterranean hills',
        ((32634, 590_000, 4_210_000), (32734, 310_000, 6_260_000)),
        0.3,
        0.45,
        (0.2, 0.25, 0.55),
        0.02,
        5,
        1,
        18,
        0.7,
        0.35,
        (0.45, 0.3, 0.15, 0.1),
        0.3,
        0.3,
    ),
    Biome(
        'boreal lakes',
        ((32635, 480_000, 6_850_000), (32612, 420_000, 6_310_000)),
        0.75,
        0.12,
        (0.1, 0.5, 0.4),
        0.14,
        1,
        1,
        24,
        0.2,
        0.5,
        (0.5, 0.05, 0.05, 0.4),
        0.15,
        0.9,
    ),
    Biome(
        'pampas',
        ((32720, 520_000, 6_140_000), (32755, 370_000, 6_160_000)),
        0.04,
        0.85,
        (0.15, 0.7, 0.15),
        0.02,
        2,
        0,
        62,
        0.05,
        0.55,
        (0.65, 0.2, 0.05, 0.1),
        0.6,
        0.0,
        0.12,
    ),
)
"""The biomes, in the order in which regions of interest take them."""
