# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The forms of cloud masks: how each is told from others, and what it calls cloud."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..common import CloudMaskKind, SceneError
from .mask_meanings import Bits, Classes, Meaning, Probability
from .parts import MaskKind

#: Number of missing pixels in masks of one byte, whether they declare it or not.
_FILL = 255

#: Different numbers from which on they are no classes.
_MANY = 32

#: What marks cloud or shadow in masks of two numbers, the other being 0.
_MARKS = (1, 100, 65535)


class MaskNumbers(NamedTuple):
    """Numbers from all over a mask.

    Args:
        seen: Those of pixels that are not missing, each once, ascending, as float64.
        name: Name of the file.
        is_float: Whether they may be fractions.
    """

    seen: NDArray[np.float64]
    name: str
    is_float: bool = False

    @classmethod
    def of(
        cls, array: NDArray[Any], name: str, nodata: float | None = None
    ) -> 'MaskNumbers':
        """Take the numbers of an array.

        Args:
            array: The pixels, of any shape.
            name: Name of the file.
            nodata: Number of missing pixels; one of 0 is a number as any other.

        Example:
            >>> MaskNumbers.of(np.array([3, 0, 3, 9]), 'mask.tif', 9).seen
            array([0., 3.])
        """
        seen = np.unique(array).astype(np.float64)
        seen = seen[np.isfinite(seen)]
        return cls(seen[seen != (nodata or np.nan)], name, array.dtype.kind == 'f')

    @property
    def codes(self) -> NDArray[np.float64]:
        """The numbers without 255, which masks of all forms have where they know not."""
        return self.seen[self.seen != _FILL]

    def within(self, low: int, high: int) -> bool:
        """Tell whether all but 255 are whole and within a range."""
        codes = self.codes
        inside = (codes >= low) & (codes <= high) & (codes % 1 == 0)
        return bool(inside.all())

    def __str__(self) -> str:
        """The numbers in words, if they are many the first and last of them."""
        texts = [f'{number:.4g}' for number in self.seen]
        if len(texts) > 12:
            texts = [*texts[:4], '…', *texts[-3:]]
            return f'{", ".join(texts)} ({len(self.seen)} different numbers)'
        return ', '.join(texts)


@dataclass(frozen=True, slots=True)
class MaskForm:
    """A form of cloud mask. The texts are those of the documentation.

    Args:
        key: Short name.
        kind: What its numbers mean, as a user may say it.
        title: What people call it.
        told: How it is told from others.
        cloud: What is cloud or shadow, or not known to be clear.
        names: Finds it in the name of a file, or in the description of a band.
        fits: Whether numbers may be of a file of this name.
        tells: Whether numbers are of no other form.
        meaning: What is clear; None if that depends on the numbers.
    """

    key: str
    kind: MaskKind
    title: str
    told: str
    cloud: str
    names: re.Pattern[str]
    fits: Callable[[MaskNumbers], bool]
    tells: Callable[[MaskNumbers], bool]
    meaning: Meaning | None


def _words(pattern: str) -> re.Pattern[str]:
    """Find whole words, in capitals or not."""
    return re.compile(rf'(?<![a-z0-9])(?:{pattern})(?![a-z0-9])', re.IGNORECASE)


_HLS = _words('hls')
# How Geoscience Australia names the Fmask of its products, which is python-fmask
_OA = _words('oa_fmask')
# Its number: Fmask 4 and its like, and never python-fmask
_FMASK_NUMBER = _words(r'fmask_?\d+(?:_\d+)*')
_CLP = _words('clp')
_PERCENT = _words('cldprb|cld')
# Google's Cloud Score+, which is high where it is clear
_SCORE = _words('cs_cdf|cloud_?score(?:_?plus)?')


def _never(numbers: MaskNumbers) -> bool:
    del numbers
    return False


def _always(numbers: MaskNumbers) -> bool:
    del numbers
    return True


def _is_binary(numbers: MaskNumbers) -> bool:
    others = set(numbers.codes) - {0}
    return len(others) == 0 or (len(others) == 1 and others <= set(_MARKS))


def _is_qa60(numbers: MaskNumbers) -> bool:
    return set(numbers.seen) <= {0, 1024, 2048, 3072}


def _is_scl(numbers: MaskNumbers) -> bool:
    return numbers.within(0, 11)


