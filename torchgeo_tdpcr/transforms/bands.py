# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The Sentinel-1 and Sentinel-2 bands: names, wavelengths, resolutions, scaling.

Wavelengths are those of Sentinel-2A in ESA's *Sentinel-2 User Handbook*, rounded to
the nanometre. Every list of bands in this package is in the order of this registry,
which is the order of the files of LuojiaSET-OSFCR and SEN12MS-CR.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

#: Digital numbers per unit of top-of-atmosphere reflectance.
QUANTIFICATION = 10_000

#: Offset added to Sentinel-2 digital numbers since processing baseline 04.00.
BASELINE_OFFSET = 1_000


@dataclass(frozen=True, slots=True)
class OpticalBand:
    """A Sentinel-2 band.

    Args:
        name: Name of the band, ``'B1'`` to ``'B12'``.
        wavelength: Central wavelength in nanometres.
        resolution: Native ground sampling distance in metres.
        offset: What processing baseline 04.00 added to the digital numbers.
        clip: Digital numbers, offset removed, that normalisation maps to 0 and 1.
    """

    name: str
    wavelength: int
    resolution: int
    offset: int = BASELINE_OFFSET
    clip: tuple[float, float] = (0.0, float(QUANTIFICATION))


@dataclass(frozen=True, slots=True)
class RadarBand:
    """A polarisation of Sentinel-1.

    Args:
        name: ``'VV'`` or ``'VH'``.
        wavelength: Wavelength of the C-band carrier in nanometres.
        resolution: Pixel spacing of the ground-range product in metres.
        clip: Backscatter in dB that normalisation maps to 0 and 1.
    """

    name: str
    wavelength: int
    resolution: int
    clip: tuple[float, float]


SENTINEL2_BANDS = MappingProxyType(
    {
        band.name: band
        for band in (
            OpticalBand('B1', 443, 60),
            OpticalBand('B2', 492, 10),
            OpticalBand('B3', 560, 10),
            OpticalBand('B4', 665, 10),
            OpticalBand('B5', 704, 20),
            OpticalBand('B6', 741, 20),
            OpticalBand('B7', 783, 20),
            OpticalBand('B8', 833, 10),
            OpticalBand('B8A', 865, 20),
            OpticalBand('B9', 945, 60),
            OpticalBand('B10', 1374, 60),
            OpticalBand('B11', 1614, 20),
            OpticalBand('B12', 2202, 20),
        )
    }
)
"""The 13 bands of Sentinel-2's MSI by name, in file order."""

SENTINEL1_BANDS = MappingProxyType(
    {
        'VV': RadarBand('VV', 55_465_763, 10, (-25.0, 0.0)),
        'VH': RadarBand('VH', 55_465_763, 10, (-32.5, 0.0)),
    }
)
"""The two polarisations of Sentinel-1's IW mode by name, in file order."""


def check_bands(bands: Sequence[str] | None) -> tuple[str, ...]:
    """Complete and check a selection of Sentinel-2 bands.

    Args:
        bands: Names of bands in any order, or None for all 13.

    Returns:
        The names, in the order given.

    Raises:
        ValueError: If a name is unknown or given twice, or none is given.

    Example:
        >>> check_bands(['B4', 'B3', 'B2'])
        ('B4', 'B3', 'B2')
    """
    if bands is None:
        return tuple(SENTINEL2_BANDS)
    unknown = [band for band in bands if band not in SENTINEL2_BANDS]
    if unknown or not bands or len(set(bands)) != len(bands):
        what = f'unknown: {unknown}' if unknown else 'empty, or a band is given twice'
        raise ValueError(
            f'`bands={list(bands)}`: {what}. Choose each at most once from '
            f'{list(SENTINEL2_BANDS)}.'
        )
    return tuple(bands)
