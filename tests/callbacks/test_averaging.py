# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo.main import main

from torchgeo_tdpcr.callbacks import WarmedEMA

STEPS = 6


class Line(LightningModule):
    """A weight that grows by 1 with each step, and a buffer that counts batches."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))
        self.register_buffer('seen', torch.zeros(1))
        self.validated: list[float] = []

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        self.seen += 1
        return -self.weight.sum()

    def validation_step(self, batch: Tensor, index: int) -> None:
        self.validated.append(self.weight.item())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Notes(Callback):
    """Notes the trained weight at the start of each batch."""

    def __init__(self) -> None:
        self.weights: list[float] = []

    def on_train_batch_start(
        self, trainer: Any, module: Any, batch: Any, index: int
    ) -> None:
        self.weights.append(module.weight.item())


def fit(
    decay: float,
    steps: int = STEPS,
    start: Path | None = None,
    callbacks: Sequence[Callback] = (),
    **arguments: Any,
) -> tuple[Line, Notes]:
    notes, line = Notes(), Line()
    trainer = Trainer(
        accelerator='cpu', max_steps=steps, max_epochs=-1, logger=False,
        enable_checkpointing=bool(callbacks), enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[WarmedEMA(decay), notes, *callbacks], **arguments,
    )  # fmt: skip
    data = DataLoader(torch.zeros(2, 1), batch_size=1)
    trainer.fit(line, data, data, ckpt_path=start, weights_only=False)
    return line, notes


def averages(decay: float, steps: int = STEPS) -> list[float]:
    """By the definition, of weights 3, 4, 5, …"""
    average, after = 3.0, []
    for n in range(1, steps + 1):
        share = min(decay, (1 + n) / (10 + n))
        average = share * average + (1 - share) * (3.0 + n)
        after.append(average)
    return after


@pytest.mark.parametrize('decay', [0.0, 0.3, 0.9999])
def test_average_is_that_of_a_loop(decay: float) -> None:
    line, notes = fit(decay)
    # What is trained does not depend on the average; two batches an epoch
    assert notes.weights == [3, 4, 5, 6, 7, 8]
    expected = averages(decay)
    np.testing.assert_allclose(line.validated[::2], expected[1::2], rtol=1e-6)
    assert line.weight.item() == pytest.approx(expected[-1])
    assert line.seen == STEPS


def test_a_step_of_several_batches_counts_once() -> None:
    line, _ = fit(0.9999, 3, accumulate_grad_batches=2)
    assert line.weight.item() == pytest.approx(averages(0.9999, 3)[-1])


def test_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, '{step}', save_top_k=-1, every_n_train_steps=1)
    fit(0.9999, callbacks=[keep])
    content = torch.load(tmp_path / 'step=4.ckpt', weights_only=False)
    expected = averages(0.9999)
    assert content['state_dict']['weight'].item() == pytest.approx(expected[3])
    line, notes = fit(0.9999, start=tmp_path / 'step=4.ckpt')
    assert line.weight.item() == pytest.approx(expected[-1])
    assert len(notes.weights) == 2


def test_wrong_decay() -> None:
    for decay in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f'`decay={decay}`'):
            WarmedEMA(decay)


def test_by_its_short_name_with_the_task(
    synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit that is resumed ends with the average of one that is not."""
    monkeypatch.chdir(tmp_path)
    conf = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'
    options = [
        '--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint',
        '--trainer.callbacks.dirpath=kept',
        '--trainer.callbacks.filename={step}',
        '--trainer.callbacks.every_n_train_steps=1',
        '--trainer.callbacks.save_top_k=-1',
        '--trainer.callbacks+=WarmedEMA',
        '--trainer.callbacks.decay=0.5',
        '--trainer.limit_train_batches=2',
        '--trainer.limit_val_batches=1',
        '--data.init_args.paths',
        str(synthetic_root),
        '--model.init_args.model_kwargs={"dims": [4], "depths": [1]}',
        '--model.init_args.phase1_epochs=null',
        '--model.init_args.training=cr',
        '--model.init_args.num_classes=null',
    ]
    main(['fit', '--config', str(conf), *options])

    def last() -> dict[str, Any]:
        path = Path('kept/step=4.ckpt')
        content: dict[str, Any] = torch.load(path, weights_only=False)
        path.unlink()
        return content

    whole = last()
    main(['fit', '--config', str(conf), *options, '--ckpt_path=kept/step=3.ckpt'])
    resumed = last()
    for kind in ('state_dict', 'current_model_state'):
        torch.testing.assert_close(resumed[kind], whole[kind])
    assert whole['averaging_state']['n_averaged'] == 5
    differ = [
        name
        for name, value in whole['state_dict'].items()
        if not torch.equal(value, whole['current_model_state'][name])
    ]
    assert differ
