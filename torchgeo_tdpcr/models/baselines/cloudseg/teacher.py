# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The trained teacher that the losses of CloudSeg compare features with."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from ....files import expanded, load_fault
from ....input_record import InputRecord, require_same
from ...registry import get_model

#: Name that the teacher is registered under.
TEACHER = 'cloudseg_teacher'


class Teacher:
    """A teacher that is read when a fit begins, or when its features are first wanted.

    It is no module: the parameters, the state dict and the checkpoints of a student are
    its own, and a student is used without the file. A copy, also in another process,
    reads the file again.

    Args:
        path: Checkpoint of a task that trained ``'cloudseg_teacher'`` on clear images.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path
        self._model: nn.Module | None = None
        self._record: InputRecord | None = None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Copy and pickle the path alone."""
        return type(self), (self.path,)

    def prepare(self, record: InputRecord | None) -> None:
        """Read the checkpoint now, and check that it is of the same input.

        Args:
            record: Input of the student, None where nothing is known of it.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            ValueError: If it is none of a teacher, or was trained with other input.
        """
        self._load()
        try:
            require_same(self._record, record)
        except ValueError as error:
            raise ValueError(f'`teacher={str(self.path)!r}`: {error}') from error

    def _load(self) -> nn.Module:
        if self._model is None:
            self._model, self._record = _read(self.path)
        return self._model

    def __call__(self, image_clear: Tensor, image_sar: Tensor) -> Tensor:
        """Compute features, without gradients.

        Args:
            image_clear: Clear optical image, B×C×H×W.
            image_sar: SAR image, B×S×H×W.

        Returns:
            Features, B×16×H×W.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            ValueError: If it is none of a teacher, or one for other bands.
        """
        model = self._load().to(image_clear.device)
        for name, image in (('in_channels', image_clear), ('sar_channels', image_sar)):
            if getattr(model, name) != image.shape[1]:
                raise ValueError(
                    f'`teacher={str(self.path)!r}` was trained with '
                    f'`{name}={getattr(model, name)}`, but the student has '
                    f'{image.shape[1]}. Train both with the same bands.'
                )
        with torch.no_grad():
            features: Tensor = model(image_clear, image_sar)['features']
        return features


def _read(path: str | PathLike[str]) -> tuple[nn.Module, InputRecord | None]:
    """Build the model of a checkpoint, frozen, in evaluation mode, and read its input."""
    said, file = f'`teacher={str(path)!r}`', expanded(path)
    advice = (
        f'Give the checkpoint of a fit of `{TEACHER}` with `training: lcs` and '
        '`lcs_input: clear`, or leave `teacher` out to train without distillation.'
    )
    if not file.is_file():
        raise FileNotFoundError(f'{said}: there is no such file. {advice}')
    try:
        content: Any = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(
            f'{said} cannot be read as a checkpoint: {load_fault(error)}. {advice}'
        ) from error
    content = content if isinstance(content, Mapping) else {}
    arguments = content.get('hyper_parameters') or {}
    expected = {'model': TEACHER, 'lcs_input': 'clear'}
    for name, value in expected.items():
        if arguments.get(name) != value:
            raise ValueError(
                f'{said} was trained with `{name}={arguments.get(name)!r}`. {advice}'
            )
    channels = ('in_channels', 'sar_channels', 'num_classes')
    own = {name: arguments[name] for name in channels if name in arguments}
    own |= arguments.get('model_kwargs') or {}
    state = {
        key.removeprefix('model.'): value
        for key, value in content.get('state_dict', {}).items()
        if key.startswith('model.')
    }
    try:
        # Without memory for, or a draw of, weights that the checkpoint replaces; the
        # library draws the first kernel all the same
        with torch.device('meta'), torch.random.fork_rng(devices=[]):
            model = get_model(TEACHER, **own)
        model.load_state_dict(state, assign=True)
        record = InputRecord.from_dict(arguments.get('input_record'))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f'{said} is of another version: {error}. {advice}') from error
    return model.eval().requires_grad_(False), record
