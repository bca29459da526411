# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""LPIPS while testing, with a classifier of random weights in place of a download."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from lightning.pytorch import Trainer
from torchmetrics.functional.image import (
    learned_perceptual_image_patch_similarity as lpips,
)

from torchgeo_tdpcr import (
    M3MCRDataModule,
    OSFCRDataModule,
    PerceptualSimilarity,
    TDPCRTask,
)


@pytest.fixture
def classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """AlexNet without a download, always with the same weights."""
    build = torchvision.models.alexnet

    def random_alexnet(weights: Any = None) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build(weights=None)

    monkeypatch.setattr(torchvision.models, 'alexnet', random_alexnet)


def measured(root: Path, bands: list[str] | None = None) -> dict[str, float]:
    """What the test of a model as it was built logs."""
    task = TDPCRTask(
        model_kwargs={'dims': [4, 8], 'depths': [1, 1]},
        in_channels=len(bands or range(13)),
        num_classes=None,
        training='cr',
    )
    task.trained = True
    trainer = Trainer(
        accelerator='cpu',
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[PerceptualSimilarity()],
    )
    data = OSFCRDataModule(str(root), split_by='roi', batch_size=4, bands=bands)
    (metrics,) = trainer.test(task, data, verbose=False)
    return dict(metrics)


@pytest.mark.usefixtures('classifier')
def test_means_over_the_images_of_a_test(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, ...]] = []
    step = TDPCRTask.test_step

    def test_step(self: TDPCRTask, batch: Any, *args: Any) -> Any:
        outputs = step(self, batch, *args)
        images = outputs['reconstruction'], batch['image'], batch['image_clear']
        seen.append(tuple(x[:, [3, 2, 1]].detach().clamp(0, 1) for x in images))
        return outputs

    monkeypatch.setattr(TDPCRTask, 'test_step', test_step)
    found = measured(synthetic_root)
    restored, cloudy, clear = (torch.cat(x) for x in zip(*seen, strict=True))
    assert len(clear) > 1
    for name, image in (('test_lpips', restored), ('test_input_lpips', cloudy)):
        each = [
            float(lpips(a[None], b[None], 'alex', normalize=True))
            for a, b in zip(image, clear, strict=True)
        ]
        assert found[name] == pytest.approx(sum(each) / len(each), rel=1e-4)
    assert found['test_lpips'] != found['test_input_lpips']


def test_says_how_to_get_the_weights(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise URLError('no network')

    monkeypatch.setattr(torchvision.models, 'alexnet', fails)
    with pytest.raises(FileNotFoundError, match=r'checkpoints.*no network.*copy'):
        measured(synthetic_root)


@pytest.mark.usefixtures('classifier')
def test_needs_the_visible_bands(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"red, green and blue.*\['B8', 'B4', 'B3'\]"):
        measured(synthetic_root, ['B8', 'B4', 'B3'])


def test_names_its_bands() -> None:
    module = OSFCRDataModule(bands=['B8', 'B4', 'B3'])
    assert PerceptualSimilarity(rgb=['B8', 'B4', 'B3'])._visible(module) == [0, 1, 2]
    # Those of PlanetScope have other names
    assert PerceptualSimilarity()._visible(M3MCRDataModule()) == [2, 1, 0]


def test_arguments() -> None:
    with pytest.raises(ValueError, match="`net_type='resnet'`: choose"):
        PerceptualSimilarity('resnet')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`rgb=\['B4'\]` must name three"):
        PerceptualSimilarity(rgb=['B4'])


def test_of_restored_images_alone() -> None:
    task = TDPCRTask(
        model='segformer', model_kwargs={'encoder': 'mit_b0'}, training='lcs'
    )
    with pytest.raises(ValueError, match='maps land cover alone'):
        PerceptualSimilarity().on_test_start(Trainer(logger=False), task)
