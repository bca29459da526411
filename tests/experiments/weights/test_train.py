# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One command from a first training to packed weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from table_runs import TINY, tiny_task

from experiments.weights import train
from torchgeo_tdpcr import TDPCRTask


def shrink(settings: dict[str, Any]) -> dict[str, Any]:
    """The same training, over at once."""
    trainer, data = settings['trainer'], settings['data']['init_args']
    trainer |= {'precision': '32-true', 'max_epochs': 2}
    trainer |= {'limit_val_batches': 0, 'enable_progress_bar': False}
    settings['model']['init_args'] |= {'scheduler': None}
    model = settings['model']['init_args']
    model['model_kwargs'] = {**model.get('model_kwargs', {}), **TINY}
    data |= {'batch_size': 2, 'patch_size': 32}
    data['synthetic_args'] |= {'num_rois': 10, 'chips_per_roi': 1, 'chip_size': 32}
    return settings


@pytest.mark.parametrize('name', train.known_names())
def test_goes_on_and_packs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = shrink(yaml.safe_load((train.HERE / f'{name}.yaml').read_text()))
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / f'{name}.yaml').write_text(yaml.safe_dump(settings))
    packed: list[tuple[object, ...]] = []
    monkeypatch.setattr(train, 'HERE', tmp_path / 'configs')
    monkeypatch.setattr(train, 'add_parts', lambda *about: packed.append(about))
    monkeypatch.chdir(tmp_path)
    model = settings['model']['init_args']
    # A training that began elsewhere would not come to this
    begin = tiny_task(in_channels=model['in_channels'], num_classes=7, training='joint')
    torch.nn.init.constant_(begin.model.output.bias, 100)
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    trainer.strategy.connect(begin)
    trainer.save_checkpoint(model['weights'])

    wanted = [name, f'--samples={tmp_path}']
    train.main([*wanted, '--trainer.max_epochs=1'])
    last = Path('runs', 'weights', name, 'checkpoints', 'last.ckpt')
    begun = torch.load(last, weights_only=False)
    bias = begun['state_dict']['model.output.bias']
    assert ((bias > 50) & (bias < 150)).all()
    bias += 100
    torch.save(begun, last)
    train.main(wanted)

    command = f'python -m experiments.weights.train {name}'
    assert packed == [(last, name, tmp_path, command)] * 2
    task = TDPCRTask.load_from_checkpoint(last)
    assert task.input_record is not None
    assert len(task.input_record.bands) == task.hparams['in_channels']
    assert (task.model.output.bias > 150).all()


@pytest.mark.parametrize(
    ('name', 'missing'),
    [
        ('sentinel2_l1c_small', 'peft-tdpcr-balanced/seed0/checkpoints/last.ckpt'),
        ('sentinel2_l2a_small', 'from-1C/last.ckpt'),
    ],
)
def test_what_it_begins_with_is_missing(
    name: str,
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'other.txt').touch()
    with pytest.raises(SystemExit, match='2'):
        train.main([name, f'--samples={tmp_path}'])
    told = capsys.readouterr().err
    assert f'{missing}`' in told
    assert f'The first lines of {name}.yaml say how to make it.' in told
    assert not Path('runs').exists()
