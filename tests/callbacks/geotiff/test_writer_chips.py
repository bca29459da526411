# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter on stored chips: a GeoTIFF each, in the pixels of the chip."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torchgeo.tasks import SemanticSegmentation
from writer_models import contents, make_task, read

from torchgeo_tdpcr import OSFCRDataModule, SceneWriter
from torchgeo_tdpcr.callbacks import ScenesFailed


def predict(out: Path, root: Path, task: Any = None, **kwargs: Any) -> OSFCRDataModule:
    trainer = {'devices': 1, **kwargs.pop('trainer', {})}
    writer = SceneWriter(out, progress=False, **kwargs.pop('writer', {}))
    data = OSFCRDataModule(root, batch_size=12, **kwargs)
    Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[writer],
        **trainer,
    ).predict(task or make_task(), datamodule=data)
    return data


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_geotiff_a_chip(
    tmp_path: Path, synthetic_root: Path, num_workers: int
) -> None:
    data = predict(tmp_path, synthetic_root, num_workers=num_workers)
    files = data.predict_dataset.index['filepath'].tolist()
    assert len(files) == 25
    assert len(list(tmp_path.iterdir())) == 25
    offsets = set()
    for file in files:
        name = Path(file).stem
        folder = tmp_path / name
        with (
            rasterio.open(file) as source,
            rasterio.open(folder / f'{name}_image.tif') as image,
        ):
            assert (image.crs, image.transform) == (source.crs, source.transform)
            assert image.dtypes == ('uint16',) * 13
            assert image.descriptions[:2] == ('B1', 'B2')
            assert image.scales == (1e-4,) * 13
            offset = round(-image.offsets[0] * 10000)
            offsets.add(offset)
            observed = source.read()
            expected = observed.clip(max(offset, 1), offset + 10000)
            np.testing.assert_array_equal(image.read(), expected)
        with rasterio.open(folder / f'{name}_classes.tif') as classes:
            assert classes.colormap(1)[0] == (65, 155, 223, 255)
        item = json.loads((folder / f'{name}.json').read_text())
        assert item['properties']['tdpcr:inputs']['s2_cloudy'] == file
        labels = [
            c['name'] for c in item['assets']['classes']['classification:classes']
        ]
        assert labels == ['water', 'trees', 'built']
    assert offsets


def test_chips_go_on(tmp_path: Path, synthetic_root: Path) -> None:
    with pytest.raises(ScenesFailed, match='19 of 25 chips could not be mapped') as e:
        predict(tmp_path / 'a', synthetic_root, trainer={'limit_predict_batches': 2})
    assert len(e.value.failed) == 19
    assert len(list((tmp_path / 'a').iterdir())) == 6
    predict(tmp_path / 'a', synthetic_root)
    predict(tmp_path / 'b', synthetic_root)
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert len(contents(tmp_path / 'a')) == 75


class Bands(nn.Module):
    """Gives back some bands."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:8] * self.scale


def test_another_task(tmp_path: Path, synthetic_root: Path) -> None:
    task = SemanticSegmentation(
        model='fcn', in_channels=13, num_classes=7, num_filters=2
    )
    task.model = Bands()
    data = predict(tmp_path, synthetic_root, task)
    for file in data.predict_dataset.index['filepath'].tolist()[:3]:
        name = Path(file).stem
        with rasterio.open(file) as source:
            brightest = source.read()[1:8].argmax(0)
        classes = read(tmp_path / name / f'{name}_classes.tif')[0]
        np.testing.assert_array_equal(classes, brightest)


@pytest.mark.parametrize(
    'options', [{'layers': ['change']}, {'keep_clear': True, 'layers': ['image']}]
)
def test_what_needs_scenes(
    tmp_path: Path, synthetic_root: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match='are for scenes: use SceneDataModule'):
        predict(tmp_path, synthetic_root, writer=options)
