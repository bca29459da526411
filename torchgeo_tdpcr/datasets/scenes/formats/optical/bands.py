# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What names of bands mean: those of ESA, and those that platforms give them.

Codes (``B8A``, ``B08``, ``Band 8``) may stand among other words, as
``20200604_B2_median`` does. Common names are those of STAC's extension for
electro-optical data, of Element 84's Earth Search, Digital Earth Australia and Africa,
FORCE and others.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from .....transforms.bands import SENTINEL2_BANDS

#: What else is in rasters of Sentinel-2, besides its bands; what is not said is last.
NO_BANDS = (
    'SCL',
    'AOT',
    'WVP',
    'CLD',
    'SNW',
    'TCI',
    'QA',
    'MASK',
    'PROBABILITY',
    'ANGLE',
    'INDEX',
    'other',
)

#: Words of a name that say what else is there, by what that is.
_OTHER_WORDS = {
    'SCL': ('SCL', 'SCENECLASSIFICATION', 'CLASSIFICATION'),
    'AOT': ('AOT', 'AOD'),
    'WVP': ('WVP',),
    'CLD': ('CLD', 'CLDPRB', 'CLP', 'CLOUDPROBABILITY', 'CLOUDPROB', 'S2CLOUDLESS'),
    'SNW': ('SNW', 'SNWPRB'),
    'TCI': ('TCI', 'VISUAL', 'OVERVIEW', 'PREVIEW', 'THUMBNAIL', 'PVI', 'QUICKLOOK'),
    'QA': ('QA', 'QA10', 'QA20', 'QA60', 'PIXELQA', 'FMASK', 'QAPIXEL'),
    'MASK': (
        *('MASK', 'DATAMASK', 'CLOUDMASK', 'CLM', 'MSK', 'VALID', 'ALPHA', 'CLOUD'),
        *('CLOUDS', 'SHADOW', 'SHADOWS', 'FILL', 'NODATA', 'CLEAR'),
    ),
    'PROBABILITY': ('PROBABILITY',),
    'ANGLE': (
        *('ANGLE', 'ANGLES', 'AZIMUTH', 'ZENITH', 'SUNAZIMUTHANGLES', 'SZA', 'VZA'),
        *('SUNZENITHANGLES', 'VIEWAZIMUTHMEAN', 'VIEWZENITHMEAN', 'SAA', 'VAA'),
    ),
    'INDEX': ('NDVI', 'EVI', 'EVI2', 'SAVI', 'NDWI', 'MNDWI', 'NDSI', 'NBR', 'NDBI'),
}
_OTHERS = {word: kind for kind, words in _OTHER_WORDS.items() for word in words}

#: Words of masks, which say so whatever band they are of.
_MASKS = frozenset(('MASK', 'DATAMASK', 'CLOUDMASK', 'CLM', 'MSK', 'NODATA', 'ALPHA'))

#: Words that make of a band something else than its reflectance.
_SPOILED = frozenset(
    ('STD', 'STDDEV', 'STDEV', 'VARIANCE', 'COUNT', 'DIFF', 'RATIO', 'SLOPE', 'TREND')
)

