# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One run of a writer: scenes begun, fed, finished or given up, one after the other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from torch import Tensor
from tqdm import tqdm

from ...beside import Behind
from ...datasets.grids import PixelBox
from ...datasets.scenes.common import SceneError, SceneInfo
from ...input_record import same_names
from .fingerprint import fingerprint, weights_hash
from .folder import SavedProgress, SceneFolder
from .job import IncompleteError, SceneJob
from .layers.choosing import choose_layers, outputs_by_name
from .layers.keep_clear import cloud_weight
from .layers.kinds import Rows
from .source import Frame, Placed
from .summary import Summary, join_processes

#: Errors that end a scene, but not the others: its files, or the disk.
_SCENE_ERRORS = (OSError, RasterioError, SceneError)

#: Border in pixels between other dates and what is restored. Both are about as bright as
#: the scene, and a wider one would leave little of other dates between small clouds.
_SEAM = 2


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments of :class:`~torchgeo_tdpcr.callbacks.SceneWriter`."""

    layers: tuple[str, ...] | None
    keep_clear: bool
    feather: int
    class_names: tuple[str, ...] | None
    class_colors: Sequence[Sequence[int]] | None
    compress: str
    overwrite: bool
    progress: bool
    properties: dict[str, Any]


class MappingRun:
    """Write the scenes of one prediction run of one process, behind the model.

    Args:
        output_dir: Folder of all scenes.
        options: How to write them.
        frame: Where the predictions lie, and how far the scenes are.
        trainer: The trainer.
        module: The task.
    """

    def __init__(
        self,
        output_dir: Path,
        options: Options,
        frame: Frame,
        trainer: Trainer,
        module: LightningModule,
    ) -> None:
        self.output_dir = output_dir
        self.options = options
        self.frame = frame
        self.scenes = frame.scenes
        self.progress = frame.progress
        self._processes = join_processes()
        self._behind = Behind()
        self._job: SceneJob | None = None
        self._scene: int | None = None
        self._labels = getattr(module, 'class_names', None) or module.hparams.get(
            'labels'
        )
        _check_names(options.class_names, getattr(module, 'class_names', None))
        weights = weights_hash(module)
        self._properties = {
            'tdpcr:model': str(module.hparams.get('model', type(module).__name__)),
            'tdpcr:task': type(module).__name__,
            'tdpcr:checkpoint': str(trainer.ckpt_path) if trainer.ckpt_path else None,
            'tdpcr:weights_sha256': weights,
            **options.properties,
        }
        # Only where it is so, for the maps that there are are made without
        self._matches = bool(module.hparams.get('match_clear'))
        matched = {'match_clear': True} if self._matches else {}
        given = asdict(options)
        for name in ('overwrite', 'progress', 'properties'):
            del given[name]
        settings = {
            'options': given,
            'labels': self._labels,
            'precision': str(trainer.precision),
            'data': frame.settings,
            **matched,
        }
        self._saved: dict[int, SavedProgress] = {}
        # What was to be found of each scene, and what was
        self._looks: dict[int, tuple[str, str | None]] = {}
        for scene, info in self.scenes.items():
            self._look(scene, fingerprint(info, weights, settings))
        total = sum(i.grid.height * i.grid.width for i in self.scenes.values())
        made = sum(
            self.progress.rows.get(scene, 0) * info.grid.width
            for scene, info in self.scenes.items()
        )
        self._bar = tqdm(
            total=total,
            initial=made,
            desc='Mapping',
            unit='px',
            unit_scale=True,
            disable=None if options.progress and made < total else True,
            position=trainer.global_rank,
        )

    def _folder(self, scene: int) -> SceneFolder:
        return SceneFolder(self.output_dir, self.scenes[scene].name)

    def _look(self, scene: int, mark: str) -> None:
        """Find out how far a scene is that is to be made as its fingerprint says."""
        folder, info = self._folder(scene), self.scenes[scene]
        found = folder.fingerprint()
        self._looks[scene] = mark, found
        if found == mark and folder.is_intact():
            self.progress.skip(scene, info.grid.height)
        elif found not in (None, mark) and (not found or not self.options.overwrite):
            fault = (
                f'holds a map that was made {self._difference(scene)}. Give another '
                '`output_dir`, or set `overwrite`.'
                if found
                else 'holds something else than a map. Give another `output_dir`.'
            )
            self.progress.advance(scene, info.grid.height)
            self._fail(scene, SceneError(folder.whole, fault))
        elif self.frame.resumes:
            self._saved[scene] = folder.saved(mark)
            self.progress.advance(scene, self._saved[scene].rows)
        else:
            self._saved[scene] = SavedProgress(mark)

    def _difference(self, scene: int) -> str:
        """Say how the map that is there was made otherwise."""
        there = self._folder(scene).properties()
        if (
            there.get('tdpcr:weights_sha256')
            != self._properties['tdpcr:weights_sha256']
        ):
            return 'with another checkpoint'
        before, now = there.get('tdpcr:inputs') or {}, self.scenes[scene].inputs
        if before != now:
            other = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            return f'from other files ({", ".join(other)})'
        return 'with other settings, or from files that have changed'

    def add(self, prediction: Any, batch: Any, queries: Sequence[Any] | None) -> None:
        """Blend the windows of a batch into their scene, while the model goes on.

        Args:
            prediction: What the task predicted.
            batch: The batch.
            queries: Queries of the batch, where they are known.
        """
        self._behind.call(self._add_all, prediction, batch, queries)

    def _add_all(
        self, prediction: Any, batch: Any, queries: Sequence[Any] | None
    ) -> None:
        outputs = outputs_by_name(prediction)
        for placed in self.frame.place(queries, batch):
            part = {key: value[placed.part] for key, value in outputs.items()}
            self._add(placed, part)

    def _add(self, placed: Placed, outputs: dict[str, Tensor]) -> None:
        """Blend windows into one scene."""
        if placed.scene != self._scene:
            self._finish()
        if self.progress.is_over(placed.scene):
            return
        try:
            if self._job is None:
                self._job = self._start(placed, outputs)
                self._scene = placed.scene
                if self._is_made_meanwhile(placed.scene):
                    return
            self._feed(self._job, placed, outputs)
        except IncompleteError as error:
            self._fail(placed.scene, error, keep=True)
        except _SCENE_ERRORS as error:
            self._fail(placed.scene, error)

    def _feed(self, job: SceneJob, placed: Placed, outputs: dict[str, Tensor]) -> None:
        """Blend windows into their scene, each once."""
        values = {key: outputs[key] for key in job.counts}
        height, width = next(iter(values.values())).shape[-2:]
        new = [
            i
            for i, (top, left) in enumerate(zip(placed.tops, placed.lefts, strict=True))
            if self.frame.take(
                placed.scene, PixelBox(left, top, left + width, top + height)
            )
        ]
        valid, tops, lefts = placed.valid, placed.tops, placed.lefts
        if len(new) < len(tops):
            # Several processes fill up their shares by repeating windows
            values = {key: value[new] for key, value in values.items()}
            valid = None if valid is None else valid[new]
            tops, lefts = [tops[i] for i in new], [lefts[i] for i in new]
        if new:
            values = {key: value.cpu() for key, value in values.items()}
            job.canvas.add(values, tops, lefts, valid)

    def _is_made_meanwhile(self, scene: int) -> bool:
        """Tell whether another process has mapped a scene since this run began."""
        folder, (mark, before) = self._folder(scene), self._looks[scene]
        found = folder.fingerprint()
        if found == before:
            return False
        if found != mark:
            fault = 'has been made by another run meanwhile. Run again.'
            raise SceneError(folder.whole, fault)
        self.progress.skip(scene, self.scenes[scene].grid.height)
        if self._job is not None:
            self._job.give_up()
        self._job = self._scene = None
        return True

    def _start(self, placed: Placed, outputs: dict[str, Tensor]) -> SceneJob:
        """Begin a scene, now that it is known what the task predicts."""
        scene = placed.scene
        layers = choose_layers(
            self.options.layers,
            outputs,
            self.options.class_names or self._labels or self._names(outputs),
            self.options.class_colors,
        )
        return SceneJob(
            self._folder(scene),
            self.scenes[scene],
            layers,
            {layer.key: outputs[layer.key].shape[1] for layer in layers},
            lambda top, values, valid: self._rows(scene, top, values, valid),
            self._saved[scene],
            self.options.compress,
            upward=self.frame.is_upward(placed),
            on_rows=lambda count: self._advance(scene, count),
            gap=lambda first, last: self.frame.gap(scene, first, last),
        )

    def _names(self, outputs: dict[str, Tensor]) -> Sequence[str] | None:
        """Names of the classes as the data set has them, if they are those."""
        names = self.frame.class_names
        count = outputs['probabilities'].shape[1] if 'probabilities' in outputs else 0
        return names if len(names) == count else None

    def _advance(self, scene: int, count: int) -> None:
        self.progress.advance(scene, count)
        self._bar.update(count * self.scenes[scene].grid.width)

    def _rows(
        self, scene: int, top: int, values: dict[str, Tensor], valid: Tensor
    ) -> Rows:
        """Rows of a scene for the layers, with access to what was observed."""
        frame, info = self.frame, self.scenes[scene]
        width, height = info.grid.width, info.grid.height
        bottom = top + len(valid)
        feather = self.options.feather

        first, last = max(top - feather, 0), min(bottom + feather, height)
        around, inner = (
            PixelBox(0, first, width, last),
            slice(top - first, bottom - first),
        )

        @cache
        def find_clouds() -> NDArray[np.bool_]:
            return frame.clouds(scene, around)

        def find_others() -> tuple[Tensor, Tensor]:
            numbers, clear = frame.other_dates(scene, around)
            share = 1 - cloud_weight(~clear, min(feather, _SEAM))
            return torch.from_numpy(numbers)[:, inner], share[inner]

        return Rows(
            values,
            valid,
            lambda: frame.observed(scene, PixelBox(0, top, width, bottom)),
            (lambda: cloud_weight(find_clouds(), feather)[inner])
            if self._keeps_clear(info)
            else None,
            info.offset,
            info.white,
            lambda: find_clouds()[inner],
            find_others if info.composite else None,
        )

    def _keeps_clear(self, info: SceneInfo) -> bool:
        """Whether a scene keeps what is clear in it, as every composite does."""
        return self.options.keep_clear or info.composite

    def _finish(self) -> None:
        """Finish the scene that is being written, unless it has failed."""
        job, scene = self._job, self._scene
        self._job = self._scene = None
        if job is None or scene is None:
            return
        if scene in self.progress.failures:
            # Reading it did
            job.give_up()
            return
        info = self.scenes[scene]
        row = self.frame.lacks(scene)
        if row is not None:
            self.progress.fail(scene, IncompleteError(info, row))
            job.break_off()
            return
        told = {
            'tdpcr:bands': list(info.bands),
            'tdpcr:declared': info.declared,
            'tdpcr:cloud_detector': info.detector,
            'tdpcr:composite': info.composite,
            'tdpcr:match_clear': self._matches and info.masked,
            'tdpcr:other_cloud_detectors': info.other_detectors,
        }
        properties = {
            **self._properties,
            'tdpcr:keep_clear': self._keeps_clear(info),
            'tdpcr:offset': info.offset,
            **{key: value for key, value in told.items() if value},
        }
        names = ('torchgeo-tdpcr', 'torchgeo', 'torch')
        try:
            job.finish(properties, {name: version(name) for name in names})
        except _SCENE_ERRORS as error:
            self.progress.fail(scene, error)
            job.give_up()
        else:
            self.progress.finish(scene)

    def _fail(self, scene: int, error: Exception, keep: bool = False) -> None:
        """Note what went wrong with a scene; the data module then leaves it out."""
        self.progress.fail(scene, error)
        if self._job is not None:
            if keep:
                self._job.break_off()
            else:
                self._job.give_up()
            self._job = self._scene = None

    def break_off(self) -> None:
        """Leave the scene that is being written to a later run."""
        self._behind.stop()
        if self._job is not None:
            self._job.break_off()
        self._job = self._scene = None
        self._bar.close()

    def close(self) -> None:
        """Finish the last scene and list what was done.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        # In the thread: its tensors may be changed in inference mode only
        self._behind.call(self._finish)
        self._behind.wait()
        for scene, info in self.scenes.items():
            if not self.progress.is_over(scene):
                row = self.frame.lacks(scene)
                nothing = SceneError(info.name, 'holds no pixel with data.')
                error = nothing if row is None else IncompleteError(info, row)
                self.progress.fail(scene, error)
        self._bar.close()
        summary = Summary.of(self.progress, self.scenes, self._matches)
        summary.conclude(
            self.frame.rejected, self.output_dir, self._processes, self.frame.noun
        )


def _check_names(given: Sequence[str] | None, known: Sequence[str] | None) -> None:
    """Raise where names of classes contradict those that a task brings."""
    if not given or not known or len(given) != len(known):
        # How many there must be, the task's outputs tell
        return
    if not same_names(given, known):
        raise ValueError(
            f'`class_names={list(given)}`, but the model was trained with {list(known)}. '
            'Leave them out, or give these in this order.'
        )
