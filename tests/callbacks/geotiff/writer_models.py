# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models and helpers for tests of the writer."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from torchgeo_tdpcr import SceneDataModule, SceneWriter, TDPCRTask
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths
from torchgeo_tdpcr.models import register_model

#: Calls of the models in this process; the process is killed at the call DIE_AT.
CALLS: list[int] = []
DIE_AT = 'TDPCR_TEST_DIE_AT'

#: Seconds that the first process of several takes longer.
SLEEP = 'TDPCR_TEST_SLEEP'


class Identity(nn.Module):
    """Gives back its input; the class is the rounded brightness of the first band."""

    def __init__(self, in_channels: int, sar_channels: int, num_classes: int | None):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.num_classes = num_classes

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        CALLS.append(len(image))
        if len(CALLS) == int(os.environ.get(DIE_AT, 0)):
            # Files are written behind the model: let them catch up
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        if len(CALLS) == 1 and os.environ.get('LOCAL_RANK', '0') == '0':
            time.sleep(float(os.environ.get(SLEEP, 0)))
        outputs = {'reconstruction': image * self.scale, 'prompt': image[:, :4]}
        if self.num_classes:
            target = image[:, :1] * 10 % self.num_classes
            steps = torch.arange(self.num_classes).reshape(1, -1, 1, 1)
            outputs['logits'] = -(target - steps).square()
        return outputs


class WindowMean(Identity):
    """Paints each window with its own mean: as different from its neighbour as can be."""

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        outputs = super().forward(image, image_sar)
        mean = image.mean((2, 3), keepdim=True)
        outputs['reconstruction'] = mean.expand_as(image) * self.scale
        return outputs


register_model('identity_for_tests')(Identity)
register_model('window_mean_for_tests')(WindowMean)


def make_task(model: str = 'identity', **kwargs: Any) -> TDPCRTask:
    arguments = {'num_classes': 3, 'labels': ['water', 'trees', 'built'], **kwargs}
    task = TDPCRTask(model=f'{model}_for_tests', training='joint', **arguments)
    task.trained = True
    return task


def predict(
    output_dir: Path,
    data: dict[str, Any],
    task: TDPCRTask | None = None,
    trainer: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Map scenes in windows of 64 pixels."""
    CALLS.clear()
    datamodule = SceneDataModule(**{'patch_size': 64, 'overlap': 16, **data})
    Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[SceneWriter(output_dir, progress=False, **kwargs)],
        **{'devices': 1, **(trainer or {})},
    ).predict(task or make_task(), datamodule=datamodule)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        array: np.ndarray = file.read()
    return array


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but the items, which name paths."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.suffix != '.json'
    }


def pairs_csv(path: Path, *scenes: ScenePaths) -> Path:
    """Write a table of scenes."""
    lines = [f'{s.s2},{s.s1},{s.clouds},scene{i}' for i, s in enumerate(scenes)]
    path.write_text('\n'.join(['s2,s1,cloud_mask,name', *lines]) + '\n')
    return path
