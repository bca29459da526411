# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the input of a model is: data modules feed it, checkpoints carry it.

A data module that normalises with this package has an :attr:`input_record`; the task
saves the one that it was trained with, and whoever uses the checkpoint takes from it what
the user has not said, and is refused what contradicts it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .transforms.bands import SENTINEL2_BANDS

#: Values that became 0 and 1, of each band.
Clips = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class InputRecord:
    """The input of a model, as far as it can be told from its data module.

    Args:
        bands: Names of the optical bands in the order of the channels.
        clips: Digital numbers, offset removed, that became 0 and 1, of each band.
        sar_bands: Names of the SAR channels in their order, none where the model sees no
            radar.
        sar_clips: Values in dB (or digital numbers) that became 0 and 1, of each.
        class_names: Names of the land-cover classes by label, empty where the data did
            not name them.
        offset: The argument ``offset`` of the data module, None where it has none. What
            it removed is a matter of the files, not of the model.
        data: Name of the data module.

    Example:
        >>> clips = (0.0, 10000.0), (0.0, 10000.0)
        >>> one = InputRecord(('B4', 'B3'), clips, ('VV',), ((-25.0, 0.0),))
        >>> InputRecord.from_dict(one.to_dict()) == one
        True
        >>> one.differences(InputRecord(('B3', 'B4'), clips, ('VV',), ((-25.0, 0.0),)))
        ["bands: ['B4', 'B3'], and here ['B3', 'B4']"]
    """

    bands: tuple[str, ...]
    clips: Clips
    sar_bands: tuple[str, ...]
    sar_clips: Clips
    class_names: tuple[str, ...] = ()
    offset: float | str | None = None
    data: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, which a checkpoint can hold."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> 'InputRecord | None':
        """Return the record of :meth:`to_dict`, None of None.

        Args:
            values: Plain values; those that a later version adds are left out.

        Raises:
            ValueError: If they are no such record.
        """
        if values is None:
            return None
        try:
            return cls(
                _strings(values['bands']),
                _clips(values['clips']),
                _strings(values['sar_bands']),
                _clips(values['sar_clips']),
                _strings(values.get('class_names') or ()),
                values.get('offset'),
                str(values.get('data', '')),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'`input_record={values!r}` is no record of an input ({error!r}). It is '
                'written by training: leave it out.'
            ) from error

    def without_sar(self) -> 'InputRecord':
        """Return the same for a model that sees no radar."""
        return replace(self, sar_bands=(), sar_clips=())

    def differences(
        self, other: 'InputRecord', named: bool = False, classes: bool = False
    ) -> list[str]:
        """Say where another input contradicts this one.

        Args:
            other: The other input.
            named: Whether the user named the bands of the other. Bands that are not of
                Sentinel-2 (``'NIR'``) then do not contradict those that stand for them.
            classes: Whether the names of the classes count, where both have them.

        Returns:
            A text for each contradiction, with both values.
        """
        found = []
        foreign = not set(self.bands) <= set(SENTINEL2_BANDS)
        stands = named and foreign and len(self.bands) == len(other.bands)
        if self.bands != other.bands and not stands:
            found.append(_unlike('bands', self.bands, other.bands))
        elif self.clips != other.clips:
            found.append(_unlike('range of the bands', self.clips, other.clips))
        # A model without any leaves radar aside
        sees_sar = bool(self.sar_bands)
        if sees_sar and self.sar_bands != other.sar_bands:
            found.append(_unlike('SAR channels', self.sar_bands, other.sar_bands))
        elif sees_sar and self.sar_clips != other.sar_clips:
            found.append(
                _unlike('SAR clip (`sar_clip`)', self.sar_clips, other.sar_clips)
            )
        if (
            classes
            and self.class_names
            and other.class_names
            and not same_names(self.class_names, other.class_names)
        ):
            found.append(_unlike('class names', self.class_names, other.class_names))
        return found


def same_names(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two lists of names are the same, upper and lower case aside."""
    return [n.casefold() for n in one] == [n.casefold() for n in other]


def require_same(expected: InputRecord | None, given: InputRecord | None) -> None:
    """Raise where an input contradicts what a model was trained with.

    Args:
        expected: Input of the model, None where nothing is known.
        given: The other input, None where nothing is known.

    Raises:
        ValueError: If they differ.
    """
    if expected is None or given is None:
        return
    if found := expected.differences(given):
        raise ValueError(f'{describe(found, expected)} {REMEDY}')


#: What to do about a contradiction.
REMEDY = (
    'Leave the argument out, and the values of the checkpoint are taken; or give a '
    'checkpoint that was trained with these.'
)


def describe(found: Iterable[str], expected: InputRecord) -> str:
    """Say what is contradicted."""
    source = f' (with {expected.data})' if expected.data else ''
    return f'The model was trained{source} with other input. {"; ".join(found)}.'


def _unlike(what: str, trained: tuple[Any, ...], here: tuple[Any, ...]) -> str:
    return f'{what}: {_plain(trained)}, and here {_plain(here)}'


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _strings(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _clips(values: Iterable[Any]) -> Clips:
    return tuple((float(low), float(high)) for low, high in values)
