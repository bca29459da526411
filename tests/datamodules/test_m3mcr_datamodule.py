# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""M3M-CR in batches, and CloudSeg trained on it."""

from pathlib import Path

import pytest
import torch
from chip_training import train
from m3mcr_files import OPTICAL, write_m3mcr

from torchgeo_tdpcr import M3MCRDataModule


@pytest.fixture(scope='module')
def m3mcr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('m3mcr')
    for area in range(6):
        write_m3mcr(root, 'train', 'fall', area, shift=300.0 * area)
    write_m3mcr(root, 'test', 'summer', 33)
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


def test_prediction_needs_no_truth(m3mcr: Path) -> None:
    module = M3MCRDataModule(m3mcr)
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
