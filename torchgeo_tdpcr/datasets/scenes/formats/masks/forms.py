# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The forms of cloud masks: how each is told from others, and what it calls cloud."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..form import markdown
from ..parts import MaskKind
from .meanings import Bits, Classes, Meaning
from .numbers import (
    FILL,
    MANY,
    MaskNumbers,
    has_yes,
    is_binary,
    is_fmask,
    is_hls,
    is_probability,
    is_python_fmask,
    is_qa60,
    is_scl,
    is_yes_or_no,
    tells_probability,
    tells_scl,
    words,
)
from .refused import REFUSED_FORMS


def _never(numbers: MaskNumbers) -> bool:
    del numbers
    return False


def _always(numbers: MaskNumbers) -> bool:
    del numbers
    return True


@dataclass(frozen=True, slots=True)
class MaskForm:
    """A form of cloud mask. The texts are those of the documentation.

    Args:
        key: Short name; a user may say it where the kind leaves several forms.
        kind: What its numbers mean, as a user may say it.
        title: What people call it.
        told: How it is told from others.
        cloud: What is cloud or shadow, or not known to be clear.
        names: Finds it in the name of a file, or in the description of a band.
        fits: Whether numbers may be of a file of this name.
        tells: Whether numbers are of no other form.
        meaning: What is clear; None if that depends on the numbers.
        doubts: Whether numbers are rather cloud or not, of which 1 is cloud, though the
            name is of this form: people name masks after what they made them of.
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
    doubts: Callable[[MaskNumbers], bool] = _never


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
        names=words('scl'),
        fits=is_scl,
        tells=tells_scl,
        meaning=Classes((1, 2, 4, 5, 6, 7, 11)),
        # Of 0 alone too: as classes, nothing is known anywhere
        doubts=lambda numbers: is_yes_or_no(numbers) and len(numbers.codes) > 0,
    ),
    MaskForm(
        key='cloudsen12',
        kind='cloudsen12',
        title='CloudSEN12 and OmniCloudMask',
        told='`cloudsen12`, `omnicloudmask` or `OCM`',
        cloud='1 (thick cloud), 2 (thin cloud), 3 (shadow)',
        names=words(r'cloudsen12\w*|omni_?cloud_?mask|ocm'),
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
        names=words(r'fmask\w*'),
        fits=is_hls,
        tells=_never,
        meaning=Bits(0b1111, FILL),
    ),
    MaskForm(
        key='fmask4',
        kind='fmask',
        title='Fmask 3 and 4: classes',
        told='`Fmask` or `Fmask4`, and numbers of 0 to 4',
        cloud='2 (shadow), 4 (cloud), 255',
        names=words(r'fmask\w*'),
        fits=is_fmask,
        tells=_never,
        meaning=Classes((0, 1, 3)),
        doubts=has_yes,
    ),
    MaskForm(
        key='python-fmask',
        kind='fmask',
        title='python-fmask: other classes',
        told='`Fmask`, and `oa` or numbers of 0 to 5 with a 5',
        cloud='0 (missing), 2 (cloud), 3 (shadow)',
        names=words('fmask'),
        fits=is_python_fmask,
        tells=_never,
        meaning=Classes((1, 4, 5)),
    ),
    MaskForm(
        key='probability',
        kind='probability',
        title='Probability of cloud: `MSK_CLDPRB`, s2cloudless, `CLP` of Sentinel Hub',
        told=f'`CLDPRB`, `CLD`, `CLP`, `prob…`; or fractions of 0 to 1, or {MANY} and '
        'more whole numbers up to 100',
        cloud='from 40 % on, of 1, 100 or 255: fractions are of 1; `CLP`, and numbers '
        'above 100, of 255',
        names=words(
            r'(?:msk)?cldprb|cld|clp|(?:cloud|cld|s2cloudless)?prob(?:s|ability|abilities)?'
        ),
        fits=is_probability,
        tells=tells_probability,
        meaning=None,
        # Fractions of 1 are no percent: 1 is cloud either way
        doubts=lambda numbers: has_yes(numbers) and not numbers.is_float,
    ),
    MaskForm(
        key='qa60',
        kind='binary',
        title='QA60 of Earth Engine: bits',
        told='`QA60`; or 1024, 2048 and 3072 only',
        cloud='bits 10 (opaque) and 11 (cirrus)',
        names=words('qa60'),
        fits=is_qa60,
        tells=lambda numbers: is_qa60(numbers) and bool(numbers.seen.any()),
        meaning=Classes((0,)),
    ),
    MaskForm(
        key='maja',
        kind='binary',
        title='CLM of MAJA and THEIA: bits',
        told='`CLM_R1` or `CLM_R2`',
        cloud='nonzero: each bit is a cloud or a shadow',
        names=words(r'clm_r\d'),
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
        names=words('clm|binary'),
        fits=is_binary,
        tells=is_binary,
        meaning=Classes((0,)),
    ),
)

#: Those whose numbers tell cloud, in place of polygons or several bands.
OF_NUMBERS = tuple(form for form in MASK_FORMS if form.kind not in ('gml', 'classi'))


def mask_table() -> str:
    """The forms of cloud masks as a table in Markdown."""
    head = ('Form', 'Told by', 'Cloud, shadow, or not known')
    rows = [
        *((form.title, form.told, form.cloud) for form in MASK_FORMS),
        *(
            (form.title[0].upper() + form.title[1:], form.told, 'refused')
            for form in REFUSED_FORMS
        ),
    ]
    return markdown(head, rows)
