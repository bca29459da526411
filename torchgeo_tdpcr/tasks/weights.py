# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Initial weights: a checkpoint of an earlier phase, or weights that are shipped."""

from collections import OrderedDict
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from ..files import expanded, load_fault
from ..models.weights import TDPCR_Weights
from ..weight_files import of_model, read_weights
from ..weights import SUFFIX
from .checkpoint_files import check_whole

#: What weights to begin with are given by.
type Initial = TDPCR_Weights | str | PathLike[str]

#: The one part that a checkpoint may lack or have on top.
HEAD = 'segmentation_decoder.'

#: Names of what can be learnt with all else frozen begin with these, and of all that a
#: file may lack with one of those.
PARTS = ('uncertainty_head.', 'clear_gate.')
OPTIONAL = (HEAD, *PARTS)


def read_initial(weights: Initial) -> Any:
    """Read weights to begin with.

    Args:
        weights: A member of :class:`~torchgeo_tdpcr.TDPCR_Weights` or its name, or the
            path of a file: a Lightning checkpoint of a task that holds the model as
            ``model``, the model's state dict, or what
            :func:`~torchgeo_tdpcr.weight_files.export_weights` wrote. Only weights and
            plain values are read.

    Returns:
        The content, as a checkpoint has it.

    Raises:
        FileNotFoundError: If there is no such file, nor weights of that name.
        ValueError: If it is a file of something else.
    """
    if isinstance(weights, TDPCR_Weights):
        return weights.content()
    path = expanded(weights)
    if not path.is_file():
        name = str(weights).removeprefix('TDPCR_Weights.')
        if name in TDPCR_Weights.__members__:
            return TDPCR_Weights[name].content()
        raise FileNotFoundError(
            f'`weights={str(path)!r}`: there is no such file. Give the path of a '
            'checkpoint, such as lightning_logs/version_0/checkpoints/last.ckpt, or one '
            f'of {list(TDPCR_Weights.__members__)}.'
        )
    if path.suffix == SUFFIX:
        return read_weights(path)
    check_whole(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(
            f'`weights={str(path)!r}` cannot be read as a checkpoint: '
            f'{load_fault(error)}.'
        ) from error


def load_weights(model: nn.Module, weights: Initial) -> Any:
    """Load weights into a model, all but those of its heads strictly.

    The segmentation decoder may be missing, and counts as missing where Phase 1 alone was
    trained. So may what tells uncertainty, and what hands on clear pixels.

    Args:
        model: The model.
        weights: See :func:`read_initial`.

    Returns:
        Their content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no checkpoint, or one of another model.
    """
    content = read_initial(weights)
    name = str(weights if isinstance(weights, TDPCR_Weights) else expanded(weights))
    state = _model_state(content)

    own = model.state_dict()
    trained = content.get('hyper_parameters', {}) if isinstance(content, dict) else {}
    # What Phase 1 alone saved of a segmentation decoder is its random start
    if trained.get('training') == 'cr' or not any(k.startswith(HEAD) for k in own):
        state = {k: v for k, v in state.items() if not k.startswith(HEAD)}
    for part in PARTS:
        if not any(k.startswith(part) for k in own):
            state = {k: v for k, v in state.items() if not k.startswith(part)}
    missing = [k for k in own if k not in state and not k.startswith(OPTIONAL)]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f'{k}: {tuple(v.shape)} in the file, {tuple(own[k].shape)} in the model'
        for k, v in state.items()
        if k in own and v.shape != own[k].shape
    ]
    if missing or unexpected or shapes:
        raise ValueError(
            f'`weights={name!r}` is a checkpoint of another model than this '
            f'{type(model).__name__}: {len(missing)} tensors are missing '
            f'{missing[:3]}, {len(unexpected)} are unknown {unexpected[:3]}, '
            f'{len(shapes)} have another shape {shapes[:3]}. Build the model with the '
            'arguments that the checkpoint was trained with (model, model_kwargs, '
            'in_channels, sar_channels, num_classes).'
        )
    try:
        model.load_state_dict(_with_versions(state, content), strict=False)
    except RuntimeError as error:
        raise ValueError(f'`weights={name!r}`: {error}') from error
    return content


def _model_state(content: Any) -> dict[str, Tensor]:
    """The model's part of a checkpoint."""
    if not isinstance(content, dict):
        return {}
    state = content.get('state_dict', content)
    state = of_model(state) or state
    return {k: v for k, v in state.items() if isinstance(v, Tensor)}


def _with_versions(state: dict[str, Tensor], content: Any) -> dict[str, Tensor]:
    """A state that tells the versions of its modules, as far as its file knows them."""
    known = getattr(content.get('state_dict', content), '_metadata', {})
    versioned = OrderedDict(state)
    # Where PyTorch keeps them
    versioned._metadata = of_model(known) or known  # type: ignore[attr-defined]
    return versioned
