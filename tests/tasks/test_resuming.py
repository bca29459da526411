# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""However often it is resumed, a fit ends as one that was not."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.callbacks import PredictionFigures

EPOCHS = 3


class NoFigures(PredictionFigures):
    """Keeps the task from adding figures, which take their time."""

    def on_validation_batch_end(self, *args: Any) -> None:
        pass


class Rates(Callback):
    """Notes the learning rate and the phase of each batch, and each validation."""

    def __init__(self) -> None:
        self.rates: list[tuple[int, int, float, int]] = []
        self.validated: list[int] = []

    def on_train_batch_start(
        self, trainer: Any, module: Any, batch: Any, index: int
    ) -> None:
        rate = trainer.optimizers[0].param_groups[0]['lr']
        entry = trainer.current_epoch, index, rate, module.phase.number
        self.rates.append(entry)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        if not trainer.sanity_checking:
            self.validated.append(trainer.global_step)


def every(**arguments: Any) -> Callable[[Path], ModelCheckpoint]:
    """Checkpoints in a folder, all kept."""

    def make(folder: Path) -> ModelCheckpoint:
        return ModelCheckpoint(folder, '{step}', save_top_k=-1, **arguments)

    return make


EVERY_STEP = every(every_n_train_steps=1)
EVERY_EPOCH = every(every_n_epochs=1)
AFTER_VALIDATION = every(every_n_epochs=1, save_on_train_epoch_end=False)


def fit(
    root: Path,
    folder: Path,
    saves: Callable[[Path], ModelCheckpoint] = EVERY_STEP,
    start: Path | None = None,
    task: dict[str, Any] | None = None,
    callbacks: tuple[Callback, ...] = (),
    **trainer: Any,
) -> tuple[Trainer, Rates]:
    """Fit, perhaps from a checkpoint."""
    seed_everything(0, verbose=False)
    rates = Rates()
    arguments = {'training': 'cr+peft', 'phase1_epochs': 1, 'lr': 0.01} | (task or {})
    made = Trainer(
        **{
            'accelerator': 'cpu', 'max_epochs': EPOCHS, 'enable_progress_bar': False,
            'enable_model_summary': False, 'log_every_n_steps': 1, 'logger': False,
            'num_sanity_val_steps': 0, 'limit_train_batches': 3, 'limit_val_batches': 1,
            'deterministic': True,
            'callbacks': [saves(folder), rates, NoFigures(), *callbacks],
        } | trainer
    )  # fmt: skip
    module = TDPCRTask(model_kwargs={'dims': (4,), 'depths': (1,)}, **arguments)
    data = OSFCRDataModule(
        paths=root, split_by='roi', batch_size=2, patch_size=16, num_workers=0
    )
    made.fit(module, datamodule=data, ckpt_path=start)
    return made, rates


def assert_same(resumed: Trainer, whole: Trainer) -> None:
    assert resumed.global_step == whole.global_step
    assert resumed.current_epoch == whole.current_epoch
    ours, theirs = (made.lightning_module.state_dict() for made in (resumed, whole))
    for name, value in theirs.items():
        assert torch.equal(value, ours[name]), name


@pytest.fixture(scope='module')
def wholes(
    tmp_path_factory: pytest.TempPathFactory, synthetic_root: Path
) -> Callable[..., tuple[Trainer, Rates, Path]]:
    """Uninterrupted fits, each made once."""
    made: dict[str, tuple[Trainer, Rates, Path]] = {}

    def whole(**arguments: Any) -> tuple[Trainer, Rates, Path]:
        key = repr({**arguments, 'saves': id(arguments.get('saves'))})
        if key not in made:
            folder = tmp_path_factory.mktemp('whole')
            made[key] = (*fit(synthetic_root, folder, **arguments), folder)
        return made[key]

    return whole


def own_cosine(epochs: int) -> Any:
    """A scheduler as users give it."""
    return partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=epochs)


PLATEAU = {'scheduler': 'plateau', 'patience': 0, 'training': 'joint'}
PLATEAU |= {'phase1_epochs': None}

