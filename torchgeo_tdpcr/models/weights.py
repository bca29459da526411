# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Weights that come with the package, as TorchGeo offers those of its models."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torchvision.models._api import Weights

from ..transforms.normalize import Sentinel1Normalize, Sentinel2Normalize
from ..weight_files import read_weights
from ..weights import FOLDER, SUFFIX, read_meta
from .registry import register_model
from .tdpcr.model import TDPCR

if TYPE_CHECKING:

    class WeightsEnum(Enum):
        """What of torchvision's class is used here; it ships no types."""

        url: str
        transforms: Callable[..., Any]
        meta: dict[str, Any]

        @classmethod
        def verify(cls, obj: Any) -> Any:
            """Turn a name into a member."""

else:
    from torchvision.models._api import WeightsEnum


def _shipped(name: str) -> Weights:
    """Weights of the package by their name in lower case."""
    meta = read_meta(name)
    transforms = nn.Sequential(
        Sentinel2Normalize(meta['bands']), Sentinel1Normalize(meta['sar_clip'])
    )
    url = (FOLDER / f'{name}{SUFFIX}').as_uri()
    return Weights(url=url, transforms=transforms, meta=meta)


class TDPCR_Weights(WeightsEnum):
    """Weights of TDP-CR that come with the package.

    They restore an image and map its land cover, and were trained on synthetic scenes:
    the documentation says how well they do on real ones. ``meta`` has, among others,
    ``bands``, ``sar_bands``, ``sar_clip``, ``classes``, ``dataset``, ``level``,
    ``model``, ``license``, ``sha256`` and ``figures``; ``transforms`` normalises a
    sample of digital numbers without offset and of decibels.

    Example:
        >>> weights = TDPCR_Weights.SENTINEL2_L1C_SMALL
        >>> len(weights.meta['bands']), weights.meta['classes'][0]
        (13, 'water')
        >>> tdpcr_small(weights=weights).num_classes
        7
    """

    SENTINEL2_L1C_SMALL = _shipped('sentinel2_l1c_small')
    SENTINEL2_L2A_SMALL = _shipped('sentinel2_l2a_small')

    def __reduce_ex__(self, proto: Any) -> Any:
        """By name: two modules that normalise alike are not equal."""
        return getattr, (type(self), self.name)

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f'{self.name.lower()}{SUFFIX}'

    def content(self) -> dict[str, Any]:
        """Read the file: the state of the model, and the arguments of its task.

        Raises:
            ValueError: If the file is not what it was when the package was made.
        """
        return read_weights(self.path, self.meta['sha256'])

    def get_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Read the state of the model.

        Args:
            *args: Of no use here: nothing is downloaded.
            **kwargs: Of no use either.

        Returns:
            The state, in float32.
        """
        return self.content()['state_dict']


def tdpcr(weights: TDPCR_Weights | None = None, **kwargs: Any) -> TDPCR:
    """TDP-CR, with trained weights or without.

    Args:
        weights: Trained weights, whose own sizes, bands and classes the model then has;
            None for random ones.
        **kwargs: Arguments of :class:`TDPCR`.

    Returns:
        The model.

    Raises:
        RuntimeError: If *kwargs* make another model than that of the weights.

    Example:
        >>> model = tdpcr(weights=TDPCR_Weights.SENTINEL2_L1C_SMALL)
        >>> model.in_channels, model.num_classes
        (13, 7)
    """
    if weights is None:
        return TDPCR(**kwargs)
    content: dict[str, Any] = TDPCR_Weights.verify(weights).content()
    arguments = content['hyper_parameters']
    sizes = {
        key: arguments[key] for key in ('in_channels', 'sar_channels', 'num_classes')
    }
    own = arguments['model_kwargs'] or {}
    base: Any = tdpcr_small if arguments['model'] == 'tdpcr_small' else TDPCR
    model: TDPCR = base(**{**sizes, **own, **kwargs})
    model.load_state_dict(content['state_dict'])
    return model


@register_model('tdpcr_small')
def tdpcr_small(weights: TDPCR_Weights | None = None, **kwargs: Any) -> TDPCR:
    """TDP-CR for CPUs and quick experiments: half the width, half the depth.

    Args:
        weights: Trained weights, see :func:`tdpcr`.
        **kwargs: Arguments of :class:`TDPCR`.

    Returns:
        The model.

    Example:
        >>> tdpcr_small(num_classes=7).stride
        8
    """
    sizes = {'dims': (16, 32, 64, 128), 'depths': (1, 1, 1, 1)}
    return tdpcr(weights, **{**sizes, **kwargs})
