# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Training a model as its own paper does, through the `torchgeo` command."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torchgeo.main import main

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.models import Recipe, get_model, get_recipe, register_model

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'


class Scaled(nn.Module):
    """The cloudy image times a number."""

    def __init__(self, in_channels: int, sar_channels: int, num_classes: int | None):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        return {'reconstruction': image * self.scale}


def losses(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    outputs = model(batch['image'], batch['image_sar'])
    far = (outputs['reconstruction'] - batch['image_clear']).square().mean()
    return {'loss': 7 * far, 'far': far}


RECIPE = Recipe(losses, lambda parameters: torch.optim.SGD(parameters, lr=0.1))
register_model('scaled_for_tests', recipe=RECIPE)(Scaled)
register_model('plain_for_tests')(Scaled)


@pytest.mark.filterwarnings("ignore:.*with `recipe='own'`:UserWarning")
@pytest.mark.parametrize('recipe', ['own', 'common'])
def test_fit(
    tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ['--model.model', 'scaled_for_tests', '--model.model_kwargs', 'null']
    model += ['--model.num_classes', 'null', '--model.training', 'cr']
    model += ['--model.phase1_epochs', 'null', '--model.recipe', recipe]
    data = ['--data.init_args.paths', str(synthetic_root)]
    main(['fit', '--config', str(CONF), *data, *model])
    metrics = pd.read_csv('logs/run/metrics.csv')
    trained = metrics.train_loss.dropna()
    if recipe == 'own':
        assert (trained / metrics.train_far.dropna()).round(3).eq(7).all()
    else:
        assert 'train_far' not in metrics
    # Validation is the same for all: Eq. 11
    assert metrics.val_loss.notna().any()
    (path,) = tmp_path.rglob('*.ckpt')
    (optimizer,) = torch.load(path, weights_only=True)['optimizer_states']
    assert ('betas' in optimizer['param_groups'][0]) == (recipe == 'common')


def halved(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def alone(parameters: Any) -> list[dict[str, Any]]:
    return [{'params': [p], 'lr': 0.1, 'names': [n]} for n, p in parameters]


SCHEDULED = Recipe(
    losses,
    lambda groups: torch.optim.SGD(groups, lr=1.0),
    scheduler=halved,
    interval='step',
    groups=alone,
)
register_model('scheduled_for_tests', recipe=SCHEDULED)(Scaled)


@pytest.mark.filterwarnings("ignore:.*with `recipe='own'`:UserWarning")
@pytest.mark.parametrize(('recipe', 'lr'), [('own', 0.1 / 2**3), ('losses', 1e-3)])
def test_schedule_and_groups(
    tmp_path: Path,
    synthetic_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    lr: float,
) -> None:
    """Three steps halve the rate three times, in the group of the only parameter."""
    monkeypatch.chdir(tmp_path)
    options = [
        '--model.model=scheduled_for_tests',
        '--model.model_kwargs=null',
        '--model.num_classes=null',
        '--model.training=cr',
        '--model.phase1_epochs=null',
        f'--model.recipe={recipe}',
        '--model.lr=0.001',
        '--model.scheduler=null',
        '--trainer.max_steps=3',
        '--trainer.limit_val_batches=0',
        f'--data.init_args.paths={synthetic_root}',
    ]
    main(['fit', '--config', str(CONF), *options])
    (path,) = tmp_path.rglob('*.ckpt')
    (optimizer,) = torch.load(path, weights_only=True)['optimizer_states']
    (group,) = optimizer['param_groups']
    assert group['lr'] == pytest.approx(lr)
    assert group.get('names') == (['scale'] if recipe == 'own' else None)


def test_recipes_by_name() -> None:
    assert get_recipe('scaled_for_tests') is RECIPE
    assert get_recipe('plain_for_tests') is None
    assert isinstance(
        get_model('scaled_for_tests', in_channels=1, sar_channels=1, num_classes=None),
        Scaled,
    )


def test_arguments() -> None:
    arguments: dict[str, Any] = {'training': 'cr', 'num_classes': None}
    with pytest.raises(ValueError, match="'plain_for_tests' has none"):
        TDPCRTask(model='plain_for_tests', recipe='own', **arguments)
    with pytest.raises(ValueError, match="`recipe='theirs'`: choose"):
        TDPCRTask(model='plain_for_tests', recipe='theirs', **arguments)  # type: ignore[arg-type]


def tiny_batch() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        'image': torch.rand(2, 13, 32, 32),
        'image_sar': torch.rand(2, 2, 32, 32),
        'image_clear': torch.rand(2, 13, 32, 32),
        'mask': torch.randint(0, 7, (2, 32, 32)),
        'mask_cloud': torch.ones(2, 32, 32),
    }


def logged(task: TDPCRTask) -> dict[str, float]:
    """What a training step of a task logs."""
    found: dict[str, float] = {}
    task.log = lambda name, value, **_: found.update({name: float(value)})  # type: ignore[method-assign,assignment,misc]
    task.train()
    torch.manual_seed(0)
    task.training_step(tiny_batch(), 0)
    return found


@pytest.mark.parametrize('model', ['segformer', 'cloudseg', 'segcr'])
def test_losses_see_what_the_task_feeds(model: str) -> None:
    kwargs: dict[str, Any] = {'model': model, 'training': 'lcs', 'recipe': 'own'}
    kwargs['model_kwargs'] = {'encoder': 'mit_b0'}
    torch.manual_seed(0)
    task = TDPCRTask(**kwargs, lcs_input='clear')
    batch = tiny_batch()
    images: list[Tensor] = []
    task.model.register_forward_pre_hook(lambda _, given: images.append(given[0]))
    found = logged(task)
    assert all(torch.equal(image, batch['image_clear']) for image in images)
    # Land cover alone: nothing of the reconstruction
    assert set(found) == {'train_loss', 'train_loss_seg'}
    assert found['train_loss'] == found['train_loss_seg'] > 0


@pytest.mark.parametrize('model', ['cloudseg', 'segcr'])
def test_phase_1_learns_no_land_cover(model: str) -> None:
    kwargs: dict[str, Any] = {'model': model, 'recipe': 'own'}
    kwargs['model_kwargs'] = {'encoder': 'mit_b0'}
    found = logged(TDPCRTask(**kwargs, training='cr'))
    assert 'train_loss_seg' not in found
    parts = sum(found[name] for name in found if name != 'train_loss')
    assert found['train_loss'] == pytest.approx(parts, rel=1e-5)
    # Both are learned in joint training
    joint = logged(TDPCRTask(**kwargs, training='joint'))
    assert joint['train_loss_seg'] > 0
    assert joint['train_loss_rec'] > 0


def test_says_what_its_own_recipe_leaves_aside() -> None:
    task = TDPCRTask(
        model='scaled_for_tests',
        training='cr',
        num_classes=None,
        recipe='own',
        lr=0.5,
        weight_decay=1e-3,
        scheduler=None,
    )
    with pytest.warns(UserWarning, match=r'`lr=0.5`, `scheduler=None` do nothing'):
        task._say_what_is_unused()
    task = TDPCRTask(
        model='scaled_for_tests', training='cr', num_classes=None, recipe='own'
    )
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        task._say_what_is_unused()


def test_a_task_with_other_arguments_says_it_too() -> None:
    class Mine(TDPCRTask):
        def __init__(self, rate: float = 0.1, **kwargs: Any) -> None:
            super().__init__(lr=rate, **kwargs)

    task = Mine(model='scaled_for_tests', training='cr', num_classes=None, recipe='own')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        task._say_what_is_unused()


def test_arguments_that_only_losses_use() -> None:
    arguments: dict[str, Any] = {'training': 'cr', 'num_classes': None}
    small = {'dim': 8, 'depths': (1,), 'bottleneck': 1, 'refinement': 1}
    heads = {**small, 'auxiliary_heads': True}
    with pytest.raises(ValueError, match=r'`model_kwargs\.auxiliary_heads` is for'):
        TDPCRTask(model='ecrformer', model_kwargs=heads, **arguments)
    for recipe in ('own', 'losses'):
        task = TDPCRTask(
            model='ecrformer',
            model_kwargs=small,
            recipe=recipe,  # type: ignore[arg-type]
            **arguments,
        )
        assert task.model.auxiliary_heads
    assert not TDPCRTask('ecrformer', small, **arguments).model.auxiliary_heads


def test_recipes_leave_out_what_the_task_ignores() -> None:
    task = TDPCRTask(
        model='cloudseg',
        model_kwargs={'encoder': 'mit_b0'},
        training='joint',
        num_classes=3,
        ignore_index=0,
        recipe='own',
    )
    mask = torch.tensor([[[0, 1], [2, 0]]])
    images = {'image': torch.rand(1, 13, 2, 2), 'image_sar': torch.rand(1, 2, 2, 2)}
    fed = task._fed({**images, 'image_clear': images['image'], 'mask': mask})
    assert fed['mask'].tolist() == [[[255, 1], [2, 255]]]
    assert mask.tolist() == [[[0, 1], [2, 0]]]
