# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One command from nothing to packed weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from table_runs import TINY

from experiments.weights import parts, train
from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask


def shrink(settings: dict[str, Any]) -> dict[str, Any]:
    """The same training, over at once."""
    trainer, data = settings['trainer'], settings['data']['init_args']
    trainer |= {'precision': '32-true', 'max_epochs': 2}
    trainer |= {'limit_val_batches': 0, 'enable_progress_bar': False}
    settings['model']['init_args'] |= {'scheduler': None, 'model_kwargs': TINY}
    data |= {'batch_size': 2, 'patch_size': 32}
    data['synthetic_args'] |= {'num_rois': 10, 'chips_per_roi': 1, 'chip_size': 32}
    return settings


@pytest.mark.parametrize('name', train.known_names())
def test_trains_goes_on_and_packs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = yaml.safe_load((train.HERE / f'{name}.yaml').read_text())
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / f'{name}.yaml').write_text(yaml.safe_dump(shrink(settings)))
    packed: list[list[str]] = []
    given: list[TDPCRTask] = []
    monkeypatch.setattr(train, 'HERE', tmp_path / 'configs')
    monkeypatch.setattr(train, 'measure_and_pack', packed.append)
    monkeypatch.setattr(
        train,
        'train_parts',
        lambda task, folder: given.append(task) or folder / 'parts.ckpt',
    )
    monkeypatch.chdir(tmp_path)
    wanted = [name, f'--samples={tmp_path}']
    train.main([*wanted, '--trainer.max_epochs=1'])
    folder = Path('runs', 'weights', name)
    last = folder / 'checkpoints' / 'last.ckpt'
    begun = torch.load(last, weights_only=False)
    # A training that began anew would not come to this
    begun['state_dict']['model.output.bias'] += 100
    torch.save(begun, last)
    train.main(wanted)

    assert f'--checkpoint={folder / "parts.ckpt"}' in packed[0]
    assert f'--training=python -m experiments.weights.train {name}' in packed[0]
    assert packed == [packed[0]] * 2
    task = given[-1]
    assert task.input_record is not None
    assert len(task.input_record.bands) == task.hparams['in_channels']
    assert (task.model.output.bias > 50).all()


def test_samples_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='2'):
        train.main([train.known_names()[0], '--samples=missing'])
    assert '`--samples' in capsys.readouterr().err
    assert not Path('runs').exists()


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parts, 'DATA', {'num_rois': 12, 'chips_per_roi': 1, 'chip_size': 128}
    )


def test_parts_are_learnt_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    task = TDPCRTask(model_kwargs=TINY, training='joint')
    names = [f'class {i}' for i in range(7)]
    task.input_record = OSFCRDataModule(class_names=names).input_record
    settings = {'max_epochs': 1, 'enable_progress_bar': False, 'precision': '32-true'}
    checkpoint = parts.train(task, tmp_path, **settings)
    after = TDPCRTask.load_from_checkpoint(checkpoint, map_location='cpu')
    before, now = task.model.state_dict(), after.model.state_dict()
    for name, value in before.items():
        assert torch.equal(value, now[name]), name
    new = set(now) - set(before)
    assert {name.split('.')[0] for name in new} == {'blend', 'uncertainty_head'}
    assert now['blend.weight.weight'].abs().sum() > 0
    assert after.input_record == task.input_record
    assert after.maps_land_cover
    assert after.hparams['model_kwargs']['output'] == 'blend'
    with pytest.raises(ValueError, match='have the parts'):
        parts.with_parts(after)


def test_parts_of_a_checkpoint_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'a').touch()
    with pytest.raises(SystemExit, match='2'):
        parts.main(
            ['x', '--checkpoint=no.ckpt', '--training=y', f'--samples={tmp_path}']
        )
    assert '`--checkpoint no.ckpt`' in capsys.readouterr().err
