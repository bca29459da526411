# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter with TorchGeo's own tasks, datasets and samplers: one mosaic."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from rasterio.transform import from_origin
from rio_cogeo import cog_validate
from torch import Tensor, nn
from torchgeo.datamodules import GeoDataModule
from torchgeo.datasets import RasterDataset
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from torchgeo_tdpcr import SceneWriter

HEIGHT, WIDTH = 90, 120


class Images(RasterDataset):
    filename_glob = '*.tif'


class ImageDataModule(GeoDataModule):
    """Overlapping patches of all images, in rows, as TorchGeo's sampler yields them."""

    sampler_class: Any = GriddedPatchSampler

    def __init__(self, paths: Path) -> None:
        super().__init__(Images, batch_size=3, patch_size=32, paths=paths)
        self.aug = nn.Identity()

    def setup(self, stage: str) -> None:
        self.predict_dataset = Images(self.kwargs['paths'])
        kwargs = {'stride': 24} if self.sampler_class is GriddedPatchSampler else {}
        self.predict_sampler = self.sampler_class(
            self.predict_dataset, size=self.patch_size, **kwargs
        )


class Channels(nn.Module):
    """Gives back some channels, scaled."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.count] * self.scale


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 5, (3, HEIGHT, WIDTH)).astype(np.float32)


@pytest.fixture
def image(tmp_path: Path, array: np.ndarray) -> Path:
    """Half a metre a pixel, far north: float32 cannot hold these coordinates."""
    path = tmp_path / 'images' / 'a.tif'
    path.parent.mkdir()
    profile = {'count': 3, 'height': HEIGHT, 'width': WIDTH, 'dtype': 'float32'}
    profile |= {'driver': 'GTiff', 'crs': 'EPSG:32632'}
    grid = from_origin(499_999.25, 7_999_999.25, 0.5, 0.5)
    with rasterio.open(path, 'w', transform=grid, **profile) as file:
        file.write(array)
    return path


def predict(
    task: Any, image: Path, out: Path, module: Any = None, **kwargs: Any
) -> None:
    Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[SceneWriter(out, progress=False, **kwargs)],
    ).predict(task, datamodule=module or ImageDataModule(image.parent))


def segmentation(num_classes: int = 3, **kwargs: Any) -> SemanticSegmentation:
    task = SemanticSegmentation(
        backbone='resnet18', in_channels=3, num_classes=num_classes, **kwargs
    )
    task.model = Channels(num_classes)
    return task


def test_semantic_segmentation(tmp_path: Path, image: Path, array: np.ndarray) -> None:
    out = tmp_path / 'out'
    layers = ['classes', 'confidence']
    predict(
        segmentation(), image, out, name='city', layers=layers, class_names=list('abc')
    )
    assert cog_validate(out / 'city/city_classes.tif')[0]
    with (
        rasterio.open(out / 'city/city_classes.tif') as file,
        rasterio.open(out / 'city/city_confidence.tif') as confidence,
        rasterio.open(image) as source,
    ):
        assert file.crs == source.crs
        assert file.transform.almost_equals(source.transform, 1e-6)
        np.testing.assert_array_equal(file.read(1), array.argmax(0))
        shares = np.exp(array) / np.exp(array).sum(0)
        np.testing.assert_allclose(confidence.read(1), 100 * shares.max(0), atol=0.51)


def test_binary_segmentation(tmp_path: Path, image: Path, array: np.ndarray) -> None:
    task = segmentation(1, task='binary')
    task.model.scale.data *= -1
    predict(task, image, tmp_path / 'out', layers=['classes'])
    with rasterio.open(tmp_path / 'out/prediction/prediction_classes.tif') as file:
        assert not file.read(1).any()
        shown = [value for value in file.colormap(1).values() if any(value[:3])]
        assert len(shown) == 2


def test_regression(tmp_path: Path, image: Path, array: np.ndarray) -> None:
    task = PixelwiseRegression(model='unet', backbone='resnet18', in_channels=3)
    task.model = Channels(1)
    predict(task, image, tmp_path / 'out')
    with rasterio.open(tmp_path / 'out/prediction/prediction_prediction.tif') as file:
        np.testing.assert_allclose(file.read(1), array[0], rtol=1e-6)
        assert np.isnan(file.nodata)


def test_change_needs_scenes(tmp_path: Path, image: Path) -> None:
    with pytest.raises(ValueError, match="from which \\['change'\\] cannot be made"):
        predict(segmentation(), image, tmp_path / 'out', layers=['change'])


def test_shuffled_patches_are_an_error(tmp_path: Path, image: Path) -> None:
    module = ImageDataModule(image.parent)
    module.sampler_class = lambda data, size: RandomPatchSampler(
        data, size=size, length=40, generator=0
    )
    with pytest.raises(RuntimeError, match='Windows must come in rows'):
        predict(segmentation(), image, tmp_path / 'out', module)
    assert not (tmp_path / 'out/prediction').exists()


def test_data_without_places(tmp_path: Path) -> None:
    loader = torch.utils.data.DataLoader([{'image': torch.rand(3, 32, 32)}])
    trainer = Trainer(
        accelerator='cpu',
        logger=False,
        enable_progress_bar=False,
        callbacks=[SceneWriter(tmp_path, progress=False)],
    )
    with pytest.raises(ValueError, match='needs a GeoDataModule'):
        trainer.predict(segmentation(), loader)
