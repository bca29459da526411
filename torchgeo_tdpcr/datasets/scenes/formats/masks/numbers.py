# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The numbers of cloud masks, and of which forms they may be."""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .meanings import Probability

#: Number of missing pixels in masks of one byte, whether they declare it or not.
FILL = 255

#: Different numbers from which on they are no classes.
MANY = 32

#: What marks cloud or shadow in masks of two numbers, the other being 0.
_MARKS = (1, 100, 65535)


class MaskNumbers(NamedTuple):
    """Numbers from all over a mask.

    Args:
        seen: Those of pixels that are not missing, each once, ascending, as float64.
        name: Description of the band and name of the file.
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
            name: Description of the band and name of the file.
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
        codes: NDArray[np.float64] = self.seen[self.seen != FILL]
        return codes

    def within(self, low: int, high: int) -> bool:
        """Tell whether all but 255 are whole and within a range."""
        codes = self.codes
        inside = (codes >= low) & (codes <= high) & (codes % 1 == 0)
        return bool(inside.all())

    def __str__(self) -> str:
        """The numbers in words, if they are many the first and last of them."""
        texts = [f'{number:g}' for number in self.seen]
        if len(texts) > 12:
            texts = [*texts[:4], '…', *texts[-3:]]
            return f'{", ".join(texts)} ({len(self.seen)} different numbers)'
        return ', '.join(texts)


def words(pattern: str) -> re.Pattern[str]:
    """Find whole words, in capitals or not."""
    return re.compile(rf'(?<![a-z0-9])(?:{pattern})(?![a-z0-9])', re.IGNORECASE)


_HLS = words('hls')
# How Geoscience Australia names the Fmask of its products, which is python-fmask
_OA = words(r'oa|ga_s2\w*')
# Its number: Fmask 4 and its like, and never python-fmask
_FMASK_NUMBER = words(r'fmask_?\d+(?:_\d+)*')
_CLP = words('clp')
_PERCENT = words('cldprb|cld')


def is_binary(numbers: MaskNumbers) -> bool:
    """0 and one mark of cloud, or one of them alone."""
    others = set(numbers.codes) - {0}
    return len(others) == 0 or (len(others) == 1 and others <= set(_MARKS))


def is_yes_or_no(numbers: MaskNumbers) -> bool:
    """0 and 1, or one of them alone."""
    return set(numbers.codes) <= {0, 1}


def has_yes(numbers: MaskNumbers) -> bool:
    """0 and 1, or 1 alone."""
    return is_yes_or_no(numbers) and 1 in numbers.seen


def is_qa60(numbers: MaskNumbers) -> bool:
    """Bits 10 and 11, and no others."""
    return set(numbers.seen) <= {0, 1024, 2048, 3072}


def is_scl(numbers: MaskNumbers) -> bool:
    """Classes of 0 to 11."""
    return numbers.within(0, 11)


def may_be_bits(numbers: MaskNumbers) -> bool:
    """Powers of two and sums of them, and not nearly all that classes may be."""
    codes = [int(code) for code in numbers.codes]
    marks = [code for code in codes if code]
    # As in flags of which the first stands wherever another does
    if 0 in codes and any(all(code & 1 << bit for code in marks) for bit in (0, 1)):
        return min(marks).bit_count() == 1
    powers = sum(code for code in codes if code.bit_count() == 1)
    sums = all(code & ~powers == 0 for code in codes)
    return sums and (len(codes) <= 8 or max(codes) < 9)


def tells_scl(numbers: MaskNumbers) -> bool:
    """Classes, some above those of others; 0 and one more may be cloud or not."""
    codes = numbers.codes
    several = len(codes) > 2 or 0 not in codes
    if not is_scl(numbers) or not several or not (codes > 5).any():
        return False
    return not may_be_bits(numbers)


def is_hls(numbers: MaskNumbers) -> bool:
    """Bytes: above what classes may be, or HLS by name."""
    beyond = bool((numbers.codes > 5).any())
    return numbers.within(0, 255) and (beyond or bool(_HLS.search(numbers.name)))


def is_fmask(numbers: MaskNumbers) -> bool:
    """Classes of 0 to 4, and nothing that speaks for bits or python-fmask."""
    if _HLS.search(numbers.name) or _OA.search(numbers.name):
        return False
    # Without any clear land, 3 and 4 might be python-fmask's
    known = 0 in numbers.seen or not set(numbers.seen) & {3, 4}
    return numbers.within(0, 4) and (known or bool(_FMASK_NUMBER.search(numbers.name)))


def is_python_fmask(numbers: MaskNumbers) -> bool:
    """Classes of 0 to 5, of which only this has the last."""
    if _HLS.search(numbers.name) or _FMASK_NUMBER.search(numbers.name):
        return False
    water = 5 in numbers.seen
    return numbers.within(0, 5) and (water or bool(_OA.search(numbers.name)))


def is_probability(numbers: MaskNumbers) -> bool:
    """Within 0 to 255, or to 100 where the name says so."""
    top = 100 if _PERCENT.search(numbers.name) else 255
    codes = numbers.codes
    return bool(((codes >= 0) & (codes <= top)).all())


def tells_probability(numbers: MaskNumbers) -> bool:
    """Fractions of 0 to 1, or whole numbers to 100, too many for classes."""
    codes = numbers.codes
    if (codes % 1 != 0).any():
        return bool((codes >= 0).all() and (codes <= 1).all())
    return numbers.within(0, 100) and len(codes) >= MANY


def scale_of(numbers: MaskNumbers) -> Probability:
    """What stands for certainty. Where either may, the smaller: more is cloud then."""
    top = numbers.codes.max(initial=0)
    if numbers.is_float and top <= 1:
        return Probability(1)
    return Probability(255 if top > 100 or _CLP.search(numbers.name) else 100)