def _is_hls(numbers: MaskNumbers) -> bool:
    beyond = bool((numbers.codes > 5).any())
    return numbers.within(0, 255) and (beyond or bool(_HLS.search(numbers.name)))


def _is_fmask(numbers: MaskNumbers) -> bool:
    if _HLS.search(numbers.name) or _OA.search(numbers.name):
        return False
    # Without any clear land, 3 and 4 might be python-fmask's
    known = 0 in numbers.seen or not set(numbers.seen) & {3, 4}
    return numbers.within(0, 4) and (known or bool(_FMASK_NUMBER.search(numbers.name)))


def _is_python_fmask(numbers: MaskNumbers) -> bool:
    if _HLS.search(numbers.name) or _FMASK_NUMBER.search(numbers.name):
        return False
    water = 5 in numbers.seen
    return numbers.within(0, 5) and (water or bool(_OA.search(numbers.name)))


def _is_probability(numbers: MaskNumbers) -> bool:
    top = 100 if _PERCENT.search(numbers.name) else 255
    codes = numbers.codes
    return bool(((codes >= 0) & (codes <= top)).all())


def _tells_probability(numbers: MaskNumbers) -> bool:
    codes = numbers.codes
    if (codes % 1 != 0).any():
        return bool((codes >= 0).all() and (codes <= 1).all())
    return numbers.within(0, 100) and len(codes) >= _MANY


def _scale(numbers: MaskNumbers) -> Probability:
    """What stands for certainty. Where either may, the smaller: more is cloud then."""
    top = numbers.codes.max(initial=0)
    if numbers.is_float and top <= 1:
        return Probability(1)
    return Probability(255 if top > 100 or _CLP.search(numbers.name) else 100)


