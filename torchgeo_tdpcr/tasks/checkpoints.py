# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a checkpoint carries besides weights, and whether there are weights at all."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from torch import Tensor, nn

from ..input_record import InputRecord
from .checkpoint_files import check_whole
from .phases import Phase, Schedule
from .weights import HEAD, Initial, read_initial

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object

#: What the `torchgeo` command builds the task of a checkpoint with.
_INSTANTIATOR = 'lightning.pytorch.cli.instantiate_module'


class CheckpointMixin(Base):
    """Carry the input of the model in checkpoints, and refuse to use untrained ones."""

    hparams: Any
    model: Any
    phase: Phase
    schedule: Schedule

    #: What the model was trained with, None where it is not known.
    input_record: InputRecord | None = None
    #: Whether the weights come from a checkpoint whose land cover was never trained.
    _head_untrained = False
    #: Whether they come from a checkpoint that does not tell the input.
    _input_untold = False

    @classmethod
    def load_from_checkpoint(
        cls, checkpoint_path: Any, *args: Any, **kwargs: Any
    ) -> Self:
        """Load a task as Lightning does, and name a file that is truncated.

        Args:
            checkpoint_path: The checkpoint.
            *args: Lightning's further arguments.
            **kwargs: Lightning's further arguments.

        Returns:
            The task.

        Raises:
            ValueError: If the file is a part of a checkpoint.
        """
        if isinstance(checkpoint_path, str | PathLike):
            check_whole(checkpoint_path)
        task: Self = super().load_from_checkpoint(checkpoint_path, *args, **kwargs)
        return task

    @classmethod
    def load_from_weights(cls, weights: Initial, **kwargs: Any) -> Self:
        """Build the task that weights were trained by, for use or further training.

        Args:
            weights: A member of :class:`~torchgeo_tdpcr.TDPCR_Weights` or its name, or
                a file of weights that says what it is of.
            **kwargs: Arguments of the task in place of its own.

        Returns:
            The task.

        Raises:
            FileNotFoundError: If there is no such file, nor weights of that name.
            ValueError: If the file does not say what it is of.
        """
        arguments = read_initial(weights).get('hyper_parameters')
        if not isinstance(arguments, dict):
            raise ValueError(
                f"'{weights}' does not say what task it is of. Build that, and give the "
                'file as its `weights`.'
            )
        return cls(**{**arguments, **kwargs, 'weights': weights})

    @property
    def trained(self) -> bool:
        """Whether the model has weights other than those it was built with.

        Any state that was loaded into the model counts, from a file of any kind. Set it
        to use a model as it was built, for a benchmark or a test.
        """
        without = not any(True for _ in self.model.parameters())
        return without or bool(getattr(self.model, '_has_weights', False))

    @trained.setter
    def trained(self, value: bool) -> None:
        self.model._has_weights = value
        self._head_untrained = False

    @property
    def maps_land_cover(self) -> bool:
        """Whether any phase trains land cover."""
        return any(phase.segments for phase in self.schedule.phases)

    @property
    def keeps_input(self) -> bool:
        """Whether a fit from weights needs the input that these were trained with."""
        return self.hparams['training'] in ('peft', 'fpft')

    @property
    def class_names(self) -> Sequence[str] | None:
        """Names of the classes, of the argument ``labels`` or of the training data."""
        record = self.input_record
        names: Sequence[str] | None = self.hparams['labels']
        return names or (record.class_names if record else None) or None

    def note_weights(self, content: Any) -> None:
        """Take what the checkpoint of initial weights says besides.

        Args:
            content: The checkpoint, or any state.
        """
        if not isinstance(content, dict):
            return
        given = content.get('hyper_parameters')
        values = given.get('input_record') if isinstance(given, dict) else None
        self.input_record = InputRecord.from_dict(values)
        self._input_untold = self.input_record is None
        self._head_untrained = not trained_land_cover(content) or _lacks_head(
            self.model, content
        )

    def on_fit_start(self) -> None:
        """Note what the model is trained with.

        Raises:
            ValueError: If the data have another number of bands than the model, or
                name the classes in another order.
        """
        super().on_fit_start()
        # A data module of the user's own may say nothing
        given = self._input_of_data()
        self._input_untold = False
        if given is not None:
            self._check_channels(given)
        self.input_record = given
        # What a model needs for training alone, such as a teacher
        if (prepare := getattr(self.model, 'prepare_fit', None)) is not None:
            prepare(given)
        labels = self.hparams['labels']
        names = list(given.class_names) if given is not None else []
        if (
            names
            and labels
            and list(labels) != names
            and sorted(labels) == sorted(names)
        ):
            raise ValueError(
                f'`labels={list(labels)}`, but the data have `class_names={names}`: the '
                'same in another order. Give both in the order of the label values.'
            )

    def require_input(self, datamodule: Any) -> None:
        """Raise where a data module does not feed what the model was trained with.

        For use without a trainer, which asks by itself.

        Args:
            datamodule: One of this package; one that says nothing of its input passes.

        Raises:
            ValueError: If it contradicts the checkpoint.
        """
        if (given := self._input_of(datamodule)) is not None:
            self._check_channels(given)
            if self.input_record is not None:
                datamodule.check_input(self.input_record)

    def _input_of_data(self) -> InputRecord | None:
        return self._input_of(getattr(self.trainer, 'datamodule', None))

    def _input_of(self, datamodule: Any) -> InputRecord | None:
        """What of the data the model sees, None where they do not say."""
        given = getattr(datamodule, 'input_record', None)
        if not isinstance(given, InputRecord):
            return None
        return given if self._model_arguments['sar_channels'] else given.without_sar()

    @property
    def _model_arguments(self) -> dict[str, Any]:
        return {**self.hparams, **(self.hparams['model_kwargs'] or {})}

    def _check_channels(self, given: InputRecord) -> None:
        for name, what in (('in_channels', 'bands'), ('sar_channels', 'sar_bands')):
            wanted, found = self._model_arguments[name], getattr(given, what)
            if wanted != len(found):
                raise ValueError(
                    f'The model is for `{name}={wanted}`, but the data give '
                    f'{len(found)}: {" ".join(found)}. Name those that it was trained '
                    f'with, or build it with `{name}={len(found)}`.'
                )

    def _check_trained(self) -> None:
        """Raise where a model is to be used that nothing was learned by."""
        if self.trainer.state.fn == 'fit':
            return
        if not self.trained:
            raise ValueError(
                'The model has no trained weights. Give a checkpoint as `--ckpt_path` '
                "(in Python `ckpt_path`), or as the task's `weights`. (`--ckpt_path "
                'last` finds one only where `ModelCheckpoint` has `save_last: true` and '
                'the same `dirpath`. To use a model as it was built, set '
                '`task.trained = True` in Python.)'
            )
        if self.phase.segments and self._head_untrained:
            raise ValueError(
                'The checkpoint is of Phase 1, whose land cover is untrained, but '
                f'`training={self.hparams["training"]!r}` maps land cover. Give a '
                "checkpoint of Phase 2, or choose `training='cr'`."
            )
        if (given := self._input_of_data()) is not None:
            self._check_channels(given)
        datamodule: Any = getattr(self.trainer, 'datamodule', None)
        unsaid = getattr(datamodule, 'unsaid_input', None)
        if self._input_untold and unsaid is not None and (assumed := unsaid()):
            warnings.warn(
                'The checkpoint does not say what it was trained with: it was written '
                f'by an earlier version, or on data that do not tell. {assumed} is '
                'assumed. Give the values that it was trained with.',
                stacklevel=2,
            )

    # Before the callbacks' `on_…_start`, which may write files
    def on_validation_model_eval(self) -> None:
        """Check that there are weights, and go to evaluation."""
        self._check_trained()
        super().on_validation_model_eval()

    def on_test_model_eval(self) -> None:
        """Check that there are weights, and go to evaluation."""
        self._check_trained()
        super().on_test_model_eval()

    def on_predict_model_eval(self) -> None:
        """Check that there are weights, and go to evaluation."""
        self._check_trained()
        super().on_predict_model_eval()

    def on_train_epoch_start(self) -> None:
        """Note that weights are being trained."""
        super().on_train_epoch_start()
        self.model._has_weights = True
        self._head_untrained = self._head_untrained and not self.phase.segments

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a reader needs: the input, and which class to build.

        Args:
            checkpoint: The checkpoint.
        """
        super().on_save_checkpoint(checkpoint)
        arguments = plain(dict(checkpoint.get('hyper_parameters', {})))
        record = self.input_record
        arguments['input_record'] = None if record is None else record.to_dict()
        cls = type(self)
        home = cls.__module__.removesuffix('.tasks.tdpcr')
        arguments.setdefault('_class_path', f'{home}.{cls.__qualname__}')
        if inspect.getfullargspec(cls.__init__).varkw:
            # Lightning would give such a class its own name as an argument
            arguments.setdefault('_instantiator', _INSTANTIATOR)
        checkpoint['hyper_parameters'] = arguments

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what the checkpoint says, and hold the data against it.

        Args:
            checkpoint: The checkpoint.

        Raises:
            ValueError: If the data contradict it.
        """
        super().on_load_checkpoint(checkpoint)
        self._head_untrained = not trained_land_cover(checkpoint)
        arguments = checkpoint.get('hyper_parameters') or {}
        record = InputRecord.from_dict(arguments.get('input_record'))
        known, self.input_record = self.input_record, record
        self._input_untold = record is None
        trainer = self._trainer
        if trainer is None or record is None:
            return
        _refuse_other_classes(self.hparams, arguments)
        datamodule: Any = getattr(trainer, 'datamodule', None)
        if hasattr(datamodule, 'adopt_input'):
            # The argument `ckpt_path` in Python is not known any sooner
            changed = datamodule.adopt_input(record)
            datamodule.check_input(record, self)
            if changed and record != known:
                datamodule.setup(str(getattr(trainer.state.fn, 'value', None)))


