# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The command line says so where it predicts and writes nothing."""

import warnings
from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from torchgeo_tdpcr import SceneWriter
from torchgeo_tdpcr.tasks.predicting import warn_if_unwritten


def trainer(*callbacks: Any) -> Any:
    return SimpleNamespace(callbacks=list(callbacks))


def test_warning() -> None:
    command = SaveConfigCallback(LightningArgumentParser(), Namespace())
    with pytest.warns(UserWarning, match=r'Nothing was written.*callbacks SceneWriter'):
        warn_if_unwritten(trainer(command, TQDMProgressBar()))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warn_if_unwritten(trainer(command, SceneWriter('maps')))
        # A program gets the predictions back
        warn_if_unwritten(trainer(TQDMProgressBar()))
