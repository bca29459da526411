# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What makes a killed fit end with the weights of an uninterrupted one.

Everything random in training is a function of seed, epoch and batch, and a resumed
epoch begins at the batch where it broke off.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Trainer


def global_seed() -> int:
    """The seed of ``seed_everything``, or 0."""
    return int(os.environ.get('PL_GLOBAL_SEED', 0))


@contextmanager
def batch_seed(trainer: Trainer) -> Iterator[None]:
    """Seed the CPU's random numbers for the current batch, and restore them after.

    Args:
        trainer: The trainer, in training.

    Yields:
        Nothing.
    """
    seed = 0
    for part in (
        global_seed(),
        trainer.current_epoch,
        trainer.fit_loop.epoch_loop.batch_idx,
        trainer.global_rank,
    ):
        seed = (seed * 1_000_003 + part + 1) % 2**63
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def resume_position(trainer: Trainer | None) -> tuple[int, int]:
    """Where training goes on.

    Args:
        trainer: The trainer that is about to read its training data, or None.

    Returns:
        Epoch, and number of its batches that are done already.
    """
    if trainer is None:
        return 0, 0
    if not trainer.ckpt_path:
        return trainer.current_epoch, 0
    loop = trainer.fit_loop
    batches = loop.epoch_loop.batch_progress
    epochs: Any = loop.epoch_progress.current
    # Not `ready`, which counts a batch that an exception broke off
    done: int = batches.current.processed  # type: ignore[attr-defined]
    if batches.is_last_batch or not done:
        # A checkpoint of the epoch's end: the next epoch begins, although the progress
        # that was saved before the epoch's bookkeeping may not say so yet.
        return max(epochs.processed, epochs.ready if done else 0), 0
    return epochs.processed, done
