# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Expected errors: from the loss to the map."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.callbacks.geotiff.layers.kinds import Rows, UncertaintyLayer
from torchgeo_tdpcr.losses import JointLoss, laplace_likelihood
from torchgeo_tdpcr.models import TDPCR
from torchgeo_tdpcr.tasks.phases import Schedule, set_trainable

SMALL: dict[str, Any] = {'dims': (4, 8), 'depths': (1, 1)}


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.rand(2, 13, 24, 20), torch.rand(2, 2, 24, 20)


@pytest.mark.parametrize('prompt', ['image', None])
def test_it_leaves_the_restoration_alone(prompt: Any) -> None:
    torch.manual_seed(0)
    plain = TDPCR(**SMALL, prompt=prompt).eval()
    telling = TDPCR(**SMALL, prompt=prompt, uncertainty=True).eval()
    telling.load_state_dict(plain.state_dict(), strict=False)
    outputs = telling(*images())
    torch.testing.assert_close(
        outputs['reconstruction'], plain(*images())['reconstruction']
    )
    expected = outputs['uncertainty']
    assert expected.shape == (2, 1, 24, 20)
    assert (expected > 0).all()
    expected.sum().backward()
    trained = {n for n, p in telling.named_parameters() if p.grad is not None}
    assert trained == {n for n, _ in telling.named_parameters() if 'uncertainty' in n}


def test_phase_2_goes_on_training_it() -> None:
    model = TDPCR(**SMALL, num_classes=7, uncertainty=True)
    set_trainable(model, Schedule('peft').phases[0])
    assert all(
        p.requires_grad for n, p in model.named_parameters() if 'uncertainty' in n
    )


def test_it_stays_above_zero_in_half_precision() -> None:
    model = TDPCR(**SMALL, uncertainty=True).eval()
    assert model.uncertainty_head is not None
    torch.nn.init.constant_(model.uncertainty_head.scale.bias, -200)
    with torch.autocast('cpu', torch.bfloat16), torch.inference_mode():
        expected = model(*images())['uncertainty']
    assert expected.dtype == torch.float32
    assert (expected > 0).all()


def test_likelihood_is_that_of_laplace() -> None:
    target, _ = images()
    restored, expected = (
        target + 0.1 * torch.randn_like(target),
        torch.rand(2, 1, 24, 20),
    )
    error = (restored - target).abs().mean(1, keepdim=True)
    laplace = torch.distributions.Laplace(torch.zeros_like(expected), expected)
    # The constant has no gradient
    reference = -laplace.log_prob(error).mean() - np.log(2)
    found = laplace_likelihood(expected, restored, target)
    torch.testing.assert_close(found, reference, rtol=1e-5, atol=1e-5)
    outputs = {'reconstruction': restored, 'uncertainty': expected}
    with_it = JointLoss()(outputs, target)
    without = JointLoss()({'reconstruction': restored}, target)
    torch.testing.assert_close(with_it['loss'], without['loss'] + 0.1 * found)
    assert 'loss_uncertainty' not in without


def test_it_learns_the_mean_of_the_error() -> None:
    """Where nothing tells pixels apart, the mean absolute error; no more, no less."""
    torch.manual_seed(0)
    target = torch.zeros(1, 13, 64, 64)
    restored = 0.2 * torch.randn(target.shape)
    value = torch.tensor(-3.0, requires_grad=True)
    optimizer = torch.optim.Adam([value], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        expected = torch.nn.functional.softplus(value).expand(1, 1, 64, 64)
        laplace_likelihood(expected, restored, target).backward()
        optimizer.step()
    learnt = torch.nn.functional.softplus(value).item()
    assert learnt == pytest.approx(restored.abs().mean().item(), rel=0.02)


def test_a_task_trains_and_predicts_it(synthetic_root: Path, tmp_path: Path) -> None:
    task = TDPCRTask(
        model_kwargs={**SMALL, 'uncertainty': True},
        training='cr+peft',
        phase1_epochs=1,
        scheduler=None,
    )
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator='cpu', max_epochs=2, logger=False,
        limit_train_batches=1, limit_val_batches=1, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    data = OSFCRDataModule(synthetic_root, split_by='roi', batch_size=2, patch_size=32)
    trainer.fit(task, data)
    assert 'train_loss_uncertainty' in trainer.callback_metrics
    assert 'val_loss_uncertainty' in trainer.callback_metrics
    image, sar = images()
    found = task.eval().predict_step({'image': image, 'image_sar': sar}, 0)
    assert found['uncertainty'].shape == (2, 1, 24, 20)


def test_layer_is_in_digital_numbers() -> None:
    values = {'uncertainty': torch.tensor([[[0.01, 0.02, 9.0]]])}
    valid = torch.ones(1, 3, dtype=torch.bool)
    layer = UncertaintyLayer()
    rows = Rows(values, valid, lambda: np.zeros((13, 1, 3)), offset=1000)
    # An offset is no error
    assert layer.encode(rows).tolist() == [[[100, 200, 65534]]]
    weight = torch.tensor([[0.0, 0.5, 0.0]])
    mixed = Rows(
        values,
        valid,
        lambda: np.zeros((13, 1, 3)),
        find_others=lambda: (torch.zeros(13, 1, 3), torch.tensor([[0.0, 0.25, 1.0]])),
    )
    # 9.0 is beyond what the file holds
    assert layer.encode(mixed).tolist() == [[[100, 150, 0]]]
    kept = Rows(values, valid, lambda: np.zeros((13, 1, 3)), lambda: weight)
    assert layer.encode(kept).tolist() == [[[0, 100, 0]]]
    torch.testing.assert_close(
        values['uncertainty'], torch.tensor([[[0.01, 0.02, 9.0]]])
    )


def test_a_calibrated_head_expects_as_much_more() -> None:
    kwargs = {'dims': (8, 16), 'depths': (1, 1), 'uncertainty': True}
    plain = TDPCR(**kwargs).eval()
    calibrated = TDPCR(**kwargs, uncertainty_factor=1.5).eval()
    # The factor is no weight: those of one fit the other
    calibrated.load_state_dict(plain.state_dict())
    inputs = torch.rand(1, 13, 32, 32), torch.rand(1, 2, 32, 32)
    one, other = (model(*inputs)['uncertainty'] for model in (plain, calibrated))
    torch.testing.assert_close(other, 1.5 * one)
    with pytest.raises(ValueError, match='`uncertainty_factor=0` must be above 0'):
        TDPCR(**kwargs, uncertainty_factor=0)
