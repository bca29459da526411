# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One run of a writer: scenes begun, fed, finished or given up, one after the other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from rasterio.errors import RasterioError
from torch import Tensor
from tqdm import tqdm

from ...datasets.grids import PixelBox
from ...datasets.scenes.common import SceneError, SceneInfo
from .fingerprint import fingerprint, weights_hash
from .job import (
    SceneJob,
    finished_fingerprint,
    finished_properties,
    rows_done,
)
from .keep_clear import cloud_weight
from .layers import (
    ChangeLayer,
    ClassesLayer,
    ConfidenceLayer,
    ImageLayer,
    Layer,
    Rows,
    ValueLayer,
)
from .prompt import PromptLayer
from .source import Mosaic, Placed, SceneSource, place_windows
from .summary import Summary

#: What is written unless told otherwise, as far as the task predicts it.
_DEFAULT_LAYERS = ('image', 'classes', 'prediction')

#: Errors that end a scene, but not the others: its files, or the disk.
_SCENE_ERRORS = (OSError, RasterioError, SceneError)


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments of :class:`~torchgeo_tdpcr.callbacks.GeoTIFFWriter`."""

    layers: tuple[str, ...] | None
    keep_clear: bool
    feather: int
    class_names: tuple[str, ...] | None
    class_colors: Sequence[Sequence[int]] | None
    compress: str
    overwrite: bool
    progress: bool
    properties: dict[str, Any]


class Run:
    """Write the scenes of one prediction run of one process.

    Args:
        output_dir: Folder of all scenes.
        options: How to write them.
        dataset: Where the predictions lie.
        trainer: The trainer.
        module: The task.
    """

    def __init__(
        self,
        output_dir: Path,
        options: Options,
        dataset: SceneSource | Mosaic,
        trainer: Trainer,
        module: LightningModule,
    ) -> None:
        self.output_dir = output_dir
        self.options = options
        self.dataset = dataset
        self.summary = Summary()
        self.summary.join()
        self._job: SceneJob | None = None
        self._scene: int | None = None
        self._labels = module.hparams.get('labels')
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        weights = weights_hash(module)
        self._properties = {
            'tdpcr:model': str(module.hparams.get('model', type(module).__name__)),
            'tdpcr:task': type(module).__name__,
            'tdpcr:checkpoint': str(trainer.ckpt_path) if trainer.ckpt_path else None,
            'tdpcr:weights_sha256': weights,
            'tdpcr:keep_clear': options.keep_clear,
            **options.properties,
        }
        given = asdict(options)
        for name in ('overwrite', 'progress', 'properties'):
            del given[name]
        settings = {
            'options': given,
            'labels': self._labels,
            'precision': str(trainer.precision),
            'data': getattr(datamodule, 'settings', None),
        }
        sampler: Any = datamodule.predict_sampler
        scenes = [0] if isinstance(dataset, Mosaic) else sampler.scenes
        self._infos = {scene: dataset.info(scene) for scene in scenes}
        self._marks = {
            scene: fingerprint(info, weights, settings)
            for scene, info in self._infos.items()
        }
        done = {scene: self._rows_done(scene) for scene in scenes}
        if not isinstance(dataset, Mosaic):
            sampler.rows_done = done
        self._bar = tqdm(
            total=sum(i.grid.height * i.grid.width for i in self._infos.values()),
            initial=sum(done[s] * i.grid.width for s, i in self._infos.items()),
            desc='Mapping',
            unit='px',
            unit_scale=True,
            disable=not options.progress,
            position=trainer.global_rank,
        )

    def _rows_done(self, scene: int) -> int:
        """Rows of a scene that need not be made."""
        info = self._infos[scene]
        found = finished_fingerprint(self.output_dir, info.name)
        if found == self._marks[scene]:
            self.summary.skipped.append(info.name)
            return info.grid.height
        if found is not None and (not found or not self.options.overwrite):
            folder = str(self.output_dir / info.name)
            fault = (
                f'holds a map that was made {self._difference(info)}. Give another '
                '`output_dir`, or set `overwrite`.'
                if found
                else 'holds something else than a map. Give another `output_dir`.'
            )
            self._fail(scene, SceneError(folder, fault))
            return info.grid.height
        if isinstance(self.dataset, Mosaic):
            return 0
        return rows_done(self.output_dir, info.name, self._marks[scene])

    def _difference(self, info: SceneInfo) -> str:
        """Say how the map that is there was made otherwise."""
        there = finished_properties(self.output_dir, info.name)
        if (
            there.get('tdpcr:weights_sha256')
            != self._properties['tdpcr:weights_sha256']
        ):
            return 'with another checkpoint'
        if there.get('tdpcr:inputs') != info.inputs:
            return 'from other files'
        return 'with other settings, or from files that have changed'

    def add(self, prediction: Any, batch: Any, queries: Sequence[Any] | None) -> None:
        """Blend the windows of a batch into their scene.

        Args:
            prediction: What the task predicted.
            batch: The batch.
            queries: Queries of the batch, where they are known.
        """
        if isinstance(self.dataset, Mosaic):
            placed = self.dataset.place(queries, batch)
        else:
            placed = place_windows(batch)
        if placed.scene != self._scene:
            self._finish()
        if placed.scene in self.dataset.failures or self._is_done(placed.scene):
            return
        outputs = _by_name(prediction)
        try:
            if self._job is None:
                self._job = self._start(placed, outputs)
                self._scene = placed.scene
            values = {key: outputs[key].cpu() for key in self._job.counts}
            self._job.canvas.add(values, placed.tops, placed.lefts, placed.valid)
        except _SCENE_ERRORS as error:
            self._fail(placed.scene, error)

    def _is_done(self, scene: int) -> bool:
        return self._infos[scene].name in self.summary.skipped

    def _start(self, placed: Placed, outputs: dict[str, Tensor]) -> SceneJob:
        """Begin a scene, now that it is known what the task predicts."""
        info = self._infos[placed.scene]
        layers = self._layers(outputs)
        return SceneJob(
            self.output_dir,
            info,
            layers,
            {layer.key: outputs[layer.key].shape[1] for layer in layers},
            lambda top, values, valid: self._rows(placed.scene, top, values, valid),
            self._marks[placed.scene],
            self.options.compress,
            upward=isinstance(self.dataset, Mosaic)
            and placed.tops[0] > info.grid.height // 2,
            on_rows=lambda count: self._bar.update(count * info.grid.width),
        )

    def _layers(self, outputs: dict[str, Tensor]) -> list[Layer]:
        """The layers that were asked for, or those that the task can give."""
        names = self.options.class_names or self._labels
        known: list[Layer] = [
            ImageLayer(),
            ClassesLayer(names, self.options.class_colors),
            ConfidenceLayer(),
            PromptLayer(),
            ChangeLayer(),
            ValueLayer(),
        ]
        if self.options.layers is None:
            layers = [
                layer
                for layer in known
                if layer.name in _DEFAULT_LAYERS and layer.key in outputs
            ]
        else:
            layers = [layer for layer in known if layer.name in self.options.layers]
        lacking = [layer.name for layer in layers if layer.key not in outputs]
        if lacking or not layers:
            raise ValueError(
                f'`layers`: the task predicts {sorted(outputs)}, from which '
                f'{lacking or "no layer"} cannot be made.'
            )
        return layers

    def _rows(
        self, scene: int, top: int, values: dict[str, Tensor], valid: Tensor
    ) -> Rows:
        """Rows of a scene for the layers, with access to what was observed."""
        dataset, info = self.dataset, self._infos[scene]
        if isinstance(dataset, Mosaic):
            return Rows(values, valid, _no_observation)
        width, height = info.grid.width, info.grid.height
        bottom = top + len(valid)
        feather = self.options.feather

        def weigh() -> Tensor:
            first, last = max(top - feather, 0), min(bottom + feather, height)
            clouds = dataset.clouds(scene, PixelBox(0, first, width, last))
            return cloud_weight(clouds, feather)[top - first : bottom - first]

        return Rows(
            values,
            valid,
            lambda: dataset.observed(scene, PixelBox(0, top, width, bottom))[0],
            weigh if self.options.keep_clear else None,
            info.offset,
        )

    def _finish(self) -> None:
        """Finish the scene that is being written, unless it has failed."""
        job, scene = self._job, self._scene
        self._job = self._scene = None
        if job is None or scene is None:
            return
        if scene in self.dataset.failures:
            self._fail(scene, self.dataset.failures[scene])
            job.give_up()
            return
        info = self._infos[scene]
        properties = {
            **self._properties,
            **({'tdpcr:bands': list(info.bands)} if info.bands else {}),
            'tdpcr:offset': info.offset,
        }
        names = ('torchgeo-tdpcr', 'torchgeo', 'torch')
        try:
            job.finish(properties, {name: version(name) for name in names})
        except _SCENE_ERRORS as error:
            self._fail(scene, error)
            job.give_up()
        else:
            self.summary.mapped.append(info.name)

    def _fail(self, scene: int, error: Exception) -> None:
        """Note what went wrong with a scene; the sampler then leaves it out."""
        self.dataset.failures[scene] = error
        self.summary.failed[self._infos[scene].name] = str(error)
        if self._job is not None:
            self._job.give_up()
            self._job = self._scene = None

    def close(self) -> None:
        """Finish the last scene and list what was done.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        self._finish()
        settled = {*self.summary.mapped, *self.summary.skipped, *self.summary.failed}
        for scene, info in self._infos.items():
            if info.name not in settled:
                nothing = SceneError(info.name, 'holds no pixel with data.')
                self._fail(scene, self.dataset.failures.get(scene, nothing))
        self._bar.close()
        self.summary.conclude(getattr(self.dataset, 'rejected', {}), self.output_dir)


def _by_name(prediction: Any) -> dict[str, Tensor]:
    """Outputs by name, each B×C×H×W."""
    if isinstance(prediction, Tensor):
        prediction = {'prediction': prediction}
    if not isinstance(prediction, dict):
        raise TypeError(
            f'`predict_step` returned {type(prediction).__name__}; GeoTIFFWriter writes '
            'a tensor or a dictionary of tensors.'
        )
    return {
        key: value[:, None] if value.ndim == 3 else value
        for key, value in prediction.items()
        if isinstance(value, Tensor) and value.ndim in (3, 4)
    }


def _no_observation() -> Any:
    raise ValueError(
        'The layer "change" and `keep_clear` need the observed image: use '
        'SceneDataModule.'
    )
