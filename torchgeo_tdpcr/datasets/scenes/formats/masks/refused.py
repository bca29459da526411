# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What is no mask of clouds by its name, though its numbers may look like one."""

import re
from dataclasses import dataclass

from .numbers import words


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """A form that is refused by name. The texts are those of the documentation.

    Args:
        key: Short name.
        title: What people call it.
        told: How it is told from others.
        names: Finds it in the name of a file, or in the description of a band.
        why: Why it is refused, as a clause that follows the title.
        way: What to give in its place, as a sentence.
    """

    key: str
    title: str
    told: str
    names: re.Pattern[str]
    why: str
    way: str


_MAKE = (
    'Give a mask that is nonzero in clouds and shadows, with '
    "`cloud_mask_kind='binary'`."
)

#: Every form that is refused by name, in the order in which they are looked for.
REFUSED_FORMS: tuple[RefusedForm, ...] = (
    RefusedForm(
        key='score',
        title='Cloud Score+ of Google',
        told='`cs`, `cs_cdf` or `cloud_score`',
        names=words(r'cs|cs_cdf|cloud_?score(?:_?plus)?'),
        why='whose high numbers are clear',
        way="Give 1 − it with `cloud_mask_kind='probability'`, or a mask that is nonzero "
        "in clouds with `cloud_mask_kind='binary'`.",
    ),
    RefusedForm(
        key='planet',
        title='a usable data mask of Planet (UDM)',
        told='`udm` or `udm2`',
        names=words(r'udm2?'),
        why='of which one band is clear and several are cloud',
        way=_MAKE,
    ),
    RefusedForm(
        key='snow',
        title='a mask of snow',
        told='`SNWPRB` or `snow`',
        names=words(r'(?:msk)?snwprb|snow(?:prob\w*|mask|cover)?'),
        why='which is clear of clouds',
        way=_MAKE,
    ),
    RefusedForm(
        key='clear',
        title='a mask of what is clear or valid',
        told='`clear`, `cloudfree`, `valid`, `usable` or `dataMask`',
        names=words(
            r'clear(?:mask|sky|prob\w*|pixels?)?|cloud_?-?free|'
            r'non?_?-?clouds?|valid(?:ity|mask|data|pixels?)?|'
            r'usable(?:mask|data)?|data_?mask'
        ),
        why='whose high numbers are clear',
        way=_MAKE,
    ),
    RefusedForm(
        key='maja-other',
        title='a mask of MAJA other than that of clouds (MG2, EDG, SAT)',
        told='`MG2`, `EDG_R1`, `SAT_R1` and the like',
        names=words(r'mg2(?:_r\d)?|(?:edg|sat|dfp|iab)_r\d'),
        why='whose bits are of water, snow and relief too',
        way='Give the `CLM_R1` beside it.',
    ),
    RefusedForm(
        key='esa-quality',
        title="a mask of quality of ESA's",
        told='`MSK_DETFOO`, `MSK_QUALIT` and the like',
        names=words(r'msk_(?:detfoo|qualit|defect|nodata|satura|tecqua)(?:_\w*)?'),
        why='which is not of clouds',
        way='Give the `MSK_CLASSI`, `MSK_CLOUDS`, `MSK_CLDPRB` or `SCL` of the product.',
    ),
    RefusedForm(
        key='force',
        title='quality bits of FORCE (QAI)',
        told='`QAI`',
        names=words(r'qai'),
        why='whose bits are of water, snow and light too',
        way=_MAKE,
    ),
    RefusedForm(
        key='landsat',
        title='quality bits of Landsat',
        told='`QA_PIXEL` or `BQA`',
        names=words(r'qa_?pixel|bqa'),
        why='whose bits are of water and snow too',
        way=_MAKE,
    ),
    RefusedForm(
        key='idepix',
        title='flags of IdePix',
        told='`IdePix` or `pixel_classif_flags`',
        names=words(r'idepix\w*|pixel_?classif(?:_?flags)?'),
        why='whose bits are of water, land and snow too',
        way=_MAKE,
    ),
    RefusedForm(
        key='land-cover',
        title='a map of land cover',
        told='`WorldCover`, `DynamicWorld`, `landcover`, `LULC` or `CORINE`',
        names=words(
            r'(?:esa_?)?world_?cover\w*|dynamic_?world\w*|land_?cover\w*|land_?use\w*|'
            r'lulc\w*|corine\w*'
        ),
        why='whose classes are of the ground',
        way='Give a mask of clouds.',
    ),
)


def refused_form(text: str) -> RefusedForm | None:
    """Find the form that a name or a description is of, if it is refused.

    Example:
        >>> refused_form('clear_mask.tif').key, refused_form('MSK_SNWPRB_20m.jp2').key
        ('clear', 'snow')
        >>> refused_form('s2_cloudless_prob.tif')
    """
    return next((form for form in REFUSED_FORMS if form.names.search(text)), None)
