# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models by name, so that a task can train any that has the common forward.

A model is a callable that returns an :class:`~torch.nn.Module`, takes ``in_channels``,
``sar_channels`` and ``num_classes``, and whose ``forward(image, image_sar)`` returns a
dictionary with ``reconstruction`` and, where it segments, ``logits``.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from .recipes import Recipe

Builder = TypeVar('Builder', bound=Callable[..., nn.Module])

_MODELS: dict[str, Callable[..., nn.Module]] = {}
_RECIPES: dict[str, Recipe] = {}


def register_model(
    name: str, recipe: Recipe | None = None
) -> Callable[[Builder], Builder]:
    """Register a model under a name, for use as ``TDPCRTask(model=name)``.

    Args:
        name: The name.
        recipe: How the authors of the model trained it, where that is known.

    Returns:
        A decorator for the class or function that builds the model.

    Raises:
        ValueError: If the name is taken.

    Example:
        >>> @register_model('my_model_of_the_docs')
        ... class MyModel(nn.Module): ...
        >>> 'my_model_of_the_docs' in list_models()
        True
    """

    def register(builder: Builder) -> Builder:
        if name in _MODELS:
            raise ValueError(
                f'`name={name!r}`: that model is registered already: {_MODELS[name]}. '
                'Choose another name.'
            )
        _MODELS[name] = builder
        if recipe is not None:
            _RECIPES[name] = recipe
        return builder

    return register


def list_models() -> list[str]:
    """Names of all registered models, sorted.

    Returns:
        The names.
    """
    return sorted(_MODELS)


def get_model(name: str, **kwargs: Any) -> nn.Module:
    """Build a registered model.

    Args:
        name: Name of the model, one of :func:`list_models`.
        **kwargs: Arguments of the model.

    Returns:
        The model.

    Raises:
        ValueError: If no model has that name.

    Example:
        >>> get_model('tdpcr', num_classes=7).num_classes
        7
    """
    if name not in _MODELS:
        raise ValueError(
            f'`model={name!r}` is not registered. Choose one of {list_models()}, or '
            'register yours with `torchgeo_tdpcr.models.register_model`.'
        )
    return _MODELS[name](**kwargs)


def get_recipe(name: str) -> Recipe | None:
    """How the authors of a registered model trained it.

    Args:
        name: Name of the model.

    Returns:
        The recipe, None where the model has none.

    Example:
        >>> get_recipe('tdpcr') is None
        True
    """
    return _RECIPES.get(name)
