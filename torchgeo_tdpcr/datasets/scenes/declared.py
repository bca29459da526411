# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a user says of files that do not say it themselves, or say it wrongly."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...kinds import CLOUD_MASK_KINDS, SAR_SCALES, CloudMaskKind, SARScale
from ..plausibility import check_offset
from .formats.optical.bands import NO_BANDS, read_bands


@dataclass(frozen=True, slots=True)
class Declared:
    """What a user says of files. It is taken at its word.

    Make it with :func:`declare`, which checks it.

    Args:
        all_bands: Order of the bands of Sentinel-2 rasters; None if their descriptions,
            or the usual order, tell.
        scale: Reflectance of one unit, 0.0001 for digital numbers; None to find out.
        offset: What digital numbers carry on top, 0 or 1000, or ``'auto'``.
        any_res: Whether pixels may be of another size than 10 m.
        polarisations: Order of the bands of Sentinel-1 rasters; None to find out.
        sar_scale: What Sentinel-1 is in, or ``'auto'``.
        cloud_mask_kind: What the numbers of cloud masks mean, or ``'auto'``.
    """

    all_bands: tuple[str, ...] | None = None
    scale: float | None = None
    offset: float | Literal['auto'] = 'auto'
    any_res: bool = False
    polarisations: tuple[str, ...] | None = None
    sar_scale: SARScale | Literal['auto'] = 'auto'
    cloud_mask_kind: CloudMaskKind | Literal['auto'] = 'auto'

    @property
    def said(self) -> dict[str, Any]:
        """What was said at all."""
        silent = Declared()
        return {
            name: value
            for name, value in asdict(self).items()
            if value != getattr(silent, name)
        }


def declare(
    *,
    all_bands: Sequence[str] | None = None,
    polarisations: Sequence[str] | None = None,
    **others: Any,
) -> Declared:
    """Check what a user says of files.

    Args:
        all_bands: See :class:`Declared`; in any spelling that descriptions may have.
        polarisations: See :class:`Declared`; in capitals or not.
        **others: The other arguments of :class:`Declared`.

    Returns:
        What was said.

    Raises:
        ValueError: If something of it cannot be.

    Example:
        >>> declare(all_bands=['B02', 'green', 'SCL']).all_bands
        ('B2', 'B3', 'SCL')
        >>> declare(polarisations=['vh', 'vv'], sar_scale='db').polarisations
        ('VH', 'VV')
    """
    said = Declared(
        None if all_bands is None else _bands(all_bands),
        polarisations=None if polarisations is None else _polarisations(polarisations),
        **others,
    )
    check_offset(said.offset)
    if said.scale is not None and not 0 < said.scale <= 1:
        raise ValueError(
            f'`scale={said.scale!r}`: give the reflectance of one unit, above 0 and at '
            'most 1: 0.0001 for digital numbers, 0.01 for percent, 1 for reflectance.'
        )
    for name, choices in (
        ('sar_scale', SAR_SCALES),
        ('cloud_mask_kind', CLOUD_MASK_KINDS),
    ):
        value = getattr(said, name)
        if value not in ('auto', *choices):
            raise ValueError(f'`{name}={value!r}`: choose one of {("auto", *choices)}.')
    return said


def _bands(names: Sequence[str]) -> tuple[str, ...]:
    found = read_bands(names)
    unknown = [name for name, band in zip(names, found, strict=True) if not band]
    bands = [band for band in found if band and band not in NO_BANDS]
    if unknown or not bands or len(set(bands)) != len(bands):
        what = f'unknown: {unknown}' if unknown else 'empty, or a band is given twice'
        raise ValueError(
            f'`all_bands={list(names)}`: {what}. Name every band of the raster in its '
            f'order: B1 to B12 and B8A, or for what is none of these {NO_BANDS[-1]!r}.'
        )
    return tuple(band or '' for band in found)


def _polarisations(names: Sequence[str]) -> tuple[str, ...]:
    found = tuple(name.upper() for name in names)
    if any(found.count(name) != 1 for name in ('VV', 'VH')):
        raise ValueError(
            f'`polarisations={list(names)}`: name every band of the raster in its '
            'order, one of them VV and one VH.'
        )
    return found
