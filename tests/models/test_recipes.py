# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchgeo_tdpcr.models import (
    Recipe,
    get_model,
    get_recipe,
    list_models,
    register_model,
    registry,
)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, '_MODELS', dict(registry._MODELS))
    monkeypatch.setattr(registry, '_RECIPES', dict(registry._RECIPES))


class Scale(nn.Module):
    """A model of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        return {'reconstruction': self.factor * image}


def squared(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    out = model(batch['image'], batch['image_sar'])['reconstruction']
    return {'loss': (out - batch['image_clear']).square().mean()}


def recipe() -> Recipe:
    return Recipe(squared, partial(torch.optim.SGD, lr=0.5))


def test_a_recipe_comes_back_by_the_name_of_its_model() -> None:
    mine = recipe()
    assert register_model('mine', recipe=mine)(Scale) is Scale
    assert 'mine' in list_models()
    assert isinstance(get_model('mine'), Scale)
    assert get_recipe('mine') is mine


def test_a_recipe_trains_its_model() -> None:
    register_model('mine', recipe=recipe())(Scale)
    model, found = get_model('mine'), get_recipe('mine')
    assert found is not None
    image = torch.ones(1, 3, 4, 4)
    batch = {'image': image, 'image_sar': image, 'image_clear': 0.5 * image}
    optimizer = found.optimizer(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        loss = found.losses(model, batch)['loss']
        loss.backward()
        optimizer.step()
    # the gradient of (f - 0.5)² is 2 (f - 0.5): a step of a half lands on 0.5
    assert model.factor.item() == pytest.approx(0.5)


def test_without_a_recipe_there_is_none() -> None:
    register_model('mine')(Scale)
    assert get_recipe('mine') is None
    assert get_recipe('unknown') is None


def test_a_taken_name_keeps_its_recipe() -> None:
    first = recipe()
    register_model('mine', recipe=first)(Scale)
    with pytest.raises(ValueError, match='registered already'):
        register_model('mine', recipe=recipe())(nn.Identity)
    assert get_recipe('mine') is first
    with pytest.raises(ValueError, match='registered already'):
        register_model('tdpcr', recipe=first)(Scale)
    assert get_recipe('tdpcr') is None


def test_recipes_cannot_be_changed() -> None:
    mine = recipe()
    with pytest.raises(FrozenInstanceError):
        mine.losses = squared  # type: ignore[misc]
