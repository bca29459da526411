# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tiny runs as the tables lay them out."""

from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Trainer

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask

TINY = {'dims': [4, 8], 'depths': [1, 1]}


def tiny_task(seed: int = 0, **arguments: Any) -> TDPCRTask:
    """A small TDP-CR at its random start, for evaluation."""
    torch.manual_seed(seed)
    small = TINY if 'model' not in arguments else {}
    kwargs = small | arguments.pop('model_kwargs', {})
    return TDPCRTask(**{'training': 'cr', 'model_kwargs': kwargs, **arguments}).eval()


def write_run(root: Path, name: str, seed: int, data: Path, **arguments: Any) -> Path:
    """Write the checkpoint and the settings of a run; returns its folder."""
    folder = root / name / f'seed{seed}'
    trainer = Trainer(
        accelerator='cpu', logger=False, enable_progress_bar=False, max_epochs=0,
        default_root_dir=root, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    task = tiny_task(seed, **arguments)
    task.input_record = OSFCRDataModule(data).input_record
    trainer.strategy.connect(task)
    trainer.save_checkpoint(folder / 'checkpoints' / 'last.ckpt')
    settings = {
        'model': {'class_path': 'TDPCRTask', 'init_args': arguments},
        'data': {
            'class_path': 'OSFCRDataModule',
            'init_args': {'paths': str(data), 'split_by': 'roi', 'batch_size': 4},
        },
    }
    (folder / 'settings.yaml').write_text(yaml.safe_dump(settings))
    return folder