_COMMON_WORDS = {
    'B1': ('COASTAL', 'COASTALAEROSOL', 'AEROSOL', 'AEROSOLS', 'COASTALBLUE'),
    'B2': ('BLUE', 'BLU'),
    'B3': ('GREEN', 'GRN'),
    'B4': ('RED',),
    'B5': ('REDEDGE1', 'RE1', 'VRE1', 'REDEDGE071', 'REDEDGE705', 'REDEDGE704'),
    'B6': ('REDEDGE2', 'RE2', 'VRE2', 'REDEDGE075', 'REDEDGE740', 'REDEDGE741'),
    'B7': ('REDEDGE3', 'RE3', 'VRE3', 'REDEDGE078', 'REDEDGE783'),
    'B8': ('NIR', 'NIR1', 'BROADNIR', 'NIRBROAD', 'BNIR', 'WIDENIR', 'NIRWIDE'),
    'B8A': (
        *('NIR08', 'NIR2', 'NARROWNIR', 'NIRNARROW', 'NNIR', 'NIRN', 'NIR865'),
        *('REDEDGE4', 'RE4', 'VRE4', 'NIR8A', 'NARROWNEARINFRARED', 'NIRPLATEAU'),
        *('NEARINFRAREDNARROW', 'NIR2NARROW'),
    ),
    'B9': ('NIR09', 'WATERVAPOUR', 'WATERVAPOR', 'WV'),
    'B10': ('CIRRUS', 'SWIRCIRRUS', 'CIRRUSSWIR'),
    'B11': ('SWIR16', 'SWIR1', 'SWIR1610', 'SWIR1613', 'SWIR1614'),
    'B12': ('SWIR22', 'SWIR2', 'SWIR2190', 'SWIR2200', 'SWIR2202'),
}
_COMMON = {word: band for band, words in _COMMON_WORDS.items() for word in words}
_COMMON['SWIR3'] = 'B12'
_COMMON['NEARINFRARED'] = 'B8'
for _long in ('ULTRABLUE', 'DEEPBLUE'):
    _COMMON[_long] = 'B1'
#: Which of three it is, nothing tells.
_COMMON |= {'REDEDGE': '', 'SWIR': '', 'RE': '', 'VRE': ''}
_SHORT_WAVES = frozenset(('SWIR1', 'SWIR2', 'SWIR3'))
_LETTERS = {'R': 'B4', 'G': 'B3', 'B': 'B2', 'N': 'B8', 'NIR': 'B8'}

_CODE = re.compile(r'B(?:AND)?0?(8A|1[0-2]|[1-9])')
_CODE_WORD = re.compile(
    rf'(?:^|(?<=[^A-Za-z0-9]))[_.\- ]?{_CODE.pattern}(?=$|[^A-Za-z0-9])', re.IGNORECASE
)
_WAVELENGTH = re.compile(r'(?<![\d.])(\d{3,4})(?:\.\d+)?\s*(?:nm\b|nanomet)', re.I)
_RESOLUTION = re.compile(r'(?:^|[_.\- ])([126]0)m(?=$|[_.\- ])', re.IGNORECASE)
_LANDSAT = re.compile(
    r'(?:^|[^A-Z0-9])(?:L[COTEM]0?[4-9](?=[_0-9])|HLS[._]L30|LANDSAT|SR_B[1-7](?!\d)|ST_B\d)',
    re.IGNORECASE,
)
_RUNNING = re.compile(r'(\D*?)[\s_\-.#]*0*(\d+)')


def _words(name: str) -> list[str]:
    """Words of a name in capitals: runs of letters, and runs of letters and digits."""
    return re.findall(r'[A-Z0-9]+', name.upper())


def _code_of(words: Sequence[str]) -> set[str]:
    found = set()
    for i, word in enumerate(words):
        if word == 'B8' and words[i + 1 : i + 2] == ['A']:
            found.add('B8A')
        elif (match := _CODE.fullmatch(word)) or (
            word == 'BAND'
            and (match := _CODE.fullmatch('B' + ''.join(words[i + 1 : i + 2])))
        ):
            found.add('B' + match[1])
    return found


def _common_of(words: Sequence[str]) -> list[str]:
    """Common names among words, of which several may make one; the longest win."""
    parts = [part for word in words for part in re.findall(r'[A-Z]+|\d+', word)]
    found = []
    start = 0
    while start < len(parts):
        for stop in range(min(start + 4, len(parts)), start, -1):
            joined = ''.join(parts[start:stop])
            if joined in _COMMON:
                found.append(_COMMON[joined])
                start = stop
                break
        else:
            start += 1
    return found


