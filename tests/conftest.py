# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A tiny synthetic data set, made once; makes the helpers in this folder importable."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torchgeo_server import served

from experiments.tables import __main__ as tables
from torchgeo_tdpcr import SyntheticOSFCR
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair


@pytest.fixture(autouse=True)
def _threads() -> None:
    # Tiny tensors gain nothing from threads, which then wait for each other.
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def synthetic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('synthetic')
    SyntheticOSFCR(
        root, num_rois=5, chips_per_roi=5, chip_size=64, workers=0, progress=False
    ).generate()
    return root


@pytest.fixture(scope='session')
def torchgeo_command() -> Iterator[Path]:
    """A `torchgeo` command that need not start anew."""
    # A folder of pytest's would have too long a path for a socket
    with TemporaryDirectory() as folder, served(Path(folder)) as command:
        yield command


@pytest.fixture
def quick_torchgeo(torchgeo_command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables call that command."""
    monkeypatch.setattr(tables, 'TORCHGEO', str(torchgeo_command))


@pytest.fixture(scope='session')
def samples() -> Path:
    """Folder of the real samples, where there is one."""
    folder = os.environ.get('TDPCR_SAMPLES')
    if not folder or not Path(folder).is_dir():
        pytest.skip('needs the real samples: set TDPCR_SAMPLES to their folder')
    return Path(folder)


@pytest.fixture(scope='session')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """A scene with a missing corner, larger than a window and no multiple of one."""
    root = tmp_path_factory.mktemp('scene')
    return write_scene_pair(
        root, size=(150, 204), seed=3, nodata_corner=True, sar_margin=24
    )


@pytest.fixture(scope='session')
def other(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """Another scene at the same place, as one file a band, radar in another zone."""
    root = tmp_path_factory.mktemp('other')
    return write_scene_pair(
        root, 'other', size=96, seed=4, kind='bands', sar_epsg=32633, sar_scale='linear'
    )
