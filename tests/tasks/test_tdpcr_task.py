# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whole trainings through the `torchgeo` command."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback
from processes import as_torchrun, fork, fork_all
from torchgeo.main import main

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.models import register_model
from torchgeo_tdpcr.tasks import tdpcr

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'
SMALL = {'dims': (4, 8), 'depths': (1, 1)}


@pytest.fixture
def run(tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(stage: str, *arguments: str) -> None:
        main([stage, '--config', str(CONF), *paths(synthetic_root), *arguments])

    return run


def paths(root: Path) -> list[str]:
    return ['--data.init_args.paths', str(root)]


def checkpoints(folder: Path = Path()) -> list[Path]:
    return sorted(folder.rglob('*.ckpt'), key=lambda path: path.stat().st_mtime)


def state(path: Path) -> dict[str, torch.Tensor]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content['state_dict']


def last_metrics(version: str = 'run') -> pd.Series:
    return pd.read_csv(f'logs/{version}/metrics.csv').bfill().iloc[0]


def task_tensor(name: str) -> bool:
    """Whether Phase 2 may change a tensor."""
    part = name.removeprefix('model.').split('.')[0]
    return part in ('prompt_generator', 'fusions', 'segmentation_decoder')


ALL_EPOCHS = [
    '--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint',
    '--trainer.callbacks.save_top_k=-1',
    '--trainer.callbacks.filename={epoch}',
    '--trainer.callbacks.dirpath=checkpoints',
]


def test_both_phases_in_one_fit(run: Any) -> None:
    run('fit', '--trainer.max_epochs', '3', *ALL_EPOCHS)
    log = pd.read_csv('logs/run/metrics.csv')
    assert log['phase'].dropna().tolist() == [1, 2, 2]
    before, after = (
        state(Path('checkpoints/epoch=0.ckpt')),
        state(Path('checkpoints/epoch=2.ckpt')),
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(task_tensor(name) for name in changed)
    # Every part that Phase 2 trains does change.
    parts = {name.removeprefix('model.').split('.')[0] for name in changed}
    assert parts == {'prompt_generator', 'fusions', 'segmentation_decoder'}
    # Phase 1 does not train the head, so its loss has no land cover in it.
    assert log['train_loss_seg'].dropna().iloc[0] == 0
    assert log['train_loss_seg'].dropna().iloc[-1] > 0
    assert list(Path('logs/run/figures').glob('*.png'))

    run('test', '--ckpt_path', 'checkpoints/epoch=2.ckpt',
        '--trainer.logger.init_args.version', 'test')  # fmt: skip
    metrics = last_metrics('test')
    for name in (
        'psnr', 'ssim', 'mae', 'sam', 'psnr_cloudy', 'psnr_clear', 'input_psnr',
        'input_psnr_cloudy', 'pa', 'miou', 'miou_cloudy', 'miou_clear', 'boundary_f1',
    ):  # fmt: skip
        assert pd.notna(metrics[f'test_{name}']), name


def test_two_fits(run: Any) -> None:
    run('fit', '--model.init_args.training', 'cr',
        '--model.init_args.phase1_epochs', 'null', '--model.init_args.num_classes',
        'null', '--trainer.max_epochs', '1')  # fmt: skip
    (phase1,) = checkpoints()
    run('fit', '--model.init_args.training', 'peft',
        '--model.init_args.phase1_epochs', 'null', '--trainer.max_epochs', '1',
        '--model.init_args.weights', str(phase1),
        '--trainer.logger.init_args.version', 'phase2')  # fmt: skip
    before, after = state(phase1), state(checkpoints()[-1])
    kept = [name for name in before if not task_tensor(name)]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    trained = [name for name in before if task_tensor(name)]
    assert any(not torch.equal(before[name], after[name]) for name in trained)


def test_joint_training_with_mixed_precision_and_accumulation(run: Any) -> None:
    run('fit', '--model.init_args.training', 'joint',
        '--model.init_args.phase1_epochs', 'null', '--trainer.max_epochs', '1',
        '--trainer.accumulate_grad_batches', '2', '--trainer.precision', 'bf16-mixed',
        '--trainer.gradient_clip_val', '0.5')  # fmt: skip
    assert last_metrics()['val_miou'] >= 0
    assert last_metrics()['train_loss_seg'] > 0


def test_full_fine_tuning_changes_every_part(run: Any) -> None:
    run('fit', '--model.init_args.training', 'cr+fpft', *ALL_EPOCHS)
    before, after = (state(Path(f'checkpoints/epoch={i}.ckpt')) for i in range(2))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {name.removeprefix('model.').split('.')[0] for name in changed}
    assert parts == {name.removeprefix('model.').split('.')[0] for name in before}


@pytest.mark.parametrize('scheduler', ['multistep', 'plateau', 'null'])
def test_schedulers(run: Any, scheduler: str) -> None:
    run('fit', '--model.init_args.scheduler', scheduler)
    assert pd.read_csv('logs/run/metrics.csv')['phase'].dropna().tolist() == [1, 2]


def test_scheduler_of_the_users_choice(run: Any) -> None:
    run('fit', '--model.init_args.scheduler', 'torch.optim.lr_scheduler.StepLR',
        '--model.init_args.scheduler.step_size', '1',
        '--trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor')  # fmt: skip
    log = pd.read_csv('logs/run/metrics.csv')
    assert log['lr-AdamW'].dropna().iloc[0] == pytest.approx(0.01)


def test_averaged_weights(run: Any) -> None:
    run('fit', '--trainer.callbacks+=lightning.pytorch.callbacks.EMAWeightAveraging')
    assert checkpoints()


def test_predict_needs_no_truth(synthetic_root: Path) -> None:
    module = OSFCRDataModule(paths=synthetic_root, batch_size=4, patch_size=32)
    module.setup('predict')
    batch = module.aug(next(iter(module.predict_dataloader())))
    assert 'image_clear' not in batch
    task = TDPCRTask(model_kwargs=SMALL, phase1_epochs=1)
    task.phase = task.schedule.phases[1]
    task.model.segments = True
    out = task.predict_step(batch, 0)
    assert out['reconstruction'].shape == (1, 13, 64, 64)
    assert 0 <= out['reconstruction'].min() <= out['reconstruction'].max() <= 1
    torch.testing.assert_close(out['probabilities'].sum(1), torch.ones(1, 64, 64))
    assert out['epsg'].shape == (1,)
    assert out['transform'].dtype == torch.float64


def test_colours_are_matched_where_that_is_wanted(
    synthetic_root: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = OSFCRDataModule(paths=synthetic_root, batch_size=8, patch_size=32)
    module.setup('test')
    batch = module.aug(next(iter(module.test_dataloader())))
    plain = TDPCRTask(model_kwargs=SMALL, training='cr')
    matching = TDPCRTask(model_kwargs=SMALL, training='cr', match_clear=True)
    matching.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        before, after = (
            task.eval().predict_step(batch, 0)['reconstruction']
            for task in (plain, matching)
        )
    cloudy = batch['mask_cloud'].flatten(1).float().mean(1)
    changed = (before != after).flatten(1).any(1)
    some = (cloudy > 0.05) & (cloudy < 0.6)
    assert some.any()
    assert changed[some].all()
    assert not changed[cloudy == 0].any()
    assert (after >= 0).all()
    assert (after <= 1).all()
    del batch['mask_cloud']
    with pytest.raises(KeyError, match='`mask_cloud`'):
        matching.predict_step(batch, 0)

    # A fit validates without, for it would take twice the time; a test does not
    passes: list[int] = []
    monkeypatch.setattr(tdpcr, 'match_clear', lambda *args: passes.append(1) or args[4])
    run('fit', '--model.init_args.match_clear', 'true')
    assert not passes
    (checkpoint,) = checkpoints()
    run('test', '--ckpt_path', str(checkpoint), '--model.init_args.match_clear', 'true')
    assert passes


class KillItself(Callback):
    """Kill the process, as the kernel or a scheduler would, after a batch."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


EVERY_STEP = [
    '--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint',
    '--trainer.callbacks.save_top_k=-1',
    '--trainer.callbacks.filename={step}',
    '--trainer.callbacks.dirpath=checkpoints',
    '--trainer.callbacks.every_n_train_steps=1',
]


# Two epochs of each phase, 3 steps each.
LONGER = ['--trainer.max_epochs=4', '--model.init_args.phase1_epochs=2', *EVERY_STEP]


# After Phase 1's last step; `test_resuming.py` has all other places
@pytest.mark.parametrize('step', [6])
def test_killed_run_ends_with_the_same_weights(
    run: Any, synthetic_root: Path, step: int, reference: Path
) -> None:
    killed = fork(
        main, ['fit', '--config', str(CONF), *paths(synthetic_root), *LONGER,
        '--trainer.callbacks+=test_tdpcr_task.KillItself',
        f'--trainer.callbacks.step={step + 1}'],
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    newest = Path(f'checkpoints/step={step}.ckpt')
    assert newest.exists()
    run('fit', *LONGER, '--ckpt_path', str(newest))
    resumed, uninterrupted = (
        state(folder / 'step=12.ckpt') for folder in (Path('checkpoints'), reference)
    )
    for name, value in uninterrupted.items():
        assert torch.equal(value, resumed[name]), name


@pytest.fixture(scope='module')
def reference(tmp_path_factory: pytest.TempPathFactory, synthetic_root: Path) -> Path:
    """Checkpoints of an uninterrupted run."""
    folder = tmp_path_factory.mktemp('reference')
    torch.set_num_threads(1)
    here = Path.cwd()
    os.chdir(folder)
    try:
        main(['fit', '--config', str(CONF), *paths(synthetic_root), *LONGER])
    finally:
        os.chdir(here)
    return folder / 'checkpoints'


def test_two_processes(run: Any, synthetic_root: Path) -> None:
    arguments = [
        'fit', '--config', str(CONF), *paths(synthetic_root),
        '--trainer.devices=2', '--trainer.strategy=ddp', '--data.init_args.batch_size=2',
    ]  # fmt: skip
    for done in fork_all([(main, arguments)] * 2, list(as_torchrun(2))):
        assert done.returncode == 0, done.stderr
    log = pd.read_csv('logs/run/metrics.csv')
    assert log['phase'].dropna().tolist() == [1, 2]
    assert log['val_psnr'].notna().any()


def test_compiles() -> None:
    kwargs: dict[str, Any] = {
        'model_kwargs': {'dims': (4,), 'depths': (1,)},
        'training': 'joint',
        'num_classes': 3,
    }
    torch.manual_seed(0)
    task = TDPCRTask(**kwargs)
    image, sar = torch.rand(1, 13, 16, 16), torch.rand(1, 2, 16, 16)
    expected = task(image, sar)
    torch.manual_seed(0)
    compiled = TDPCRTask(**kwargs, compile=True)
    assert list(compiled.state_dict()) == list(task.state_dict())
    for key, value in compiled(image, sar).items():
        torch.testing.assert_close(value, expected[key], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'training': 'sideways'}, 'training'),
        ({'training': 'cr+peft', 'phase1_epochs': 0}, 'phase1_epochs'),
        ({'training': 'cr', 'phase1_epochs': 3}, 'phase1_epochs'),
        ({'training': 'joint', 'num_classes': None}, 'num_classes'),
        ({'training': 'cr', 'model': 'unknown'}, 'not registered'),
        ({'training': 'cr', 'class_weights': [-1.0]}, 'class_weights'),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TDPCRTask(**arguments)


def test_unknown_scheduler() -> None:
    task = TDPCRTask(model_kwargs=SMALL, training='cr', scheduler='steep')  # type: ignore[arg-type]
    task.trainer = type('Trainer', (), {'max_epochs': 3, 'max_steps': -1})()  # type: ignore[assignment]
    with pytest.raises(ValueError, match='scheduler'):
        task.configure_optimizers()


def test_phase_2_needs_weights(run: Any) -> None:
    with pytest.raises(ValueError, match='weights'):
        run('fit', '--model.init_args.training', 'peft',
            '--model.init_args.phase1_epochs', 'null')  # fmt: skip


def test_no_room_for_phase_2(run: Any) -> None:
    with pytest.raises(ValueError, match='leaves no epoch'):
        run('fit', '--trainer.max_epochs', '1')


@pytest.mark.parametrize('content', ['missing', 'text', 'other', 'bands'])
def test_wrong_weights(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'weights.ckpt'
    if content == 'text':
        path.write_text('not a checkpoint')
    elif content == 'other':
        torch.save({'state_dict': {'model.conv.weight': torch.ones(1)}}, path)
    elif content == 'bands':
        other = TDPCRTask(model_kwargs=SMALL, in_channels=4, training='cr')
        torch.save({'state_dict': other.state_dict()}, path)
    error = FileNotFoundError if content == 'missing' else ValueError
    with pytest.raises(error, match=r'weights\.ckpt'):
        TDPCRTask(model_kwargs=SMALL, training='fpft', weights=path)


@pytest.mark.parametrize('training', ['cr', 'joint'])
def test_weights_with_another_segmentation_decoder(
    tmp_path: Path, training: Literal['cr', 'joint']
) -> None:
    """Phase 2 may begin with another one, as Phase 1 has trained none."""
    path = tmp_path / 'weights.ckpt'
    first = TDPCRTask(model_kwargs=SMALL, training=training)
    content = {
        'state_dict': first.state_dict(),
        'hyper_parameters': dict(first.hparams),
    }
    torch.save(content, path)
    second = partial(TDPCRTask, model_kwargs={**SMALL, 'head': 'context'}, weights=path)
    if training == 'joint':
        with pytest.raises(ValueError, match='another model'):
            second(training='peft')
        return
    same = second(training='peft').model.state_dict()
    for name, value in first.model.state_dict().items():
        if not name.startswith('segmentation_decoder.'):
            assert torch.equal(same[name], value), name


def test_weights_of_an_earlier_version_of_the_model(tmp_path: Path) -> None:
    """They would fit, but restore something else."""
    old = TDPCRTask(model='tdpcr_small', training='cr').state_dict()
    path = tmp_path / 'old.ckpt'
    for version, whole in ((2, True), (1, True), (1, False)):
        old._metadata['model']['version'] = version
        state = old
        if not whole:
            task = TDPCRTask(model='tdpcr_small', training='cr')
            state = task.model.state_dict()
            state._metadata['']['version'] = version
        torch.save({'state_dict': state} if whole else state, path)
        start = partial(TDPCRTask, model='tdpcr_small', training='cr', weights=path)
        if version == 2:
            start()
        else:
            with pytest.raises(ValueError, match=r'(?s)old\.ckpt.*train anew'):
                start()


@pytest.mark.parametrize('key', ['image', 'image_sar', 'image_clear', 'mask'])
def test_batch_without_a_key(key: str) -> None:
    task = TDPCRTask(model_kwargs=SMALL, training='joint')
    batch = {
        'image': torch.rand(1, 13, 16, 16),
        'image_sar': torch.rand(1, 2, 16, 16),
        'image_clear': torch.rand(1, 13, 16, 16),
        'mask': torch.zeros(1, 16, 16, dtype=torch.long),
    }
    del batch[key]
    with pytest.raises(KeyError, match=f'no `{key}`'):
        task.training_step(batch, 0)


def test_model_without_task_modules_cannot_be_tuned_efficiently(tmp_path: Path) -> None:
    @register_model('plain_model_of_this_test')
    class Plain(torch.nn.Module):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(1, 1, 1)

    path = tmp_path / 'plain.ckpt'
    torch.save(Plain().state_dict(), path)
    with pytest.raises(ValueError, match='task_modules'):
        TDPCRTask(model='plain_model_of_this_test', training='peft', weights=path)