#: Every form of cloud mask. The order is that in which bands of a file are looked for.
MASK_FORMS: tuple[MaskForm, ...] = (
    MaskForm(
        key='gml',
        kind='gml',
        title="ESA's polygons (level 1C, before baseline 04.00)",
        told='the ending `.gml`',
        cloud='inside a polygon',
        names=re.compile(r'\.gml$', re.IGNORECASE),
        fits=_always,
        tells=_never,
        meaning=None,
    ),
    MaskForm(
        key='classi',
        kind='classi',
        title="ESA's `MSK_CLASSI_B00.jp2` (level 1C, from baseline 04.00)",
        told='its name',
        cloud='nonzero in its first band (opaque) or its second (cirrus)',
        names=re.compile(
            r'^MSK_CLASSI(?!_(?:OPAQUE|CIRRUS|SNOW))(?![a-z])', re.IGNORECASE
        ),
        fits=_always,
        tells=_never,
        meaning=None,
    ),
    MaskForm(
        key='scl',
        kind='scl',
        title="ESA's scene classification (SCL)",
        told='`SCL`; or whole numbers of 0 to 11, some of them from 6',
        cloud='0 (no data), 3 (shadow), 8 and 9 (cloud), 10 (cirrus)',
        names=_words('scl'),
        fits=_is_scl,
        tells=lambda numbers: (
            _is_scl(numbers) and bool((numbers.codes > 5).any())
        ),
        meaning=Classes((1, 2, 4, 5, 6, 7, 11)),
    ),
    MaskForm(
        key='cloudsen12',
        kind='cloudsen12',
        title='CloudSEN12 and OmniCloudMask',
        told='`cloudsen12`, `omnicloudmask` or `OCM`',
        cloud='1 (thick cloud), 2 (thin cloud), 3 (shadow)',
        names=_words(r'cloudsen12\w*|omni_?cloud_?mask|ocm'),
        fits=lambda numbers: numbers.within(0, 3),
        tells=_never,
        meaning=Classes((0,)),
    ),
    MaskForm(
        key='hls',
        kind='fmask',
        title='Fmask of HLS: bits',
        told='`Fmask`, and `HLS` or a number above 5',
        # As NASA masks it for the vegetation indices that it makes of HLS
        cloud='bits 0 (cirrus), 1 (cloud), 2 (adjacent to either), 3 (shadow); 255',
        names=_words(r'fmask\w*'),
        fits=_is_hls,
        tells=_never,
        meaning=Bits(0b1111, _FILL),
    ),
    MaskForm(
        key='fmask',
        kind='fmask',
        title='Fmask 3 and 4: classes',
        told='`Fmask` or `Fmask4`, and numbers of 0 to 4',
        cloud='2 (shadow), 4 (cloud), 255',
        names=_words(r'fmask\w*'),
        fits=_is_fmask,
        tells=_never,
        meaning=Classes((0, 1, 3)),
    ),
    MaskForm(
        key='python-fmask',
        kind='fmask',
        title='python-fmask: other classes',
        told='`oa_fmask`, or `Fmask` and numbers of 0 to 5 with a 5',
        cloud='0 (missing), 2 (cloud), 3 (shadow)',
        names=_words(r'fmask|oa_fmask'),
        fits=_is_python_fmask,
        tells=_never,
        meaning=Classes((1, 4, 5)),
    ),
    MaskForm(
        key='probability',
        kind='probability',
        title='Probability of cloud: `MSK_CLDPRB`, s2cloudless, `CLP` of Sentinel Hub',
        told=f'`CLDPRB`, `CLD`, `CLP`, `prob…`; or fractions of 0 to 1, or {_MANY} and '
        'more whole numbers up to 100',
        cloud='from 40 % on, of 1, 100 or 255: fractions are of 1; `CLP`, and numbers '
        'above 100, of 255',
        names=_words(
            r'(?:msk)?cldprb|cld|clp|(?:cloud|cld|s2cloudless)?prob(?:s|ability|abilities)?'
        ),
        fits=_is_probability,
        tells=_tells_probability,
        meaning=None,
    ),
    MaskForm(
        key='qa60',
        kind='binary',
        title='QA60 of Earth Engine: bits',
        told='`QA60`; or 1024, 2048 and 3072 only',
        cloud='bits 10 (opaque) and 11 (cirrus)',
        names=_words('qa60'),
        fits=_is_qa60,
        tells=lambda numbers: _is_qa60(numbers) and bool(numbers.seen.any()),
        meaning=Classes((0,)),
    ),
    MaskForm(
        key='maja',
        kind='binary',
        title='CLM of MAJA and THEIA: bits',
        told='`CLM_R1` or `CLM_R2`',
        cloud='nonzero: each bit is a cloud or a shadow',
        names=_words(r'clm_r\d'),
        fits=lambda numbers: numbers.within(0, 255),
        tells=_never,
        meaning=Classes((0,)),
    ),
    MaskForm(
        key='binary',
        kind='binary',
        title='Cloud or not: `CLM` of Sentinel Hub, masks of your own',
        told='`CLM`; or 0 and one of 1, 100, 255 and 65535, perhaps with 255 besides',
        cloud='nonzero',
        names=_words('clm|binary'),
        fits=_is_binary,
        tells=_is_binary,
        meaning=Classes((0,)),
    ),
)

_SAY = (
    "Say what its numbers mean with `cloud_mask_kind`: 'binary' (nonzero is cloud or "
    "shadow), 'probability', 'scl', 'fmask' or 'cloudsen12'."
)


def mask_table() -> str:
    """The forms of cloud masks as a table in Markdown."""
    head = ('Form', 'Told by', 'Cloud, shadow, or not known')
    rows = [
        head,
        ('---',) * len(head),
        *((form.title, form.told, form.cloud) for form in MASK_FORMS),
    ]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def kind_of_name(path: str) -> MaskKind | None:
    """Tell a mask of ESA's that has a coding of its own from its name.

    Example:
        >>> kind_of_name('QI_DATA/MSK_CLASSI_B00.jp2'), kind_of_name('SCL.tif')
        ('classi', None)
    """
    name = PurePath(path).name
    own = [form for form in MASK_FORMS if form.kind in ('gml', 'classi')]
    return next((form.kind for form in own if form.names.search(name)), None)


def band_of_mask(labels: Sequence[str], kind: CloudMaskKind | Literal['auto']) -> int:
    """Find the band of a file that is a mask, by its description.

    Args:
        labels: Descriptions of the bands, '' where there is none.
        kind: What the user says.

    Returns:
        The band, counted from 1; the first if no description tells.

    Example:
        >>> band_of_mask(['CLM', 'CLP', 'SCL'], 'auto')
        3
        >>> band_of_mask(['CLM', 'CLP', 'SCL'], 'probability')
        2
        >>> band_of_mask(['', ''], 'auto')
        1
    """
    forms = [form for form in MASK_FORMS if kind in ('auto', form.kind)]
    for form in forms:
        for index, label in enumerate(labels, 1):
            if form.names.search(label):
                return index
    return 1


