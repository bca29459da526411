# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

import numpy as np
import pytest
import torch
from torchgeo.datasets import stack_samples

from torchgeo_tdpcr import OSFCRDataModule, SEN12MSCRDataModule


def test_normalises_and_denormalises(synthetic_root: Path) -> None:
    module = OSFCRDataModule(paths=synthetic_root, split_by='roi', batch_size=4)
    module.setup('validate')
    loader = module.val_dataloader()
    raw = next(iter(loader))
    batch = module.aug(raw)
    for key in ('image', 'image_clear', 'image_sar'):
        assert 0 <= batch[key].min() <= batch[key].max() <= 1
    back = module.denormalize(batch)
    inside = (raw['image_clear'] >= 0) & (raw['image_clear'] <= 10_000)
    assert torch.equal(back['image_clear'].round()[inside], raw['image_clear'][inside])
    assert module.plot({k: v[0] for k, v in back.items()}) is not None


def test_synthetic_data_are_made_first(tmp_path: Path) -> None:
    arguments = {
        'num_rois': 5, 'chips_per_roi': 2, 'chip_size': 32, 'workers': 0,
        'progress': False,
    }  # fmt: skip
    module = OSFCRDataModule(
        paths=tmp_path, synthetic=True, synthetic_args=arguments, split_by='roi',
        batch_size=2, patch_size=16,
    )  # fmt: skip
    module.prepare_data()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.tif')}
    assert len(before) == 10 * 6
    module.prepare_data()
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.tif')}


def test_bands_reach_the_model(synthetic_root: Path) -> None:
    bands = ['B4', 'B3', 'B2', 'B8']
    module = OSFCRDataModule(paths=synthetic_root, split_by='roi', bands=bands)
    module.setup('test')
    assert module.test_dataset is not None
    batch = stack_samples([module.test_dataset[0]])
    assert module.aug(batch)['image'].shape == (1, 4, 64, 64)


def test_splits_do_not_overlap(synthetic_root: Path) -> None:
    module = OSFCRDataModule(paths=synthetic_root, split_by='component')
    module.setup('fit')
    module.setup('test')
    paths = [
        set(dataset.index['filepath'])  # type: ignore[union-attr]
        for dataset in (module.train_dataset, module.val_dataset, module.test_dataset)
    ]
    assert sum(map(len, paths)) == len(set.union(*paths)) == 25
    assert all(paths)


def test_worker_processes_read_the_same(synthetic_root: Path) -> None:
    batches = []
    for workers in (0, 2):
        module = OSFCRDataModule(
            paths=synthetic_root, split_by='roi', batch_size=4, num_workers=workers
        )
        module.setup('fit')
        batches.append(next(iter(module.train_dataloader())))
    for key, value in batches[0].items():
        np.testing.assert_array_equal(value, batches[1][key])


def test_errors(synthetic_root: Path, tmp_path: Path) -> None:
    module = OSFCRDataModule(paths=synthetic_root, split_by='roi', batch_size=1000)
    module.setup('fit')
    with pytest.raises(ValueError, match='batch_size=1000'):
        module.train_dataloader()
    with pytest.raises(ValueError, match='synthetic'):
        OSFCRDataModule(paths=[tmp_path, tmp_path], synthetic=True)
    with pytest.raises(ValueError, match='clip='):
        OSFCRDataModule(sar_clip='neither')  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        SEN12MSCRDataModule(paths=tmp_path).setup('fit')
