# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter with a data module of someone else's that offers scenes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from torch import nn
from torchgeo.tasks import PixelwiseRegression
from writer_models import read

from torchgeo_tdpcr import SceneDataModule, SceneWriter
from torchgeo_tdpcr.callbacks import ScenesFailed, SceneSource
from torchgeo_tdpcr.callbacks.geotiff.layers.kinds import ImageLayer
from torchgeo_tdpcr.datasets.grids import Grid, PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneInfo
from torchgeo_tdpcr.datasets.scenes.progress import Progress

SIZE, STEP = 48, 16


class Strips(LightningDataModule):
    """Scenes in memory, in strips from the top to the bottom; one cannot be read."""

    settings: Mapping[str, Any] = {}
    rejected: Mapping[str, Exception] = {'closed': OSError('was never open')}

    def __init__(self, broken: int | None = None) -> None:
        super().__init__()
        self.broken = broken
        self.progress = Progress()
        self.images = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
        grid = Grid(CRS.from_epsg(32632), from_origin(6e5, 5e6, 10, 10), SIZE, SIZE)
        date = (datetime(2020, 6, 4),) * 2
        self.scenes = {i: SceneInfo(f'scene{i}', grid, date=date) for i in range(2)}
        self.asked: list[tuple[int, int]] = []

    def predict_dataloader(self) -> 'Strips':
        return self

    def __len__(self) -> int:
        return len(self.scenes) * SIZE // STEP

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for scene in self.scenes:
            for top in range(0, SIZE, STEP):
                if not self.progress.wants(scene, top + STEP):
                    continue
                if scene == self.broken and top:
                    self.progress.fail(scene, OSError('the line is cut'))
                    continue
                self.asked.append((scene, top))
                yield {
                    'image': torch.tensor(self.images[None, [scene], top : top + STEP]),
                    'scene': torch.tensor(scene),
                    'top': torch.tensor(top),
                    'left': torch.tensor([0]),
                    'valid': torch.ones(1, STEP, SIZE, dtype=torch.bool),
                }

    def observed(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        raise NotImplementedError

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        raise NotImplementedError


class Same(nn.Module):
    """Gives back what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def predict(output_dir: Path, data: Strips) -> None:
    task = PixelwiseRegression(model='fcn', in_channels=1, num_filters=2)
    task.model = Same()
    Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        callbacks=[SceneWriter(output_dir, progress=False)],
    ).predict(task, datamodule=data)


def test_scenes_of_any_data_module(tmp_path: Path) -> None:
    data = Strips()
    assert isinstance(data, SceneSource)
    # What could not be opened before is listed with the rest
    with pytest.raises(
        ScenesFailed, match=r'1 of 3 scenes .*\n  closed: was never open'
    ):
        predict(tmp_path, data)
    assert data.progress == Progress(rows={0: SIZE, 1: SIZE}, mapped=[0, 1])
    for i, image in enumerate(data.images):
        written = read(tmp_path / f'scene{i}' / f'scene{i}_prediction.tif')
        np.testing.assert_allclose(written[0], image, rtol=1e-6)

    again = Strips()
    with pytest.raises(ScenesFailed, match='1 of 3'):
        predict(tmp_path, again)
    assert not again.asked
    assert again.progress.skipped == [0, 1]


def test_what_reading_says_reaches_the_writer(tmp_path: Path) -> None:
    data = Strips(broken=0)
    with pytest.raises(ScenesFailed, match='scene0: the line is cut'):
        predict(tmp_path, data)
    assert data.asked == [(0, 0), (1, 0), (1, 16), (1, 32)]
    assert [path.name for path in tmp_path.iterdir()] == ['scene1']


def test_the_data_module_of_scenes_is_one(tmp_path: Path) -> None:
    module = SceneDataModule(s2=tmp_path / 'a', s1=tmp_path / 'b')
    assert isinstance(module, SceneSource)
    with pytest.raises(AttributeError, match="before `setup\\('predict'\\)`"):
        _ = module.progress


def test_no_offset_is_written_as_zero() -> None:
    scene = Strips().scenes[0]
    (band,) = ImageLayer().bands(1, scene)
    # -0.0 equals 0.0, but files show it
    assert str(band.offset) == '0.0'
    (band,) = ImageLayer().bands(1, replace(scene, offset=1000.0))
    assert band.offset == pytest.approx(-0.1)
