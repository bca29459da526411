# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which layers to write: those that were asked for, of what the task predicts."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .kinds import (
    ChangeLayer,
    ClassesLayer,
    CloudMaskLayer,
    ConfidenceLayer,
    ImageLayer,
    MapLayer,
    SourceLayer,
    UncertaintyLayer,
    ValueLayer,
)
from .prompt import PromptLayer

#: What is written unless told otherwise, as far as the task predicts it.
_DEFAULT_LAYERS = ('image', 'classes', 'prediction')


def outputs_by_name(prediction: Any) -> dict[str, Tensor]:
    """Name the outputs of a task.

    Args:
        prediction: What the task predicted: a tensor or a dictionary.

    Returns:
        Its tensors, each B×C×H×W.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(prediction, Tensor):
        prediction = {'prediction': prediction}
    if not isinstance(prediction, dict):
        raise TypeError(
            f'`predict_step` returned {type(prediction).__name__}; SceneWriter writes a '
            'tensor or a dictionary of tensors.'
        )
    return {
        key: value[:, None] if value.ndim == 3 else value
        for key, value in prediction.items()
        if isinstance(value, Tensor) and value.ndim in (3, 4)
    }


def choose_layers(
    asked: Sequence[str] | None,
    outputs: dict[str, Tensor],
    class_names: Sequence[str] | None,
    class_colors: Sequence[Sequence[int]] | None,
) -> list[MapLayer]:
    """Choose what to write.

    Args:
        asked: Names of layers, None for all usual ones that the task can give.
        outputs: What the task predicted.
        class_names: Names of the classes.
        class_colors: Colours of the classes.

    Returns:
        The layers, new ones.

    Raises:
        ValueError: If the task does not predict what they are made from.
    """
    known: list[MapLayer] = [
        ImageLayer(),
        ClassesLayer(class_names, class_colors),
        ConfidenceLayer(),
        PromptLayer(),
        ChangeLayer(),
        UncertaintyLayer(),
        CloudMaskLayer(),
        SourceLayer(),
        ValueLayer(),
    ]
    if asked is None:
        layers = [
            layer
            for layer in known
            if layer.name in _DEFAULT_LAYERS and layer.key in outputs
        ]
    else:
        layers = [layer for layer in known if layer.name in asked]
    lacking = [layer.name for layer in layers if layer.key not in outputs]
    if lacking or not layers:
        raise ValueError(
            f'`layers`: the task predicts {sorted(outputs)}, from which '
            f'{lacking or "no layer"} cannot be made.'
        )
    return layers
