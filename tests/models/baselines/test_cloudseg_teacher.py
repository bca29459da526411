# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from baseline_tests import FEW, ON_CPU, PUBLISHED
from model_checks import check_gradients
from torch import nn
from torchgeo.main import main

from torchgeo_tdpcr.input_record import InputRecord
from torchgeo_tdpcr.models import count_costs, get_recipe
from torchgeo_tdpcr.models.baselines.cloudseg.losses import distillation
from torchgeo_tdpcr.models.baselines.cloudseg.model import (
    RECIPE,
    CloudSeg,
    cloudseg_teacher,
)
from torchgeo_tdpcr.tasks import TDPCRTask

SMALL: dict[str, Any] = {'in_channels': 4, 'num_classes': 3}


def make_batch() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    clear = torch.rand(2, 4, 64, 64, generator=generator)
    return {
        'image': (clear + 0.5).clamp(max=1),
        'image_sar': clear[:, :2].clone(),
        'image_clear': clear,
        'mask': (clear[:, 0] * 3).long().clamp(max=2),
        'mask_cloud': (clear[:, 1] > 0.4).long(),
    }


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a fit of the teacher leaves it, as far as the student reads it."""
    torch.manual_seed(0)
    model = cloudseg_teacher(**SMALL, encoder='mit_b0')
    path = tmp_path_factory.mktemp('teacher') / 'last.ckpt'
    write(path, model)
    return path


def write(path: Path, model: nn.Module, /, **arguments: Any) -> None:
    hparams = {
        'model': 'cloudseg_teacher',
        'model_kwargs': {'encoder': 'mit_b0', 'encoder_weights': 'gone.pth'},
        'lcs_input': 'clear',
        **SMALL,
        **arguments,
    }
    state = {f'model.{key}': value for key, value in model.state_dict().items()}
    torch.save({'state_dict': state, 'hyper_parameters': hparams}, path)


def student(path: Path | str, **kwargs: Any) -> CloudSeg:
    torch.manual_seed(1)
    return CloudSeg(**{**SMALL, **kwargs}, encoder='mit_b0', teacher=path)


def test_teacher_is_the_network_without_gates_and_restoration() -> None:
    torch.manual_seed(0)
    model = cloudseg_teacher(**SMALL, encoder='mit_b0')
    full = CloudSeg(**SMALL, encoder='mit_b0')
    gone = {key.rsplit('.', 1)[0] for key in full.state_dict()} - {
        key.rsplit('.', 1)[0] for key in model.state_dict()
    }
    parts = ('fusions.', 'optical_decoder.', 'restore.')
    assert all(name.startswith(parts) for name in gone)
    fused = {name for name in gone if name.startswith('fusions.')}
    gates = {f'fusions.{i}.gate.gate.{j}' for i in range(4) for j in (0, 1)}
    assert fused == gates | {'fusions.3.to_optical'}
    assert count_costs('cloudseg_teacher', num_classes=7).parameters == 190_982_903
    recipe = get_recipe('cloudseg_teacher')
    assert recipe is not None
    batch = make_batch()
    losses = recipe.losses(model, batch)
    assert set(losses) == {'loss', 'loss_seg'}
    losses['loss'].backward()
    check_gradients(model, nonzero=False)
    del batch['mask']
    with pytest.raises(KeyError, match='mask'):
        recipe.losses(model, batch)


def test_student_learns_the_features_of_its_teacher(checkpoint: Path) -> None:
    model, batch = student(checkpoint).eval(), make_batch()
    losses = RECIPE.losses(model, batch)
    assert set(losses) == {'loss', 'loss_seg', 'loss_rec', 'loss_distill'}
    parts = sum(losses[f'loss_{name}'] for name in ('seg', 'rec', 'distill'))
    torch.testing.assert_close(losses['loss'], parts)
    # Of the clear image, in evaluation mode, with the weights of the checkpoint
    torch.manual_seed(0)
    teacher = cloudseg_teacher(**SMALL, encoder='mit_b0').eval()
    with torch.no_grad():
        wanted = teacher(batch['image_clear'], batch['image_sar'])['features']
        found = model(batch['image'], batch['image_sar'])['features']
    expected = distillation(found, wanted, batch['mask_cloud'])
    torch.testing.assert_close(losses['loss_distill'], expected)
    losses['loss'].backward()
    check_gradients(model, nonzero=False)
    del batch['mask_cloud']
    with pytest.raises(KeyError, match='mask_cloud'):
        RECIPE.losses(model, batch)


def test_teacher_is_no_part_of_its_student(checkpoint: Path) -> None:
    model, batch = student(checkpoint), make_batch()
    before = torch.get_rng_state()
    assert model.teacher is not None
    features = model.teacher(batch['image_clear'], batch['image_sar'])
    assert torch.equal(torch.get_rng_state(), before)
    assert not features.requires_grad
    alone = CloudSeg(**SMALL, encoder='mit_b0')
    assert model.state_dict().keys() == alone.state_dict().keys()
    assert len(list(model.parameters())) == len(list(alone.parameters()))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.teacher.path == checkpoint
        assert twin.teacher._model is None


def test_wrong_teachers(checkpoint: Path, tmp_path: Path) -> None:
    batch = make_batch()
    path = tmp_path / 'gone.ckpt'
    model = student(path)
    # All but the losses does without
    model.eval()(batch['image'], batch['image_sar'])
    with pytest.raises(FileNotFoundError, match=r'gone\.ckpt.*cloudseg_teacher'):
        RECIPE.losses(model, batch)
    path.write_text('nothing')
    with pytest.raises(ValueError, match='cannot be read'):
        RECIPE.losses(model, batch)
    small = nn.Linear(1, 1)
    for wrong in ({'model': 'segcr'}, {'lcs_input': 'cloudy'}):
        write(path, small, **wrong)
        with pytest.raises(ValueError, match=f'{next(iter(wrong))}.*lcs_input: clear'):
            RECIPE.losses(model, batch)
    other = student(checkpoint, in_channels=3)
    for key in ('image', 'image_clear'):
        batch[key] = batch[key][:, :3]
    with pytest.raises(ValueError, match='in_channels=4'):
        RECIPE.losses(other, batch)


def test_distillation_needs_the_clear_image(checkpoint: Path) -> None:
    batch = make_batch()
    del batch['image_clear']
    with pytest.raises(KeyError, match='distillation of CloudSeg needs `image_clear`'):
        RECIPE.losses(student(checkpoint), batch)


def test_a_teacher_of_other_input_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    clips = ((0.0, 10000.0),) * 4
    record = InputRecord(
        ('B2', 'B3', 'B4', 'B8'), clips, ('VV', 'VH'), ((-25.0, 0.0),) * 2
    )
    content = torch.load(checkpoint, weights_only=True)
    content['hyper_parameters']['input_record'] = record.to_dict()
    path = tmp_path / 'teacher.ckpt'
    torch.save(content, path)
    model = student(path)
    model.prepare_fit(record)
    model.prepare_fit(None)
    other = replace(record, sar_clips=((-25.0, 0.0), (-32.5, 0.0)))
    with pytest.raises(ValueError, match=r'teacher\.ckpt.*SAR clip'):
        model.prepare_fit(other)
    del content['state_dict']
    torch.save(content, path)
    with pytest.raises(ValueError, match=r'teacher\.ckpt.*another version'):
        student(path).prepare_fit(record)


def test_a_teacher_is_for_the_losses_of_the_paper(checkpoint: Path) -> None:
    arguments = {'encoder': 'mit_b0', 'teacher': str(checkpoint)}
    with pytest.raises(ValueError, match=r'`model_kwargs\.teacher` is for the losses'):
        TDPCRTask(model='cloudseg', model_kwargs=arguments, training='joint')


def published(name: str, root: Path, *more: str) -> list[str]:
    """The command to train a system as published, made short and small."""
    few = [f'--{key}={value}' for key, value in {**FEW, **ON_CPU}.items()]
    # Added to what the file says of the model
    small = ['--model.model_kwargs.encoder=mit_b0']
    small.append('--model.model_kwargs.encoder_weights=null')
    config = ['--config', str(PUBLISHED / f'{name}.yaml')]
    return ['fit', *config, f'--data.paths={root}', *few, *small, *more]


def test_teacher_then_student_through_the_command(
    synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(published('cloudseg_teacher', synthetic_root))
    teacher = Path('runs/cloudseg_teacher/checkpoints/last.ckpt')
    assert teacher.is_file()
    given = f'--model.model_kwargs.teacher={teacher}'
    main(published('cloudseg', synthetic_root, given))
    metrics = pd.read_csv('logs/run/metrics.csv')
    distilled = metrics['train_loss_distill'].dropna()
    assert len(distilled)
    assert np.isfinite(distilled).all()
    assert (distilled > 0).all()
    teacher.unlink()
    checkpoint = 'runs/cloudseg/checkpoints/last.ckpt'
    task = TDPCRTask.load_from_checkpoint(checkpoint).eval()
    task.predict_step(
        {'image': torch.rand(1, 13, 32, 32), 'image_sar': torch.rand(1, 2, 32, 32)}, 0
    )