def tell_mask(
    path: str,
    label: str,
    look: Callable[[], MaskNumbers],
    kind: CloudMaskKind | Literal['auto'] = 'auto',
) -> tuple[CloudMaskKind, Meaning]:
    """Tell what the numbers of a mask mean.

    What the user says counts, else the description of the band, else the name of the
    file, else the numbers.

    Args:
        path: The file.
        label: Description of the band, '' if it has none.
        look: Reads numbers from all over it; called only if they matter.
        kind: What the user says, or a product of its own mask.

    Returns:
        The kind, and which numbers are clear.

    Raises:
        SceneError: If neither tells, or they contradict each other.

    Example:
        >>> look = lambda: MaskNumbers.of(np.array([0, 2, 4]), 'x_Fmask4.tif')
        >>> tell_mask('x_Fmask4.tif', '', look)
        ('fmask', Classes(clear=(0, 1, 3)))
    """
    name = PurePath(path).name
    if kind != 'auto':
        return _declared(path, kind, look)
    if _SCORE.search(label or name) or label.strip().lower() == 'cs':
        raise SceneError(
            path,
            "is Cloud Score+ by its name, whose high numbers are clear. Give 1 − it with "
            "`cloud_mask_kind='probability'`, or a mask that is nonzero in clouds with "
            "`cloud_mask_kind='binary'`.",
        )
    numbers = look()
    told = _named(label) or _named(name)
    if not told:
        fitting = [form for form in MASK_FORMS if form.tells(numbers)]
        return _only(path, numbers, fitting)
    fitting = [form for form in told if form.fits(numbers)]
    if not fitting:
        titles = ' or '.join(dict.fromkeys(form.title for form in told))
        by = f'the description of its band, {label!r}' if _named(label) else 'its name'
        raise SceneError(
            path,
            f'is a cloud mask of this form by {by}: {titles}; but it holds {numbers}. '
            f'{_SAY}',
        )
    return _only(path, numbers, fitting)


def _named(text: str) -> list[MaskForm]:
    return [
        form
        for form in MASK_FORMS
        if form.kind not in ('gml', 'classi') and form.names.search(text)
    ]


def _meaning(form: MaskForm, numbers: MaskNumbers) -> Meaning:
    return _scale(numbers) if form.meaning is None else form.meaning


def _declared(
    path: str, kind: CloudMaskKind, look: Callable[[], MaskNumbers]
) -> tuple[CloudMaskKind, Meaning]:
    forms = [form for form in MASK_FORMS if form.kind == kind]
    meanings = {form.meaning for form in forms}
    if len(meanings) == 1 and (meaning := meanings.pop()) is not None:
        return kind, meaning
    numbers = look()
    fitting = [form for form in forms if form.fits(numbers)]
    if len(forms) == 1:
        return kind, _meaning(forms[0], numbers)
    if len(fitting) == 1:
        return kind, _meaning(fitting[0], numbers)
    titles = ', '.join(f'{form.title} ({form.told})' for form in forms)
    raise SceneError(
        path,
        f'holds {numbers}, which leaves open which of these it is: {titles}. Name it '
        "so, or make a mask of it that is nonzero in clouds and shadows, and give "
        "`cloud_mask_kind='binary'`.",
    )


def _only(
    path: str, numbers: MaskNumbers, forms: Sequence[MaskForm]
) -> tuple[CloudMaskKind, Meaning]:
    """The kind and meaning of forms, if they have but one."""
    found = {(form.kind, _meaning(form, numbers)) for form in forms}
    if len(found) == 1:
        kind, meaning = found.pop()
        if kind not in ('gml', 'classi'):
            return kind, meaning
    what = ' or '.join(sorted({f"'{kind}'" for kind, _ in found})) or 'none, or several'
    raise SceneError(
        path,
        f'is a cloud mask whose name and numbers leave open what it means: it holds '
        f'{numbers}, which fits {what}. {_SAY}',
    )
