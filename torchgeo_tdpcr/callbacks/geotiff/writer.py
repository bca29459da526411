# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter: predictions of any TorchGeo task as Cloud-Optimised GeoTIFFs."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torchgeo.datasets.utils import Path as PathLike

from ...datasets.chips.dataset import ChipDataset
from ...datasets.chips.union import ChipUnion
from ...files import expanded
from ...kinds import LAYERS, LayerName
from .chips import ChipFrame
from .mosaic import Mosaic
from .run import MappingRun, Options
from .source import Frame, SceneFrame, SceneSource


class SceneWriter(BasePredictionWriter):
    """Write predictions as Cloud-Optimised GeoTIFFs, with a STAC item beside them.

    With :class:`~torchgeo_tdpcr.datamodules.SceneDataModule` each scene becomes a folder
    of its name, on the grid of its Sentinel-2 product; with a data module of stored
    chips, such as :class:`~torchgeo_tdpcr.datamodules.OSFCRDataModule`, so does each
    chip. With any other
    :class:`~torchgeo.datamodules.GeoDataModule` whose sampler yields patches in rows,
    such as :class:`~torchgeo.samplers.GriddedPatchSampler`, all patches become one
    mosaic. Windows that overlap are blended without seams.

    A folder appears when it is complete. A run that was killed goes on with the scenes
    that are not, and within a scene at the row where it broke off. A scene that cannot
    be mapped does not keep the others from it: the failures are listed at the end, and
    raised.

    ====================  ==========================================================
    Layer                 What is written
    ====================  ==========================================================
    ``image``             uint16 digital numbers on the scale and offset of the
                          input; 0 is missing. From ``reconstruction``.
    ``classes``           uint8 classes with names and colours; 255 is missing. From
                          ``probabilities``.
    ``confidence``        uint8, probability of the class in percent; 255 is missing.
    ``prompt``            float32, first three principal components of ``prompt``.
    ``change``            uint16, mean absolute difference of output and input over the
                          bands, in digital numbers; 65535 is missing.
    ``uncertainty``       uint16, expected absolute error of the image over the bands, in
                          digital numbers; 65535 is missing. Where the model predicts
                          it.
    ``cloud_mask``        uint8, 1 in clouds and shadows by the mask of the scene, 0
                          elsewhere; 255 is missing.
    ``source``            uint8, where the image is from: 0 observed, 1 another date, 2
                          restored; 255 is missing.
    ``prediction``        float32, where the task predicts a tensor, such as a
                          regression.
    ====================  ==========================================================

    Example:
        >>> SceneWriter('maps', layers=['image', 'classes', 'change']).output_dir.name
        'maps'
    """

    def __init__(
        self,
        output_dir: PathLike,
        layers: Sequence[LayerName] | None = None,
        keep_clear: bool = False,
        feather: int = 8,
        class_names: Sequence[str] | None = None,
        class_colors: Sequence[Sequence[int]] | None = None,
        name: str = 'prediction',
        compress: Literal['DEFLATE', 'ZSTD', 'LZW', 'NONE'] = 'DEFLATE',
        overwrite: bool = False,
        progress: bool = True,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Initialize a new SceneWriter instance.

        Args:
            output_dir: Folder to write to, made if there is none.
            layers: What to write (defaults to image, classes and prediction, as far as
                the task predicts them).
            keep_clear: Whether the image keeps what was observed where the cloud mask
                of the scene says clear. Composites of several dates do, in any case.
            feather: Width in pixels of the border around clouds in which the image
                fades from one to the other.
            class_names: Names of the classes (defaults to the `labels` of the task).
            class_colors: Red, green and blue, 0 to 255, of each class.
            name: Name of the mosaic, where the data module knows of no scenes.
            compress: Compression of the files.
            overwrite: Whether to replace scenes that were mapped otherwise before.
            progress: Whether to show megapixels per second and the time left.
            properties: Further properties of the STAC items.

        Raises:
            ValueError: If a layer is unknown, `feather` is negative, or `name` is no
                name of a file.
        """
        super().__init__('batch')
        for layer in layers or ():
            if layer not in LAYERS:
                raise ValueError(f'`layers`: {layer!r} is none of {list(LAYERS)}.')
        if feather < 0:
            raise ValueError(f'`feather={feather}`: give 0 or more pixels.')
        if Path(name).name != name:
            raise ValueError(f'`name={name!r}` must not be a path; see `output_dir`.')
        self.output_dir = expanded(output_dir)
        self.options = Options(
            layers=None if layers is None else tuple(layers),
            keep_clear=keep_clear,
            feather=feather,
            class_names=None if class_names is None else tuple(class_names),
            class_colors=class_colors,
            compress=compress,
            overwrite=overwrite,
            progress=progress,
            properties=properties or {},
        )
        self.name = name
        self._run: MappingRun | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that the folder can be written, before anything is predicted.

        Args:
            trainer: The trainer.
            pl_module: The task.
            stage: Only ``'predict'`` matters.

        Raises:
            OSError: If the folder cannot be written.
        """
        super().setup(trainer, pl_module, stage)
        if stage != 'predict':
            return
        self._run = None
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            probe = self.output_dir / f'.write-{os.getpid()}'
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise OSError(
                f'`output_dir={str(self.output_dir)!r}` cannot be written ({error}). '
                'Give another folder.'
            ) from error
        # Where windows lie, batches say themselves
        warnings.filterwarnings('ignore', "Couldn't infer the batch indices")
        # Scenes do not fit into memory
        trainer.predict_loop.return_predictions = False
        if self.options.progress and trainer.progress_bar_callback is not None:
            trainer.progress_bar_callback.disable()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out what is done already.

        Args:
            trainer: The trainer.
            pl_module: The task.

        Raises:
            ValueError: If a mosaic is to be made by several processes.
        """
        datamodule: Any = getattr(trainer, 'datamodule', None)
        frame: Frame
        if isinstance(datamodule, SceneSource):
            frame = SceneFrame(datamodule)
        elif isinstance(getattr(datamodule, 'predict_dataset', None), ChipDataset):
            frame = ChipFrame(datamodule, trainer.world_size)
        elif isinstance(getattr(datamodule, 'predict_dataset', None), ChipUnion):
            raise ValueError(
                'SceneWriter does not write unions of data sets of chips. Predict each in '
                'a run of its own.'
            )
        else:
            frame = Mosaic(datamodule, self.name)
            if trainer.world_size > 1:
                raise ValueError(
                    'Several processes cannot write one mosaic. Predict with '
                    '`trainer.devices=1`, or use SceneDataModule.'
                )
        self._run = MappingRun(self.output_dir, self.options, frame, trainer, pl_module)

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Blend the windows of a batch into their scene.

        Args:
            trainer: The trainer.
            pl_module: The task.
            prediction: What the task predicted: a dictionary of tensors, or a tensor
                B×H×W or B×C×H×W.
            batch_indices: Queries of the batch, where Lightning knows them.
            batch: The batch.
            batch_idx: Index of the batch.
            dataloader_idx: Index of the dataloader.
        """
        assert self._run is not None
        self._run.add(prediction, batch, batch_indices)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the last scene and list what was done.

        Args:
            trainer: The trainer.
            pl_module: The task.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        assert self._run is not None
        self._run.close()

    def teardown(
        self, trainer: Trainer, pl_module: LightningModule, stage: str
    ) -> None:
        """List what was done where nothing was predicted at all.

        Lightning does not begin to predict where there are no batches, because every
        scene was refused or the trainer allows none.

        Args:
            trainer: The trainer.
            pl_module: The task.
            stage: Only ``'predict'`` matters.

        Raises:
            ScenesFailed: If there is a scene that is not mapped.
        """
        if stage == 'predict' and self._run is None:
            self.on_predict_start(trainer, pl_module)
            self.on_predict_end(trainer, pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Let others go on with what this run has begun.

        Args:
            trainer: The trainer.
            pl_module: The task.
            exception: What ended the run.
        """
        if self._run is not None:
            self._run.break_off()