#: Arguments of the fit, and the steps at which it is resumed, one after the other.
CHAINS = [
    # At the end of an epoch, of a phase, and between; then again from that run
    ({}, (3, 6, 9)),
    ({}, (2, 5)),
    ({'saves': EVERY_EPOCH}, (3, 6)),
    ({'saves': EVERY_EPOCH, 'check_val_every_n_epoch': 2}, (6,)),
    ({'saves': AFTER_VALIDATION}, (3, 6)),
    # Validation within the epoch
    ({'val_check_interval': 2, 'check_val_every_n_epoch': None}, (4, 5)),
    (
        {'val_check_interval': 1, 'task': {'training': 'cr', 'phase1_epochs': None}},
        (5,),
    ),
    # Steps of 2 batches, 1 at the end: 2 an epoch
    ({'accumulate_grad_batches': 2}, (3, 4)),
    ({'limit_train_batches': 1.0}, (12,)),
    ({'max_steps': 8, 'max_epochs': -1, 'task': {'scheduler': None}}, (3, 6)),
    ({'limit_val_batches': 0}, (3,)),
    # The learning rate depends on the validation
    ({'task': PLATEAU}, (3, 4)),
    ({'task': PLATEAU, 'saves': EVERY_EPOCH}, (3, 6)),
]


@pytest.mark.parametrize(('arguments', 'steps'), CHAINS)
def test_chain_of_resumes(
    wholes: Callable[..., tuple[Trainer, Rates, Path]],
    synthetic_root: Path,
    tmp_path: Path,
    arguments: dict[str, Any],
    steps: tuple[int, ...],
) -> None:
    whole, expected, folder = wholes(**arguments)
    for number, step in enumerate(steps):
        start = folder / f'step={step}.ckpt'
        folder = tmp_path / str(number)
        resumed, rates = fit(synthetic_root, folder, start=start, **arguments)
        assert_same(resumed, whole)
        assert rates.rates == expected.rates[len(expected.rates) - len(rates.rates) :]
        # And the one after that step, unless it was saved after that
        missing = [done for done in expected.validated if done > step]
        assert rates.validated in (missing, [step, *missing])


COSINE = {'training': 'cr', 'phase1_epochs': None, 'scheduler': 'cosine'}


@pytest.mark.parametrize(
    ('task', 'step'),
    [(COSINE, 9), (COSINE, 4), ({}, 8), (COSINE | {'scheduler': own_cosine(3)}, 6)],
)
def test_a_longer_cosine_is_refused(
    wholes: Callable[..., tuple[Trainer, Rates, Path]],
    synthetic_root: Path,
    tmp_path: Path,
    task: dict[str, Any],
    step: int,
) -> None:
    _, _, folder = wholes(task=task)
    start = folder / f'step={step}.ckpt'
    with pytest.raises(ValueError, match=r'climb again.*`weights`'):
        fit(synthetic_root, tmp_path, start=start, task=task, max_epochs=5)


def test_a_longer_fit_whose_rate_does_not_climb(
    wholes: Callable[..., tuple[Trainer, Rates, Path]],
    synthetic_root: Path,
    tmp_path: Path,
) -> None:
    # The schedule of Phase 2 is made when that begins
    _, rates = fit(
        synthetic_root, tmp_path, start=wholes()[2] / 'step=2.ckpt', max_epochs=4
    )
    _, expected = fit(synthetic_root, tmp_path, max_epochs=4)
    assert rates.rates == expected.rates[2:]
    # Waves, as it was begun with
    waves = COSINE | {'scheduler': own_cosine(2)}
    folder = wholes(task=waves)[2]
    start = folder / 'step=9.ckpt'
    _, rates = fit(synthetic_root, tmp_path, start=start, task=waves, max_epochs=4)
    assert [rate for _, _, rate, _ in rates.rates] == [pytest.approx(0.005)] * 3
    # A constant rate goes on, and one that only falls stays where it is
    for scheduler, rate in ((None, 0.01), ('multistep', 0.0003125)):
        task = COSINE | {'scheduler': scheduler}
        start = wholes(task=task)[2] / 'step=9.ckpt'
        longer = partial(
            fit, synthetic_root, tmp_path, start=start, task=task, max_epochs=4
        )
        if scheduler is None:
            _, rates = longer()
        else:
            steps = r'milestones=\[2, 2, 3, 3, 3\]`, not \[2, 3, 3, 4, 4\]'
            with pytest.warns(UserWarning, match=steps):
                _, rates = longer()
        assert [rate for _, _, rate, _ in rates.rates] == [rate] * 3


def test_cosine_over_steps(synthetic_root: Path, tmp_path: Path) -> None:
    # 8 steps are 3 epochs of 3 batches
    _, by_epochs = fit(synthetic_root, tmp_path, task=COSINE)
    _, by_steps = fit(synthetic_root, tmp_path, task=COSINE, max_epochs=-1, max_steps=8)
    assert by_steps.rates == by_epochs.rates[:8]
    with pytest.raises(ValueError, match='has no end'):
        fit(synthetic_root, tmp_path, task=COSINE, max_epochs=-1)
