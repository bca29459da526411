# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A model of 13 bands that goes on with twelve."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from table_runs import TINY

from experiments.weights.without_b10 import B10, main, without
from torchgeo_tdpcr import TDPCRTask


def test_all_but_b10_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = TDPCRTask('tdpcr', model_kwargs=TINY, num_classes=7, training='joint')
    with torch.no_grad():
        # Where nothing of B10 is looked at, leaving it out changes nothing
        for weight in task.model.parameters():
            if weight.dim() == 4 and weight.shape[1] == 13:
                weight[:, B10] = 0
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    trainer.strategy.connect(task)
    source, target = tmp_path / 'last.ckpt', tmp_path / 'new' / 'begin.ckpt'
    trainer.save_checkpoint(source)
    main([str(source), str(target)])

    shorter = TDPCRTask.load_from_checkpoint(target).eval()
    assert shorter.hparams['in_channels'] == 12
    image, sar = torch.rand(1, 13, 32, 32), torch.rand(1, 2, 32, 32)
    rest = [i for i in range(13) if i != B10]
    with torch.no_grad():
        full = task.eval().model(image, sar)
        found = shorter.model(image[:, rest], sar)
    torch.testing.assert_close(found['reconstruction'], full['reconstruction'][:, rest])
    torch.testing.assert_close(found['logits'], full['logits'])


def test_other_shapes_are_refused() -> None:
    assert without(torch.ones(13, 4), torch.ones(12, 4)).shape == (12, 4)
    with pytest.raises(ValueError, match='is none of'):
        without(torch.ones(9, 4), torch.ones(12, 4))
