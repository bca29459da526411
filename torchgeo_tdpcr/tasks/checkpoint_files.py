# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Checkpoints are written whole or not at all, and what is no checkpoint is named."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning writes it to the folder for temporary files, which is often on another
    disk, and copies it: a full disk then leaves half of it under its name.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: Its content.
            path: The file.
            storage_options: None; Lightning's signature.

        Raises:
            OSError: If it cannot be written, for instance since the disk is full. An
                older file of that name is left as it is.
        """
        if storage_options is not None or '://' in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        file = Path(path)
        # Not with the ending of checkpoints: nothing is to take it for one
        part = file.with_name(f'.{os.getpid()}.part')
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open('wb') as stream:
                torch.save(checkpoint, stream)
            os.replace(part, file)
        except (OSError, RuntimeError) as error:
            # RuntimeError: what torch makes of an OSError
            cause = error.__context__ if isinstance(error, RuntimeError) else error
            why = getattr(cause, 'strerror', None) or error
            raise OSError(
                f"The checkpoint '{file}' could not be written: {why}. Make room, and "
                'resume from the one before it.'
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Args:
            path: The file.
            map_location: Where tensors go.
            weights_only: Whether to read nothing but tensors and plain values.

        Returns:
            Its content.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no checkpoint, or part of one.
        """
        check_whole(path)
        return super().load_checkpoint(path, map_location, weights_only)


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise for a file that is no checkpoint, or part of one.

    It reads the last kilobytes, where a zip file, which a checkpoint is, has its table
    of contents.

    Args:
        path: The file; one that is not there, or not on this machine, passes.

    Raises:
        ValueError: If it is no checkpoint, or part of one.
    """
    file = Path(path)
    if not file.is_file():
        return
    with file.open('rb') as stream:
        start = stream.read(4)
        # The end of a zip file: a mark, and 18 bytes, for torch writes no comment
        stream.seek(max(0, file.stat().st_size - 22))
        whole = stream.read(4) == b'PK\x05\x06'
    if start == b'PK\x03\x04' and not whole:
        raise ValueError(
            f"'{file}' is a part of a checkpoint: its end is missing, for instance since "
            'a disk was full or a copy was broken off. Use another, such as the one '
            'before it.'
        )
    if not start:
        raise ValueError(f"'{file}' is empty, so it is no checkpoint. Use another.")


def write_whole(trainer: Trainer) -> None:
    """Let a trainer write its checkpoints whole, unless it has a plugin for them.

    Args:
        trainer: The trainer.
    """
    strategy = trainer.strategy
    # Looked at there: the property would put another into an asynchronous plugin
    if type(strategy._checkpoint_io) in (type(None), TorchCheckpointIO):
        strategy.checkpoint_io = WholeCheckpointIO()
