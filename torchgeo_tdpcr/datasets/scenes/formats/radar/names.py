# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the names of Sentinel-1 rasters and bands tell: the scale, and what they are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from .....kinds import SARScale
from ..naming import polarisation_of

#: Names of ASF's HyP3: `S1A_IW_20200604T051422_DVP_RTC10_G_gauned_1234`, where the second
#: letter of the last but one part is the scale.
_HYP3 = re.compile(
    r'S1[A-D]_\w{2}_\d{8}T\d{6}_(?P<polarisations>[DS][HV])[PRO]_RTC\d+_[A-Z]_'
    r'[gs](?P<scale>[pda])[uw][nf][ec][dm](?![A-Za-z])'
)
_HYP3_SCALES: dict[str, SARScale] = {'p': 'linear', 'd': 'db', 'a': 'amplitude'}

#: Words that tell the scale, in names of files; and in descriptions, which are shorter.
_WORDS: dict[str, SARScale] = {
    'db': 'db',
    'decibel': 'db',
    'decibels': 'db',
    'amplitude': 'amplitude',
    'amplitudes': 'amplitude',
    'amp': 'amplitude',
    'sqrt': 'amplitude',
}
_LABEL_WORDS: dict[str, SARScale] = {
    **_WORDS,
    'power': 'linear',
    'pow': 'linear',
    'linear': 'linear',
    'lin': 'linear',
}

#: Ends of names of what lies beside backscatter: areas, elevations, angles, masks, views.
_AUXILIARY = re.compile(
    r'(?:^|[_.-])(?:area|dem|inc_map(?:_ell)?|ls_map|rgb|mask|angle|lia|incidence|'
    r'(?:local_)?incident_angle|layover(?:_shadow)?(?:_mask)?|shadow(?:_mask)?|'
    r'number_of_looks|rtc_anf_\w+)$',
    re.IGNORECASE,
)

#: Measurements in a product as ESA delivers it.
_MEASUREMENT = re.compile(
    r'^s1[a-d]-\w{2}\d?-(grd|slc|ocn|raw)-(?:vv|vh|hh|hv)-\d{8}t\d{6}-', re.IGNORECASE
)
_PRODUCT = re.compile(r'S1[A-D]_\w{2}_(GRD|SLC|RAW|OCN)', re.IGNORECASE)

#: Modes of horizontal polarisation, in names of ESA and of HyP3.
_MODES = (
    re.compile(r'_1S(?P<count>[SD])H(?![A-Z])'),
    re.compile(r'_(?P<count>[SD])H[PRO]_RTC\d'),
)

_OTHERS = re.compile(r'(?<![A-Z])(HH|HV)(?![A-Z])', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ScaleTold:
    """A scale, and what tells it.

    Args:
        scale: What backscatter is in.
        where: The name or the metadata that tells it.
    """

    scale: SARScale
    where: str


def scale_of_name(path: str) -> ScaleTold | None:
    """Tell the scale by the name of a file.

    Example:
        >>> name = 'S1A_IW_20200604T051422_DVP_RTC10_G_gauned_1234_VV.tif'
        >>> scale_of_name(name).scale, scale_of_name('in/s1_VV_dB.tif').scale
        ('amplitude', 'db')
        >>> scale_of_name('s1.tif')
    """
    name = PurePath(path).name
    if match := _HYP3.search(name):
        return ScaleTold(_HYP3_SCALES[match['scale']], f"the name '{name}'")
    scale = _scale_in(PurePath(name).stem, _WORDS)
    return None if scale is None else ScaleTold(scale, f"the name '{name}'")


def scale_of_label(label: str) -> ScaleTold | None:
    """Tell the scale by the description of a band.

    Example:
        >>> scale_of_label('Amplitude_VV').scale, scale_of_label('VVdB').scale
        ('amplitude', 'db')
        >>> scale_of_label('Sigma0_VV')
    """
    scale = _scale_in(label, _LABEL_WORDS)
    return None if scale is None else ScaleTold(scale, f'the description {label!r}')


def scale_of_unit(unit: str, where: str) -> ScaleTold | None:
    """Tell the scale by the unit that metadata give.

    Args:
        unit: The unit, '' if they give none.
        where: What it is the unit of.

    Example:
        >>> scale_of_unit('amplitude', 'vv').scale, scale_of_unit('dB', 'vv').scale
        ('amplitude', 'db')
        >>> scale_of_unit('m^2/m^2', 'vv')
    """
    scale = _scale_in(unit, _LABEL_WORDS)
    return None if scale is None else ScaleTold(scale, f'the unit {unit!r} of {where}')


def _scale_in(text: str, words: dict[str, SARScale]) -> SARScale | None:
    parts = re.split(
        r'[^a-z]+', re.sub(r'(?i)(?<=vv|vh)(?=db|dec|lin|amp|pow)', '_', text).lower()
    )
    found = {words[part] for part in parts if part in words}
    return found.pop() if len(found) == 1 else None


def is_auxiliary(name: str) -> bool:
    """Tell whether a raster lies beside backscatter and is none, by its name.

    Example:
        >>> is_auxiliary('S1A_1234_inc_map.tif'), is_auxiliary('S1A_1234_VV.tif')
        (True, False)
    """
    stem = PurePath(name).stem
    return polarisation_of(stem) is None and _AUXILIARY.search(stem) is not None


def level_of(path: str) -> str:
    """Tell the level of a product as ESA delivers it by a name, '' if that tells none.

    Example:
        >>> level_of('s1a-iw-grd-vv-20200604t051422-20200604t051447-032866-03.tiff')
        'GRD'
        >>> level_of('s1.tif')
        ''
    """
    name = PurePath(path).name
    match = _MEASUREMENT.search(name) or _PRODUCT.search(name)
    return match[1].upper() if match else ''


def other_polarisations(texts: Iterable[str]) -> tuple[str, ...]:
    """Polarisations in names besides VV and VH.

    Example:
        >>> other_polarisations(['S1A_EW_GRDM_1SDH_20200604T051422.tif'])
        ('HH', 'HV')
        >>> other_polarisations(['Sigma0_HH', 'Sigma0_HV']), other_polarisations(['VV'])
        (('HH', 'HV'), ())
    """
    found: set[str] = set()
    for text in texts:
        found |= {match[1].upper() for match in _OTHERS.finditer(text)}
        for mode in _MODES:
            if match := mode.search(text):
                found |= {'HH', 'HV'} if match['count'] == 'D' else {'HH'}
    return tuple(sorted(found))
