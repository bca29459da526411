# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What weights lack, learnt with all else frozen."""

from pathlib import Path

import pytest
import torch
from table_runs import TINY

from experiments.weights import parts
from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask


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
    assert {name.split('.')[0] for name in new} == {'uncertainty_head'}
    assert after.input_record == task.input_record
    assert after.maps_land_cover
    assert after.hparams['model_kwargs']['uncertainty'] is True
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