def _other_of(words: Sequence[str]) -> str | None:
    """What else a name says that there is."""
    joined = [''.join(words[i:j]) for i in range(len(words)) for j in (i + 1, i + 2)]
    found = [_OTHERS[word] for word in joined if word in _OTHERS]
    # ESA begins the names of all masks with the same word
    return next((kind for kind in found if kind != 'MASK'), found[0] if found else None)


def _read(name: str) -> str | None:
    words = _words(name)
    if not words or _SPOILED.intersection(words):
        return None
    codes = _code_of(words)
    if not codes and name.strip().upper() in _LETTERS:
        return _LETTERS[name.strip().upper()]
    other = _other_of(words)
    # Scenes and places are called clear, cloudy or filled as well
    loose = len(codes) == 1 and other == 'MASK' and not _MASKS.intersection(words)
    if other is not None and not loose:
        return other
    if codes:
        return codes.pop() if len(codes) == 1 else None
    common = _common_of(words)
    if common:
        return (common[0] or None) if len(set(common)) == 1 else None
    if match := _WAVELENGTH.search(name):
        return _nearest(int(match[1]))
    if name.strip().lower() == NO_BANDS[-1]:
        return NO_BANDS[-1]
    return None


def _nearest(wavelength: int) -> str | None:
    """The band whose centre lies at a wavelength; B8 goes by two, of both satellites."""
    gap, name = min(
        (abs(wavelength - centre), band.name)
        for band in SENTINEL2_BANDS.values()
        for centre in (
            (band.wavelength, 842) if band.name == 'B8' else (band.wavelength,)
        )
    )
    return name if gap <= 12 else None


def read_bands(names: Sequence[str]) -> list[str | None]:
    """Tell which bands names mean, each in the light of the others.

    Args:
        names: Names of all bands of a raster, in any spelling.

    Returns:
        For each the band, or one of :data:`NO_BANDS`; None where it is not understood.

    Example:
        >>> read_bands(['S2_B2', '20200604_B03', 'Band 8A', 'red_edge_1', 'SCL', 'x'])
        ['B2', 'B3', 'B8A', 'B5', 'SCL', None]
        >>> read_bands(['nbart_swir_2', 'nbart_swir_3']), read_bands(['swir1', 'swir2'])
        (['B11', 'B12'], ['B11', 'B12'])
        >>> read_bands(['BROADNIR', 'NIR']), read_bands(['nir', 'nir08'])
        (['B8', 'B8A'], ['B8', 'B8A'])
    """
    found = [None if _contradicts_itself(name) else _read(name) for name in names]
    words = [set(_common_words(name)) for name in names]
    every = set().union(*words) if words else set()
    for i, own in enumerate(words):
        if own & _SHORT_WAVES:
            # Some count another band as the first of three
            pair = sorted(every & _SHORT_WAVES)
            known = pair in (['SWIR1'], ['SWIR1', 'SWIR2'], ['SWIR2', 'SWIR3'])
            first = pair[0] in own
            found[i] = ('B11' if first else 'B12') if known else None
        elif 'NIR' in own and every & {'BROADNIR', 'NIRBROAD', 'BNIR', 'WIDENIR'}:
            found[i] = 'B8A'
    return found


def _contradicts_itself(name: str) -> bool:
    """Whether a description names one band by its code and another by its colour."""
    words = _words(name)
    codes, colours = _code_of(words), set(_common_of(words)) - {''}
    alike = {'B8', 'B8A'}
    return (
        len(codes) == 1
        and len(colours) == 1
        and codes != colours
        and not (codes | colours <= alike or codes | colours <= {'B10', 'B11', 'B12'})
    )


def _common_words(name: str) -> list[str]:
    """The words that decide between readings, if a name has no code."""
    words = _words(name)
    if _code_of(words):
        return []
    parts = [part for word in words for part in re.findall(r'[A-Z]+|\d+', word)]
    text = ''.join(parts)
    ambiguous = ('BROADNIR', 'NIRBROAD', 'WIDENIR', 'BNIR', 'SWIR1', 'SWIR2', 'SWIR3')
    exact = [word for word in ambiguous if re.search(rf'{word}(?!\d)', text)]
    return exact or (['NIR'] if re.search(r'NIR(?!\d|NARROW|N$)', text) else [])


