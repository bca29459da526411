# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""WHU-OPT-SAR in batches, and SegCR trained on it."""

from pathlib import Path

import pytest
import torch
from chip_training import train
from whu_files import write_scene

from torchgeo_tdpcr import WHUOPTSARDataModule
from torchgeo_tdpcr.datasets.chips.splits import held_out
from torchgeo_tdpcr.datasets.whu_opt_sar.scenes import TEST_SCENES, TRAIN_SCENES


@pytest.fixture(scope='module')
def whu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('whu')
    validate = held_out(TRAIN_SCENES, 0.1)
    train = [name for name in TRAIN_SCENES if name not in validate]
    for name in (*train[:4], *sorted(validate)[:2], TEST_SCENES[0]):
        write_scene(root, name, (32, 64))
    return root


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


def test_prediction_needs_no_truth(whu: Path) -> None:
    module = WHUOPTSARDataModule(whu, size=32)
    module.setup('predict')
    batch = next(iter(module.predict_dataloader()))
    assert {'image', 'image_sar', 'transform'} <= set(batch)
    assert 'mask' not in batch


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
