# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Rows of `metrics.csv` are not lost."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger
from test_resuming import EVERY_EPOCH, EVERY_STEP, fit

from torchgeo_tdpcr import OSFCRDataModule

CR: dict[str, Any] = {'task': {'training': 'cr', 'phase1_epochs': None}}


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory, synthetic_root: Path) -> Path:
    folder = tmp_path_factory.mktemp('whole')
    fit(synthetic_root, folder, logger=logger(folder), **CR)
    return folder


def logger(folder: Path) -> CSVLogger:
    """With a fixed version, as in the quick start."""
    return CSVLogger(folder, name=None, version='log')


def read(folder: Path, name: str = 'metrics.csv') -> pd.DataFrame:
    return pd.read_csv(folder / 'log' / name)


# In the middle of an epoch; at its last batch, before its validation
@pytest.mark.parametrize('step', [4, 6])
def test_resume_goes_on(
    tmp_path: Path, synthetic_root: Path, whole: Path, step: int
) -> None:
    start = whole / f'step={step}.ckpt'
    (tmp_path / 'log').mkdir()
    older = tmp_path / 'log' / 'metrics.csv'
    older.write_bytes((whole / 'log' / 'metrics.csv').read_bytes())
    fit(synthetic_root, tmp_path, logger=logger(tmp_path), start=start, **CR)
    expected, found = read(whole), read(tmp_path)
    # `phase` is logged for epochs that begin
    left_out = {'phase', 'epoch'}
    columns = [name for name in expected if name not in left_out]
    pd.testing.assert_frame_equal(
        found[columns].dropna(thresh=2).sort_values(columns, ignore_index=True),
        expected[columns].dropna(thresh=2).sort_values(columns, ignore_index=True),
    )
    assert [path.name for path in older.parent.glob('*.csv')] == ['metrics.csv']


def test_rows_are_there_as_soon_as_a_checkpoint_is(
    tmp_path: Path, synthetic_root: Path
) -> None:
    rows: list[int] = []

    class Saves(type(EVERY_STEP(tmp_path))):  # type: ignore[misc]
        def _save_checkpoint(self, trainer: Any, path: str) -> None:
            super()._save_checkpoint(trainer, path)
            rows.append(int(read(tmp_path)['train_loss'].count()))

    def saves(folder: Path) -> Any:
        return Saves(folder, '{step}', save_top_k=-1, every_n_epochs=1)

    fit(synthetic_root, tmp_path, saves, logger=logger(tmp_path), **CR)
    assert rows == [3, 6, 9]


def test_another_run_puts_the_older_rows_aside(
    tmp_path: Path, synthetic_root: Path
) -> None:
    arguments = CR | {'max_epochs': 1, 'saves': EVERY_EPOCH}
    trainer, _ = fit(synthetic_root, tmp_path, logger=logger(tmp_path), **arguments)
    first = read(tmp_path)
    fit(synthetic_root, tmp_path, logger=logger(tmp_path), **arguments)
    pd.testing.assert_frame_equal(read(tmp_path, 'metrics-1.csv'), first)
    # A test with the configuration of the fit
    trainer, _ = fit(
        synthetic_root, tmp_path / 'b', logger=logger(tmp_path / 'b'), **arguments
    )
    again = logger(tmp_path / 'b')
    trainer._loggers = [again]
    data = OSFCRDataModule(
        paths=synthetic_root, split_by='roi', batch_size=2, patch_size=16
    )
    trainer.limit_test_batches = 1
    trainer.test(trainer.lightning_module, datamodule=data, verbose=False)
    assert 'test_psnr' in read(tmp_path / 'b')
    assert 'train_loss' not in read(tmp_path / 'b')
    pd.testing.assert_frame_equal(read(tmp_path / 'b', 'metrics-1.csv'), first)
