# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""TDPCRTask: the training and evaluation protocol of the paper for any such model."""

from collections.abc import Sequence
from typing import Any, Literal

from lightning.pytorch import Callback
from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torchgeo.datasets.utils import Path, Sample
from torchgeo.tasks import BaseTask

from ..callbacks import PredictionFigures, StopOnSigterm
from ..input_record import InputRecord, require_same
from ..losses import JointLoss
from ..memory import keep_freed_memory
from ..metrics.functional import Border
from ..models import (
    TDPCR_Weights,
    get_model,
    get_recipe,
    list_models,
    match_clear,
)
from .checkpoint_files import write_whole
from .checkpoints import CheckpointMixin, note_loaded
from .evaluation import EvaluationMixin
from .land_cover import LandCoverInput
from .metrics_file import keep_metrics
from .optimizing import OptimizerMixin
from .phases import Schedule, Training, set_trainable
from .predicting import warn_if_unwritten
from .resuming import ResumeMixin
from .schedulers import Scheduler
from .switching import PhaseSwitchMixin
from .weights import load_weights


class TDPCRTask(
    CheckpointMixin,
    ResumeMixin,
    PhaseSwitchMixin,
    OptimizerMixin,
    EvaluationMixin,
    BaseTask,
):
    """Joint cloud removal and land-cover segmentation in two phases.

    The batch has the keys ``image`` (cloudy), ``image_sar``, and for training and
    evaluation ``image_clear``, all normalised to [0, 1]; Phase 2 needs ``mask`` as
    well. ``mask_cloud``, where present, splits the metrics into cloudy and clear pixels.

    Logged are ``train_loss`` and its parts, ``val_…`` and ``test_…`` of
    :class:`~torchgeo_tdpcr.metrics.RestorationMetrics` and
    :class:`~torchgeo_tdpcr.metrics.SegmentationMetrics`, and, when validating or testing
    on its own, ``…_input_…``: the metrics of the cloudy input itself.

    A fit with both phases works on one device and with DDP. The checkpoint of either
    phase resumes in that phase.
    """

    ignore = ('weights', 'scheduler', 'input_record')

    def __init__(
        self,
        model: str = 'tdpcr',
        model_kwargs: dict[str, Any] | None = None,
        weights: TDPCR_Weights | Path | None = None,
        in_channels: int = 13,
        sar_channels: int = 2,
        num_classes: int | None = 7,
        labels: Sequence[str] | None = None,
        training: Training = 'cr+peft',
        phase1_epochs: int | None = None,
        lr: float = 1e-3,
        lr_phase2: float | None = None,
        head_lr_factor: float = 1.0,
        weight_decay: float = 1e-3,
        scheduler: Scheduler | LRSchedulerCallable | None = 'cosine',
        patience: int = 10,
        lambda_rec: float = 1.0,
        lambda_seg: float = 1.0,
        lambda_ssim: float = 0.1,
        label_smoothing: float = 0.1,
        class_weights: Sequence[float] | None = None,
        ignore_index: int = 255,
        recipe: Literal['common', 'losses', 'own'] = 'common',
        lcs_input: Path = 'cloudy',
        ssim_border: Border = 'reflect',
        compile: bool = False,
        match_clear: bool = False,
        input_record: dict[str, Any] | None = None,
    ) -> None:
        """Initialize a new TDPCRTask instance.

        Args:
            model: Name of a registered model: {models}, or yours.
            model_kwargs: Further arguments of the model, such as
                `{output: blend}`. `python -m pydoc torchgeo_tdpcr.models.TDPCR`
                prints those of `tdpcr`; the page on models in the documentation has those
                of all.
            weights: Checkpoint of an earlier phase to start from, or weights that come
                with the package: a member of `TDPCR_Weights` or its name. A segmentation
                decoder, or what tells uncertainty, starts at random where they lack it;
                everything else must match.
            in_channels: Number of optical bands.
            sar_channels: Number of SAR bands; 0 for a model that sees no radar.
            num_classes: Number of land-cover classes, or None for cloud removal only.
            labels: Names of the classes, for the per-class metrics.
            training: `'cr'` for Phase 1; `'peft'` or `'fpft'` for Phase 2 from
                `weights`, parameter-efficient or with every parameter; `'joint'` for
                both outputs from scratch; `'cr+peft'` or `'cr+fpft'` for both phases
                in one fit; `'lcs'` for land cover alone.
            phase1_epochs: Number of epochs of Phase 1 in a fit with both phases.
            lr: Learning rate.
            lr_phase2: Learning rate of Phase 2 in a fit with both phases (defaults to
                `lr`).
            head_lr_factor: Factor on the learning rate of the segmentation decoder. In
                Phase 2 it starts at random where all else is trained; the sooner it has
                learnt, the less it disturbs the restoration.
            weight_decay: Weight decay of AdamW.
            scheduler: Schedule of the learning rate within each phase: `'cosine'`,
                `'multistep'`, `'plateau'`, None, or a callable that takes the
                optimizer.
            patience: Patience of `'plateau'` in epochs.
            lambda_rec: Weight of the reconstruction loss in Eq. 12.
            lambda_seg: Weight of the segmentation loss in Eq. 12.
            lambda_ssim: Weight of the SSIM term in Eq. 11.
            label_smoothing: Label smoothing of the cross-entropy.
            class_weights: Weight of each class in the cross-entropy.
            ignore_index: Label that counts neither in the loss nor in the metrics.
            recipe: `'common'` to train with the losses and the optimizer above, as all
                models of a comparison should be; `'own'` for those of the paper of
                the model, whose learning rate and schedule then count, not those
                above; `'losses'` for the losses of its paper with the optimizer
                above, for models that another loss would turn into something else.
                The losses of a paper see what the task feeds the model: `image` as
                `lcs_input` chooses it, `image_clear` and `mask` where `training`
                restores and segments, 255 where `ignore_index` is. Weights of losses
                and of classes and the label smoothing are those of the paper. Validation
                and testing are the same with all.
            lcs_input: Optical image that land cover alone is mapped from, for Table II:
                `'cloudy'`, `'clear'` (Direct), or a checkpoint of a task that
                removes clouds (multi-stage).
            ssim_border: What SSIM finds beyond the borders of an image in validation and
                testing: `'reflect'`, its mirror image, or `'zeros'`, with which most
                published figures are computed, and which are higher by 0.001 to 0.01.
            compile: Whether to compile the model with `torch.compile`. Not compiled is
                what the losses of a paper call besides, of `ecrformer`, `emrdm` and
                `diffcr`.
            match_clear: Whether predicting and testing match the restored colours under
                clouds to the clear pixels of each image, see
                `torchgeo_tdpcr.models.match_clear`. It needs masks of clouds, and
                takes up to twice the time where there are both. It is no part of the
                paper; it pays where a model was trained on other data than it sees.
            input_record: What the model was trained with: bands, scaling and classes.
                Checkpoints bring it; leave it out.

        Raises:
            ValueError: If an argument is none of its choices, Phase 2 is asked for
                without `num_classes`, or `weights` is of another model.
            FileNotFoundError: If `weights` does not exist.

        Example:
            >>> import torch
            >>> task = TDPCRTask(model='tdpcr_small', training='cr', num_classes=None)
            >>> batch = {'image': torch.rand(1, 13, 64, 64)}
            >>> batch['image_sar'] = torch.rand(1, 2, 64, 64)
            >>> task.predict_step(batch, 0)['reconstruction'].shape
            torch.Size([1, 13, 64, 64])
        """
        self.schedule = Schedule(training, phase1_epochs)
        self.phase = self.schedule.phases[0]
        if num_classes is None and any(p.segments for p in self.schedule.phases):
            raise ValueError(
                f'`num_classes=None`: `training={training!r}` segments. Give the number '
                "of classes, or choose `training='cr'`."
            )
        if training != 'lcs' and lcs_input != 'cloudy':
            raise ValueError(
                f"`lcs_input={str(lcs_input)!r}` is for `training='lcs'`, not "
                f'{training!r}.'
            )
        if recipe not in ('common', 'losses', 'own'):
            raise ValueError(
                f"`recipe={recipe!r}`: choose 'common', 'losses' or 'own'."
            )
        if not head_lr_factor > 0:
            raise ValueError(f'`head_lr_factor={head_lr_factor}` must be above 0.')
        own = get_recipe(model)
        self.recipe = None if recipe == 'common' else own
        if recipe != 'common' and own is None:
            raise ValueError(
                f"`recipe={recipe!r}`: {model!r} has none. Choose 'common', or register "
                'the model with a recipe.'
            )
        unused = own.only_here if own is not None and recipe == 'common' else ()
        for name in unused:
            if (model_kwargs or {}).get(name):
                raise ValueError(
                    f'`model_kwargs.{name}` is for the losses of the paper of '
                    f"{model!r}. Give `recipe='own'` or `'losses'`, or leave it out."
                )
        self.weights = weights
        self.scheduler = scheduler
        self._given_record = input_record
        super().__init__()

    def configure_models(self) -> None:
        """Build the model, load its weights, and freeze what the phase does not train."""
        self.model = get_model(
            self.hparams['model'],
            **{
                'in_channels': self.hparams['in_channels'],
                'sar_channels': self.hparams['sar_channels'],
                'num_classes': self.hparams['num_classes'],
                **(self.recipe.model_kwargs if self.recipe is not None else {}),
                **(self.hparams['model_kwargs'] or {}),
            },
        )
        self.model.register_load_state_dict_post_hook(note_loaded)
        self.input_record = InputRecord.from_dict(self._given_record)
        if self.weights is not None:
            self.note_weights(load_weights(self.model, self.weights))
        self.lcs_input = LandCoverInput(self.hparams['lcs_input'], self._load_restorer)
        if self.hparams['compile']:
            self.model.compile()
        set_trainable(self.model, self.phase)

    def configure_losses(self) -> None:
        """Set up Eqs. 11 and 12."""
        self.criterion = JointLoss(
            lambda_rec=self.hparams['lambda_rec'],
            lambda_seg=self.hparams['lambda_seg'],
            lambda_ssim=self.hparams['lambda_ssim'],
            label_smoothing=self.hparams['label_smoothing'],
            class_weights=self.hparams['class_weights'],
            ignore_index=self.hparams['ignore_index'],
        )

    def configure_callbacks(self) -> list[Callback]:
        """Draw figures while validating, and end on SIGTERM, as far as nothing does."""
        # The first that is called with a trainer, before the loggers are made
        keep_metrics(self.trainer)
        if self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.ckpt_path:
            # Before an average of the weights copies them
            getattr(self.model, 'load_pretrained', lambda: None)()
        present = self.trainer.callbacks  # type: ignore[attr-defined]
        wanted = (PredictionFigures, StopOnSigterm)
        return [
            kind()
            for kind in wanted
            if not any(isinstance(callback, kind) for callback in present)
        ]

    def setup(self, stage: str) -> None:
        """Prepare the process for the device.

        Args:
            stage: Any.

        Raises:
            ValueError: If a fit with both phases lacks ``phase1_epochs``.
        """
        if stage == 'fit':
            self.schedule.require_epochs()
        super().setup(stage)
        write_whole(self.trainer)
        if self.trainer.strategy.root_device.type == 'cpu':
            keep_freed_memory()

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Run the model.

        Args:
            image: Cloudy optical image, B×C×H×W, in [0, 1].
            image_sar: SAR image, B×S×H×W, in [0, 1].

        Returns:
            The model's outputs, with ``logits`` only where they are trained or wanted.
        """
        outputs: dict[str, Tensor] = self.model(image, image_sar)
        return outputs

    def training_step(
        self, batch: Sample, batch_idx: int, dataloader_idx: int = 0
    ) -> Tensor:
        """Compute the loss of the phase.

        Args:
            batch: The output of your DataLoader.
            batch_idx: Index of this batch.
            dataloader_idx: Index of the current dataloader.

        Returns:
            The loss.
        """
        if self.recipe is not None:
            losses = self.recipe.losses(self.model, self._fed(batch))
            if not self.phase.segments:
                # What a recipe logs of land cover that this phase does not train
                losses = {k: v for k, v in losses.items() if k != 'loss_seg'}
        else:
            losses = self._losses(self._outputs(batch), batch)
        size = len(batch['image'])
        for name, value in losses.items():
            self.log(f'train_{name}', value, batch_size=size, prog_bar=name == 'loss')
        return losses['loss']

    def predict_step(
        self, batch: Sample, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        """Remove the clouds and map the land cover.

        Args:
            batch: The output of your DataLoader; needs ``image`` and ``image_sar`` only.
            batch_idx: Index of this batch.
            dataloader_idx: Index of the current dataloader.

        Returns:
            ``reconstruction`` in [0, 1], unless land cover is mapped alone;
            ``probabilities`` of the classes, ``prompt`` and ``uncertainty`` where the
            model has them;
            ``bounds``, ``transform`` and ``epsg`` where the batch has them.
        """
        outputs = self._outputs(batch)
        result = {}
        if self.phase.restores:
            result['reconstruction'] = self._restored(batch, outputs)
        if 'logits' in outputs:
            result['probabilities'] = outputs['logits'].softmax(1)
        result |= {k: outputs[k] for k in ('prompt', 'uncertainty') if k in outputs}
        keys = ('bounds', 'transform', 'epsg')
        return result | {key: batch[key] for key in keys if key in batch}

    def on_predict_end(self) -> None:
        """Warn if the command line predicted, and nothing was written."""
        warn_if_unwritten(self.trainer)

    def _input(self, batch: Sample) -> Tensor:
        """The optical image that the model is given."""
        _require(batch, 'image', 'image_sar')
        return batch['image'] if self.phase.restores else self.lcs_input(batch)

    def _outputs(self, batch: Sample) -> dict[str, Tensor]:
        """Run the model on a batch; the head only where the phase trains it."""
        outputs: dict[str, Tensor] = self(self._input(batch), batch['image_sar'])
        return outputs

    def _restored(self, batch: Sample, outputs: dict[str, Tensor]) -> Tensor:
        """Restored images in [0, 1], matched to clear pixels where that is wanted."""
        restored = outputs['reconstruction'].clamp(0, 1)
        if not self.hparams['match_clear']:
            return restored
        _require(batch, 'mask_cloud')
        return match_clear(
            lambda image, sar: self(image, sar)['reconstruction'].clamp(0, 1),
            batch['image'],
            batch['image_sar'],
            batch['mask_cloud'] == 1,
            restored,
            batch.get('valid'),
        )

    def _load_restorer(self, path: Path) -> 'TDPCRTask':
        """Load the task that removes the clouds for one that maps land cover."""
        restorer = TDPCRTask.load_from_checkpoint(str(path), map_location='cpu')
        try:
            require_same(restorer.input_record, self.input_record)
        except ValueError as error:
            raise ValueError(f'`lcs_input={str(path)!r}`: {error}') from error
        return restorer

    def _fed(self, batch: Sample) -> Sample:
        """What a recipe trains on: the input, and what the phase is to learn."""
        fed = {**batch, 'image': self._input(batch)}
        for key, learned in (
            ('image_clear', self.phase.restores),
            ('mask', self.phase.segments),
        ):
            if learned:
                _require(batch, key)
            else:
                fed.pop(key, None)
        if 'mask' in fed:
            ignored = fed['mask'] == self.hparams['ignore_index']
            fed['mask'] = fed['mask'].masked_fill(ignored, 255)
        return fed

    def _losses(self, outputs: dict[str, Tensor], batch: Sample) -> dict[str, Tensor]:
        """The losses of the phase."""
        if not self.phase.restores:
            _require(batch, 'mask')
            loss = self.criterion.segmentation(outputs['logits'], batch['mask'])
            return {'loss': loss}
        _require(batch, 'image_clear')
        mask = None
        if self.phase.segments:
            _require(batch, 'mask')
            mask = batch['mask']
        losses: dict[str, Tensor] = self.criterion(outputs, batch['image_clear'], mask)
        return losses


# What `--model.help TDPCRTask` prints is this text
TDPCRTask.__init__.__doc__ = (TDPCRTask.__init__.__doc__ or '').replace(
    '{models}', ', '.join(f'`{name}`' for name in list_models())
)


def _require(batch: Sample, *keys: str) -> None:
    """Raise if a batch lacks a key."""
    for key in keys:
        if key not in batch:
            raise KeyError(
                f'The batch has no `{key}`, only {sorted(batch)}. Add the layer to the '
                'data set, or choose a `training` that does not need it.'
            )
