# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A step of joint training by the command line, on chips of any data set."""

from pathlib import Path

import numpy as np
import pandas as pd
from torchgeo.main import main

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
