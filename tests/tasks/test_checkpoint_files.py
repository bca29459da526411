# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A full disk leaves no half of a checkpoint."""

import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.io import AsyncCheckpointIO, TorchCheckpointIO

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.tasks.checkpoint_files import (
    WholeCheckpointIO,
    check_whole,
    write_whole,
)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file become larger than a number of bytes."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize('size', [0, 50_000])
def test_full_disk(tmp_path: Path, size: int) -> None:
    path = tmp_path / 'last.ckpt'
    io = WholeCheckpointIO()
    io.save_checkpoint({'weights': torch.zeros(10)}, path)
    message = f"The checkpoint '{path}' could not be written: File too large."
    with pytest.raises(OSError, match=re.escape(message)), full_disk(size):
        io.save_checkpoint({'weights': torch.ones(100_000)}, path)
    # The older is as it was, and there is nothing else
    assert [file.name for file in tmp_path.iterdir()] == ['last.ckpt']
    assert torch.equal(torch.load(path)['weights'], torch.zeros(10))


def test_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / 'sub' / 'last.ckpt'
    io = WholeCheckpointIO()
    content = {'weights': torch.arange(10_000)}
    io.save_checkpoint(content, path)
    check_whole(path)
    assert torch.equal(io.load_checkpoint(path)['weights'], content['weights'])
    # As any file that the user makes, not as a temporary one
    (tmp_path / 'other').touch()
    assert path.stat().st_mode == (tmp_path / 'other').stat().st_mode
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"last\.ckpt' is a part of a checkpoint"):
            io.load_checkpoint(path)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match=r"last\.ckpt' is empty"):
        io.load_checkpoint(path)


@pytest.mark.parametrize('reader', ['weights', 'fit', 'load'])
def test_every_reader_names_a_truncated_checkpoint(tmp_path: Path, reader: str) -> None:
    path = tmp_path / 'phase1.ckpt'
    torch.save({'state_dict': {'weights': torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:3000])
    kwargs: Any = {'model_kwargs': {'dims': (4,), 'depths': (1,)}, 'training': 'cr'}
    trainer = Trainer(accelerator='cpu', logger=False)
    write_whole(trainer)
    read: Any = {
        'weights': lambda: TDPCRTask(**kwargs, weights=path),
        'load': lambda: TDPCRTask.load_from_checkpoint(path),
        'fit': lambda: trainer.strategy.load_checkpoint(path),
    }[reader]
    with pytest.raises(ValueError, match=r"phase1\.ckpt' is a part of a checkpoint"):
        read()


def test_plugins_of_the_user_stay() -> None:
    class Mine(TorchCheckpointIO):
        pass

    settings: Any = {'accelerator': 'cpu', 'logger': False}
    for plugin in (Mine(), AsyncCheckpointIO()):
        trainer = Trainer(plugins=[plugin], **settings)
        write_whole(trainer)
        assert trainer.strategy._checkpoint_io is plugin
    trainer = Trainer(**settings)
    write_whole(trainer)
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpointIO)