def are_running_numbers(names: Sequence[str]) -> bool:
    """Tell whether names only count the bands, and so say nothing.

    Names such as ``B1`` to ``B4`` may be codes, but mostly are not: then only the user
    knows.

    Example:
        >>> are_running_numbers(['Band 1', 'Band 2']), are_running_numbers(['Band 2'])
        (True, False)
        >>> are_running_numbers(['lyr.1', 'lyr.2']), are_running_numbers(['B1', 'B8A'])
        (True, False)
    """
    counted = [_RUNNING.fullmatch(name.strip()) for name in names]
    if not all(match and int(match[2]) == i for i, match in enumerate(counted, 1)):
        return False
    words = {match[1].lower() for match in counted if match}
    # Of one band or two, codes
    return len(words) == 1 and (words != {'b'} or len(names) > 2)


def is_landsat(names: Iterable[str]) -> bool:
    """Tell whether a name says that it is Landsat, whose bands have the same codes.

    Example:
        >>> is_landsat(['LC08_L2SP_193027_20200604_20200824_02_T1_SR_B2.TIF'])
        True
        >>> is_landsat(['T32TQM_20200604T100031_B02_10m.jp2', 'HLS.S30.T32TQM.B02.tif'])
        False
    """
    return any(_LANDSAT.search(name) for name in names)


def band_of_label(label: str | None) -> str | None:
    """Tell which band a description of a raster band names.

    Example:
        >>> band_of_label('B08, central wavelength 842 nm'), band_of_label('B8A')
        ('B8', 'B8A')
        >>> band_of_label('NDVI')
    """
    found = _read(label or '')
    return found if found in SENTINEL2_BANDS else None


def band_of_file(name: str) -> tuple[str, int | None] | None:
    """Tell which band a file holds.

    Args:
        name: Name of the file, without folders.

    Returns:
        The band, and its resolution in metres if the name has it; None if the name
        names no band, or several. ESA's quality masks (``MSK_…``) are no bands.

    Example:
        >>> band_of_file('T32TQM_20200604T100031_B02_10m.jp2'), band_of_file('x_b8a.tif')
        (('B2', 10), ('B8A', None))
        >>> band_of_file('2020-06-04_S2_L2A_B02_(Raw).tiff'), band_of_file('red.tif')
        (('B2', None), ('B4', None))
        >>> band_of_file('T32TQM_20200604T100031_TCI.jp2')
    """
    stem = re.sub(r'\.[A-Za-z0-9]{2,4}$', '', name)
    resolution = _RESOLUTION.search(stem)
    found = _read(_RESOLUTION.sub('_', stem))
    if found is None or found not in SENTINEL2_BANDS:
        return None
    return found, int(resolution[1]) if resolution else None


def ends_in_code(name: str) -> bool:
    """Tell whether the name of a file ends in the code of its band.

    Example:
        >>> ends_in_code('x_B02_10m.jp2'), ends_in_code('B02_crop.tif')
        (True, False)
    """
    stem = _RESOLUTION.sub('', re.sub(r'\.[A-Za-z0-9]{2,4}$', '', name))
    words = _words(stem)
    return bool(words) and bool(_CODE.fullmatch(words[-1]))


def strip_band(name: str) -> str:
    """Remove the band from the name of a file.

    Example:
        >>> strip_band('T32TQM_20200604_B02_10m.jp2'), strip_band('B02_crop.tif')
        ('T32TQM_20200604', 'crop')
    """
    stem = _RESOLUTION.sub('', PurePath(name).stem)
    rest = _CODE_WORD.sub('', stem).strip('_.- ')
    return '' if rest == stem and _read(stem) in SENTINEL2_BANDS else rest
