# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Land cover alone: the Direct and multi-stage rows of Table II."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torchgeo.main import main

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.models import register_model

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'

#: Mean of each image that the model below has seen.
SEEN: list[float] = []


@register_model('classifier_for_tests')
class Classifier(nn.Module):
    """Classes from the optical image alone; it does not reconstruct."""

    def __init__(self, in_channels: int, sar_channels: int, num_classes: int):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, num_classes, 1)

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        SEEN.append(float(image.mean()))
        return {'logits': self.layer(image)}


@register_model('black_for_tests')
class Black(nn.Module):
    """Removes clouds, and all else."""

    def __init__(self, in_channels: int, sar_channels: int, num_classes: int | None):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        return {'reconstruction': image * self.scale}


@pytest.fixture
def run(tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    SEEN.clear()

    def run(stage: str, model: str, **arguments: str) -> None:
        given = {'model': model, 'model_kwargs': 'null', 'phase1_epochs': 'null'}
        options = [f'--model.{k}={v}' for k, v in {**given, **arguments}.items()]
        data = ['--data.init_args.paths', str(synthetic_root)]
        main([stage, '--config', str(CONF), *data, *options])

    return run


def test_direct(run: Any, tmp_path: Path) -> None:
    run('fit', 'classifier_for_tests', training='lcs')
    cloudy = sum(SEEN) / len(SEEN)
    metrics = pd.read_csv('logs/run/metrics.csv')
    assert metrics.val_miou.notna().any()
    assert not [name for name in metrics if 'psnr' in name or 'loss_rec' in name]
    SEEN.clear()
    (path,) = tmp_path.rglob('*.ckpt')
    given = {'training': 'lcs', 'lcs_input': 'clear', 'weights': str(path)}
    run('test', 'classifier_for_tests', **given)
    # Clouds are brighter than the ground
    assert sum(SEEN) / len(SEEN) < 0.85 * cloudy


def test_multi_stage(run: Any, tmp_path: Path) -> None:
    run('fit', 'black_for_tests', training='cr', num_classes='null', lr='0')
    (restorer,) = tmp_path.rglob('*.ckpt')
    restorer = restorer.rename(tmp_path / 'restorer.ckpt')
    run('fit', 'classifier_for_tests', training='lcs', lcs_input=str(restorer))
    assert SEEN
    assert not any(SEEN)
    checkpoint = next(path for path in tmp_path.rglob('*.ckpt') if path != restorer)
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    assert {key for key in state if key.startswith('model.')} == {
        'model.layer.weight',
        'model.layer.bias',
    }
    assert not [key for key in state if 'restorer' in key]
    task = TDPCRTask.load_from_checkpoint(checkpoint)
    batch = {'image': torch.rand(1, 13, 8, 8), 'image_sar': torch.rand(1, 2, 8, 8)}
    assert set(task.predict_step(batch, 0)) == {'probabilities'}


def test_arguments(tmp_path: Path) -> None:
    model: dict[str, Any] = {'model': 'classifier_for_tests', 'training': 'lcs'}
    with pytest.raises(FileNotFoundError, match=r'none\.ckpt.* is neither'):
        TDPCRTask(lcs_input=tmp_path / 'none.ckpt', **model)
    with pytest.raises(ValueError, match="is for `training='lcs'`, not 'joint'"):
        TDPCRTask(model='classifier_for_tests', training='joint', lcs_input='clear')
    with pytest.raises(ValueError, match='`num_classes=None`'):
        TDPCRTask(num_classes=None, **model)
    with pytest.raises(KeyError, match='no `image_clear`'):
        TDPCRTask(lcs_input='clear', **model).predict_step(
            {'image': torch.rand(1, 13, 8, 8), 'image_sar': torch.rand(1, 2, 8, 8)}, 0
        )
