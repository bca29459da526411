# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Telling of which form a cloud mask is, and so what its numbers mean."""

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Literal, cast

from .....kinds import CloudMaskKind
from ...common import SceneError
from ..parts import MaskKind
from .forms import MASK_FORMS, OF_NUMBERS, MaskForm
from .meanings import Meaning
from .numbers import FILL, MaskNumbers, scale_of
from .refused import refused_form

_SAY = (
    "Say what its numbers mean with `cloud_mask_kind`: 'binary' (nonzero is cloud or "
    "shadow), 'probability', 'scl', 'fmask' or 'cloudsen12'."
)


def kind_of_name(path: str) -> MaskKind | None:
    """Tell a mask of ESA's that has a coding of its own from its name.

    Example:
        >>> kind_of_name('QI_DATA/MSK_CLASSI_B00.jp2'), kind_of_name('SCL.tif')
        ('classi', None)
    """
    name = PurePath(path).name
    own = [form for form in MASK_FORMS if form not in OF_NUMBERS]
    return next((form.kind for form in own if form.names.search(name)), None)


def band_of_mask(
    path: str,
    labels: Sequence[str],
    kind: CloudMaskKind | Literal['auto'],
    alpha: int | None = None,
    picture: bool = False,
) -> int:
    """Find the band of a file that is a mask, by its description.

    Args:
        path: The file.
        labels: Descriptions of the bands, '' where there is none.
        kind: What the user says.
        alpha: Band, counted from 1, that tells which pixels are missing; None if none
            does.
        picture: Whether the first bands are marked as red, green and blue.

    Returns:
        The band, counted from 1. Where no band is described, and the user says the
        kind, the first.

    Raises:
        SceneError: If it has several bands, and nothing tells which is the mask.

    Example:
        >>> band_of_mask('x.tif', ['CLM', 'CLP', 'SCL'], 'auto')
        3
        >>> band_of_mask('x.tif', ['CLM', 'CLP', 'SCL'], 'probability')
        2
        >>> band_of_mask('x.tif', ['', ''], 'auto', alpha=2)
        1
    """
    for form in OF_NUMBERS:
        if kind not in ('auto', form.kind, form.key):
            continue
        for index, label in enumerate(labels, 1):
            if form.names.search(label) and not refused_form(label):
                return index
    bands = [index for index in range(1, len(labels) + 1) if index != alpha]
    if len(bands) == 1:
        return bands[0]
    if picture and not any(labels):
        raise SceneError(
            path,
            f'has {len(labels)} bands, the first of them red, green and blue: that is a '
            'picture of a mask. Give the numbers of the mask, in a file of one band '
            '(the Copernicus Browser calls them raw).',
        )
    if any(labels):
        what = 'of a cloud mask' if kind == 'auto' else f'of the kind {kind!r}'
        raise SceneError(
            path,
            f'has {len(labels)} bands, of which none is {what} by its description: '
            f'{", ".join(map(repr, labels))}. Give a file of one band.',
        )
    if kind == 'auto':
        raise SceneError(
            path,
            f'has {len(labels)} bands without descriptions, so that nothing tells which '
            'is the mask. Give a file of one band; or say what the numbers of the first '
            'mean with `cloud_mask_kind`.',
        )
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
        >>> import numpy as np
        >>> look = lambda: MaskNumbers.of(np.array([0, 2, 4]), 'x_Fmask4.tif')
        >>> tell_mask('x_Fmask4.tif', '', look)
        ('fmask', Classes(clear=(0, 1, 3)))
    """
    name = PurePath(path).name
    if kind != 'auto':
        return _declared(path, kind, look)
    _refuse(path, label, name)
    numbers = look()
    told = _named(label) or _named(name)
    if not told:
        telling = [form for form in MASK_FORMS if form.tells(numbers)]
        return _only(path, numbers, telling)
    fitting = [form for form in told if form.fits(numbers)]
    if not fitting:
        titles = ' or '.join(dict.fromkeys(form.title for form in told))
        by = f'the description of its band, {label!r}' if _named(label) else 'its name'
        # Beyond all scales of probabilities, that kind would be refused next
        beyond = told[0].kind == 'probability' and numbers.codes.max() > FILL
        raise SceneError(
            path,
            f'is a cloud mask of this form by {by}: {titles}; but it holds {numbers}. '
            f'{_scaling(numbers) if beyond else _SAY}',
        )
    doubted = [form for form in fitting if form.doubts(numbers)]
    if doubted:
        raise SceneError(
            path,
            f'holds {numbers} alone. By the name these are {doubted[0].title}, but they '
            f'may as well be 1 where there is cloud. {_SAY}',
        )
    return _only(path, numbers, fitting)


def _named(text: str) -> list[MaskForm]:
    return [form for form in OF_NUMBERS if form.names.search(text)]


def _refuse(path: str, label: str, name: str) -> None:
    """Refuse what is of no clouds by the description of its band, or by its name."""
    form, by = refused_form(label), f'the description of its band, {label!r}'
    # A description that tells a form stands against the name of the file
    if not form and not _named(label):
        form, by = refused_form(name), 'its name'
    if form:
        raise SceneError(
            path,
            f'is {form.title} by {by}, {form.why}. {form.way} If it is something else, '
            'say what its numbers mean with `cloud_mask_kind`.',
        )


def _meaning(form: MaskForm, numbers: MaskNumbers) -> Meaning:
    return scale_of(numbers) if form.meaning is None else form.meaning


def _scaling(numbers: MaskNumbers) -> str:
    """What to do with numbers that are of no scale of probabilities."""
    top = numbers.codes.max(initial=0)
    way = 'Scale it, or give'
    if FILL < top <= 10000 and numbers.codes.min() >= 0:
        way = (
            'If these are of 10000, divide by 100, in a file of whole percent; or give'
        )
    return (
        f'Probabilities are of 1, of 100 or of 255. {way} a mask that is nonzero in '
        "clouds and shadows, with `cloud_mask_kind='binary'`."
    )


def _declared(
    path: str, kind: CloudMaskKind, look: Callable[[], MaskNumbers]
) -> tuple[CloudMaskKind, Meaning]:
    forms = [form for form in MASK_FORMS if form.key == kind]
    forms = forms or [form for form in MASK_FORMS if form.kind == kind]
    meanings = {form.meaning for form in forms}
    if len(meanings) == 1 and (meaning := meanings.pop()) is not None:
        return kind, meaning
    numbers = look()
    fitting = [form for form in forms if form.fits(numbers)]
    if len(forms) == 1 and numbers.codes.max(initial=0) > FILL:
        raise SceneError(
            path,
            f'holds {numbers} as probabilities of clouds. {_scaling(numbers)}',
        )
    if len(forms) == 1:
        return kind, _meaning(forms[0], numbers)
    if len(fitting) == 1:
        return kind, _meaning(fitting[0], numbers)
    titles = ', '.join(f'{form.key!r} ({form.title})' for form in forms)
    raise SceneError(
        path,
        f'holds {numbers}, which leaves open what they mean as {kind!r}. Say which it '
        f'is with `cloud_mask_kind`: {titles}.',
    )


def _only(
    path: str, numbers: MaskNumbers, forms: Sequence[MaskForm]
) -> tuple[CloudMaskKind, Meaning]:
    """The kind and meaning of forms, if they have but one."""
    found = {(form.kind, _meaning(form, numbers)) for form in forms}
    if len(found) == 1:
        kind, meaning = found.pop()
        return cast(CloudMaskKind, kind), meaning
    could = [form for form in forms or OF_NUMBERS if form.fits(numbers)]
    kinds = ', '.join(f"'{kind}'" for kind in dict.fromkeys(f.kind for f in could))
    raise SceneError(
        path,
        f'holds {numbers} as a cloud mask. Neither its name nor these '
        f'settle what they mean; of the kinds that are known, {kinds or "none"} may '
        f'hold them. {_SAY}',
    )
