# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from torchgeo_tdpcr import PredictionFigures


class Module:
    """A data module that remembers what it plotted."""

    def __init__(self) -> None:
        self.plotted: list[dict[str, torch.Tensor]] = []

    def denormalize(self, sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return sample

    def plot(self, sample: dict[str, torch.Tensor]) -> Figure:
        self.plotted.append(sample)
        return plt.figure()


def trainer(**kwargs: Any) -> SimpleNamespace:
    added: list[str] = []
    experiment = SimpleNamespace(
        add_figure=lambda name, figure, step: added.append(name)
    )
    defaults = {
        'datamodule': Module(),
        'sanity_checking': False,
        'is_global_zero': True,
        'logger': SimpleNamespace(experiment=experiment),
        'current_epoch': 0,
        'global_step': 3,
        'added': added,
    }
    return SimpleNamespace(**{**defaults, **kwargs})


OUTPUTS = {
    'reconstruction': torch.rand(3, 13, 8, 8) + 1,
    'prompt': torch.rand(3, 8, 8, 8),
    'logits': torch.rand(3, 7, 8, 8),
}


def draw(where: SimpleNamespace, batch_idx: int = 0, **kwargs: Any) -> None:
    batch = {'image': torch.rand(3, 13, 8, 8)}
    PredictionFigures(**kwargs).on_validation_batch_end(
        where,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        OUTPUTS,
        batch,
        batch_idx,
    )


def test_draws_what_the_model_made() -> None:
    where, before = trainer(), plt.get_fignums()
    draw(where, num_samples=2)
    assert where.added == ['validation/0', 'validation/1']
    sample = where.datamodule.plotted[0]
    assert sample['reconstruction'].max() <= 1
    assert torch.equal(sample['prediction'], OUTPUTS['logits'][0].argmax(0))
    assert sample['prompt'].shape == (8, 8, 8)
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    'change',
    [{'sanity_checking': True}, {'logger': None}, {'current_epoch': 1}],
)
def test_draws_nothing(change: dict[str, Any]) -> None:
    where = trainer(**change)
    draw(where, every_n_epochs=2)
    assert not where.datamodule.plotted


def test_only_the_first_batch() -> None:
    where = trainer()
    draw(where, batch_idx=1)
    assert not where.datamodule.plotted