def trained_land_cover(content: Mapping[str, Any]) -> bool:
    """Whether land cover was trained in a checkpoint, or state, as far as it tells.

    Args:
        content: The checkpoint.
    """
    arguments = content.get('hyper_parameters')
    protocol = arguments.get('training') if isinstance(arguments, dict) else None
    return protocol == 'lcs' or content.get('phase') != 1


def _lacks_head(model: nn.Module, content: Mapping[str, Any]) -> bool:
    """Whether a model has a segmentation decoder that a checkpoint, or state, lacks."""
    names = [str(name) for name in content.get('state_dict', content)]
    has = any(name.removeprefix('model.').startswith(HEAD) for name in names)
    return not has and any(name.startswith(HEAD) for name in model.state_dict())


def _refuse_other_classes(own: Any, saved: Mapping[str, Any]) -> None:
    """Raise where the arguments of a task contradict those of a checkpoint."""
    for name in ('labels', 'ignore_index'):
        here, there = plain(own.get(name)), plain(saved.get(name))
        if here is not None and there is not None and here != there:
            raise ValueError(
                f'`{name}={here!r}`, but the checkpoint was trained with '
                f'`{name}={there!r}`. Give the same, or load the task with '
                '`TDPCRTask.load_from_checkpoint`.'
            )


def note_loaded(module: nn.Module, incompatible: Any) -> None:
    """Note in a model that a state was loaded into it; a hook of ``load_state_dict``."""
    module._has_weights = True  # type: ignore[assignment]


def plain(value: Any) -> Any:
    """Turn paths, arrays and tuples among arguments into what any reader takes.

    Example:
        >>> plain({'dims': (4, 8), 'weights': np.ones(2)})
        {'dims': [4, 8], 'weights': [1.0, 1.0]}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return value.tolist()
    return str(value) if isinstance(value, PurePath) else value
