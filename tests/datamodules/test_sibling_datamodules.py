# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""M3M-CR and WHU-OPT-SAR in batches, and the models of their papers trained on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sibling_files import OPTICAL, write_m3mcr, write_scene
from torchgeo.main import main

from torchgeo_tdpcr import M3MCRDataModule, WHUOPTSARDataModule
from torchgeo_tdpcr.datasets.chips.splits import held_out
from torchgeo_tdpcr.datasets.whu_opt_sar.scenes import TEST_SCENES, TRAIN_SCENES


@pytest.fixture(scope='module')
def m3mcr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('m3mcr')
    for area in range(6):
        write_m3mcr(root, 'train', 'fall', area, shift=300.0 * area)
    write_m3mcr(root, 'test', 'summer', 33)
    return root


@pytest.fixture(scope='module')
def whu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('whu')
    validate = held_out(TRAIN_SCENES, 0.1)
    train = [name for name in TRAIN_SCENES if name not in validate]
    for name in (*train[:4], *sorted(validate)[:2], TEST_SCENES[0]):
        write_scene(root, name, (32, 64))
    return root


def test_m3mcr_scaling(m3mcr: Path) -> None:
    module = M3MCRDataModule(m3mcr, batch_size=4)
    module.setup('test')
    raw = next(iter(module.test_dataloader()))
    batch = module.aug(raw)
    for key in ('image', 'image_clear'):
        assert torch.equal(batch[key], (raw[key] / 10_000).clamp(0, 1))
    # VV from −25 and VH from −32.5 dB to 0
    low = torch.tensor([-25, -32.5]).reshape(2, 1, 1)
    expected = ((raw['image_sar'] - low) / -low).clamp(0, 1)
    torch.testing.assert_close(batch['image_sar'], expected)
    half = torch.full((4, 2, 2), 0.5)
    back = module.denormalize({'image': batch['image'][0], 'reconstruction': half})
    torch.testing.assert_close(back['image'], raw['image'][0])
    assert torch.equal(back['reconstruction'], half * 10_000)
    with pytest.raises(ValueError, match='clip='):
        M3MCRDataModule(m3mcr, sar_clip='neither')  # type: ignore[arg-type]


def test_whu_scaling(whu: Path) -> None:
    module = WHUOPTSARDataModule(whu, size=32, batch_size=4)
    module.setup('test')
    raw = next(iter(module.test_dataloader()))
    batch = module.aug(raw)
    for key in ('image', 'image_clear', 'image_sar'):
        torch.testing.assert_close(batch[key], raw[key] / 255)
    deep = WHUOPTSARDataModule(whu, size=32, optical_max=1023, sar_max=100)
    batch = deep.aug(raw)
    torch.testing.assert_close(batch['image_clear'], raw['image_clear'] / 1023)
    torch.testing.assert_close(
        batch['image_sar'], (raw['image_sar'] / 100).clamp(max=1)
    )
    back = module.denormalize({'reconstruction': torch.full((4, 2, 2), 0.2)})
    torch.testing.assert_close(back['reconstruction'], torch.full((4, 2, 2), 51.0))


def test_whu_clouds_are_fresh_in_training_only(whu: Path) -> None:
    options = {'size': 32, 'cover': (0.3, 0.9)}
    for fresh in (False, True):
        module = WHUOPTSARDataModule(whu, fresh_clouds=fresh, **options)  # type: ignore[arg-type]
        module.setup('fit')
        for part, same in (
            (module.train_dataset, not fresh),
            (module.val_dataset, True),
        ):
            assert part is not None
            first, second = part[0]['mask_cloud'], part[0]['mask_cloud']
            assert torch.equal(first, second) == same


def test_prediction_needs_no_truth(m3mcr: Path, whu: Path) -> None:
    for module in (M3MCRDataModule(m3mcr), WHUOPTSARDataModule(whu, size=32)):
        module.setup('predict')
        batch = next(iter(module.predict_dataloader()))
        assert {'image', 'image_sar', 'transform'} <= set(batch)
        assert 'mask' not in batch


def test_training_with_all(m3mcr: Path) -> None:
    module = M3MCRDataModule(m3mcr, val_share=0)
    module.setup('fit')
    assert len(module.train_dataset) == 6  # type: ignore[arg-type]
    assert module.val_dataset is None
    held = M3MCRDataModule(m3mcr)
    held.setup('fit')
    assert (len(held.train_dataset), len(held.val_dataset)) == (5, 1)  # type: ignore[arg-type]


def test_index_is_written_first(m3mcr: Path) -> None:
    index = m3mcr / '.torchgeo_tdpcr_index.csv'
    index.unlink(missing_ok=True)
    M3MCRDataModule(m3mcr, cache=False).prepare_data()
    assert not index.exists()
    M3MCRDataModule(m3mcr).prepare_data()
    assert index.exists()


TRAINER = [
    '--trainer.accelerator=cpu',
    '--trainer.max_epochs=1',
    '--trainer.limit_train_batches=1',
    '--trainer.limit_val_batches=1',
    '--trainer.num_sanity_val_steps=0',
    '--trainer.enable_progress_bar=false',
    '--trainer.enable_model_summary=false',
    '--trainer.log_every_n_steps=1',
    '--trainer.logger=lightning.pytorch.loggers.CSVLogger',
    '--trainer.logger.save_dir=logs',
    '--trainer.logger.version=run',
    '--model=TDPCRTask',
    '--model.recipe=own',
    '--model.training=joint',
    '--model.in_channels=4',
    '--model.model_kwargs={"encoder": "mit_b0"}',
]


def train(*arguments: str) -> None:
    main(['fit', *TRAINER, *arguments])
    metrics = pd.read_csv('logs/lightning_logs/run/metrics.csv')
    for name in ('train_loss', 'train_loss_seg', 'train_loss_rec', 'val_loss'):
        losses = metrics[name].dropna()
        assert len(losses)
        assert np.isfinite(losses).all()
    # Metrics over cloudy pixels need the masks
    assert {'val_psnr_cloudy', 'val_miou_cloudy'} <= set(metrics)
    assert len(list(Path('logs').rglob('*.png')))


@pytest.mark.parametrize('resolution', ['optical', 'sar'])
def test_cloudseg_trains_on_m3mcr(
    m3mcr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: str
) -> None:
    monkeypatch.chdir(tmp_path)
    crop = {'optical': OPTICAL - 12, 'sar': 18}[resolution]
    train(
        '--model.model=cloudseg',
        '--model.num_classes=6',
        '--data=M3MCRDataModule',
        f'--data.paths={m3mcr}',
        f'--data.resolution={resolution}',
        f'--data.patch_size={crop}',
        '--data.batch_size=4',
    )


def test_segcr_trains_on_whu_opt_sar(
    whu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(
        '--model.model=segcr',
        '--model.sar_channels=1',
        '--model.num_classes=7',
        '--data=WHUOPTSARDataModule',
        f'--data.paths={whu}',
        '--data.size=32',
        '--data.cover=[0.2, 0.8]',
        '--data.fresh_clouds=true',
        '--data.batch_size=4',
    )
