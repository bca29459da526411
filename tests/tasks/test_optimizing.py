# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Learning rates of the parts of a model in each phase."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask

SMALL = {'dims': (4, 8), 'depths': (1, 1)}


class Rates(Callback):
    """Keeps the learning rate of each parameter in every epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        names = {id(p): name for name, p in pl_module.model.named_parameters()}
        (optimizer,) = trainer.optimizers
        self.epochs.append(
            {
                names[id(p)]: group['lr']
                for group in optimizer.param_groups
                for p in group['params']
            }
        )


def rates(root: Path, tmp_path: Path, **arguments: Any) -> list[dict[str, float]]:
    seen = Rates()
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator='cpu',
        max_epochs=2,
        limit_train_batches=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[seen],
    )
    task = TDPCRTask(model_kwargs=SMALL, scheduler=None, **arguments)
    data = OSFCRDataModule(root, split_by='roi', batch_size=2, patch_size=32)
    trainer.fit(task, data)
    return seen.epochs


def test_the_head_learns_faster_in_phase_2(
    synthetic_root: Path, tmp_path: Path
) -> None:
    first, second = rates(
        synthetic_root,
        tmp_path,
        training='cr+peft',
        phase1_epochs=1,
        lr=0.001,
        lr_phase2=0.002,
        head_lr_factor=5,
    )
    assert set(first.values()) == {0.001}
    assert not any(name.startswith('segmentation_decoder') for name in first)
    head = {n: r for n, r in second.items() if n.startswith('segmentation_decoder')}
    assert head
    assert set(head.values()) == {0.01}
    others = {n: r for n, r in second.items() if n not in head}
    assert set(others.values()) == {0.002}
    assert {n.split('.')[0] for n in others} == {'prompt_generator', 'fusions'}


def test_all_parts_have_one_rate_otherwise(
    synthetic_root: Path, tmp_path: Path
) -> None:
    epochs = rates(synthetic_root, tmp_path, training='joint', lr=0.003)
    assert {rate for epoch in epochs for rate in epoch.values()} == {0.003}
    names = [n for n, _ in TDPCRTask(model_kwargs=SMALL).model.named_parameters()]
    # In the order of the model: optimizers of earlier checkpoints fit
    assert list(epochs[0]) == names


@pytest.mark.parametrize('factor', [0, -1, float('nan')])
def test_factors_that_train_nothing_are_refused(factor: float) -> None:
    with pytest.raises(ValueError, match='`head_lr_factor='):
        TDPCRTask(model_kwargs=SMALL, head_lr_factor=factor)
