# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What weights lack, learnt with all else frozen."""

from pathlib import Path

import pytest
import torch
from table_runs import TINY

from experiments.weights import parts
from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.weights import read_meta


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
    assert {name.split('.')[0] for name in new} == {'uncertainty_head', 'clear_gate'}
    assert after.input_record == task.input_record
    assert after.maps_land_cover
    assert parts.GIVEN.items() <= after.hparams['model_kwargs'].items()
    # What has them learns them anew, and what was calibrated is not any more
    after.hparams['model_kwargs']['uncertainty_factor'] = 2.0
    again = parts.with_parts(after)
    assert 'uncertainty_factor' not in again.hparams['model_kwargs']
    assert not torch.equal(
        again.model.clear_gate.mix.weight, after.model.clear_gate.mix.weight
    )
    assert torch.equal(again.model.output.weight, task.model.output.weight)
    again.train()
    assert again.model.clear_gate.training
    assert not again.model.fusions.training


def test_parts_of_a_checkpoint_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'a').touch()
    for arguments, message in (
        (['--checkpoint=no.ckpt', '--training=y'], '`--checkpoint no.ckpt`'),
        ([f'--checkpoint={tmp_path / "a"}'], '`--checkpoint` and `--training`'),
        ([], 'x.safetensors`'),
    ):
        with pytest.raises(SystemExit, match='2'):
            parts.main(['x', *arguments, f'--samples={tmp_path}'])
        assert message in capsys.readouterr().err


def test_parts_of_what_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'a').touch()
    packed: list[list[str]] = []
    name = 'sentinel2_l2a_small'
    monkeypatch.setattr(parts, 'measure_and_pack', packed.append)
    epochs: list[int] = []

    def train(task: object, folder: Path, max_epochs: int) -> Path:
        epochs.append(max_epochs)
        return folder / 'parts.ckpt'

    monkeypatch.setattr(parts, 'train', train)
    parts.main([name, f'--samples={tmp_path}', '--epochs=3'])
    parts.main([name, f'--samples={tmp_path}'])
    assert epochs == [3, parts.EPOCHS]
    told = dict(argument[2:].split('=', 1) for argument in packed[0])
    known = read_meta(name)
    assert told['name'] == name
    assert told['checkpoint'].endswith(f'{name}/parts.ckpt')
    assert told['dataset'] == known['dataset']
    # The command is told once, however often they are added
    assert told['training'].count(f'experiments.weights.parts {name}') == 1
    begin = known['training'].split(';')[0]
    own = f'{begin}; python -m experiments.weights.parts {name}'
    assert told['training'] == f'{own} --epochs 3'
    told = dict(argument[2:].split('=', 1) for argument in packed[1])
    assert told['training'] == own
