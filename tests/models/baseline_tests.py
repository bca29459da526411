# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What every baseline must do, as tests that the tests of each inherit."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from model_checks import (
    ANY_BATCH,
    ANY_SIZE,
    Pair,
    check_autocast,
    check_compiles,
    check_each_chip_alone,
    check_exports,
    check_memory_formats,
    check_outputs,
    pair,
)
from torch import nn
from torchgeo.main import main

from torchgeo_tdpcr.models import get_model, get_recipe

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'
PUBLISHED = Path(__file__).parents[2] / 'experiments' / 'baselines'

#: What makes a fit short, and a published one fit a CPU and small chips.
FEW = {
    'trainer.limit_train_batches': 1,
    'trainer.limit_val_batches': 1,
    'trainer.max_epochs': 1,
}
ON_CPU = {
    'trainer.accelerator': 'cpu',
    'trainer.precision': '32-true',
    'trainer.min_epochs': 1,
    'trainer.check_val_every_n_epoch': 1,
    'trainer.accumulate_grad_batches': 1,
    'trainer.num_sanity_val_steps': 0,
    'trainer.log_every_n_steps': 1,
    'trainer.enable_progress_bar': 'false',
    'trainer.logger': (
        '{class_path: lightning.pytorch.loggers.CSVLogger, '
        'init_args: {save_dir: logs, name: null, version: run}}'
    ),
    'data.split_by': 'roi',
    'data.batch_size': 4,
    'data.patch_size': 32,
    'data.num_workers': 0,
}


class BaselineTests:
    """Tests of one model; a subclass in its test module says which."""

    #: Name that it is registered under, and arguments that make it tiny.
    name: ClassVar[str]
    arguments: ClassVar[Mapping[str, Any]]
    #: Bands and classes of the model that is tested.
    bands: ClassVar[int] = 13
    classes: ClassVar[int | None] = None
    #: Outputs and their channels.
    outputs: ClassVar[Mapping[str, int]] = {'reconstruction': 13}
    #: Optimizer of its recipe, and what of its settings the paper says.
    optimizer: ClassVar[tuple[type[torch.optim.Optimizer], Mapping[str, Any]]]
    #: Arguments that it refuses, and what the message names.
    wrong_arguments: ClassVar[Sequence[tuple[Mapping[str, Any], str]]]
    #: Images to trace it with, and whether an export takes others of any size.
    traced_size: ClassVar[tuple[int, int]] = (20, 32)
    exports_any_size: ClassVar[bool] = False
    #: Share of an output's mean that mixed precision may be off by.
    autocast_error: ClassVar[float] = 0.05
    #: How much outputs may depend on what else is in the batch or on the way of tracing.
    tolerance: ClassVar[Mapping[str, float]] = {}

    @classmethod
    def build(cls, **kwargs: Any) -> Any:
        """The tiny model, always with the same weights."""
        torch.manual_seed(0)
        own = {'in_channels': cls.bands, 'num_classes': cls.classes, **cls.arguments}
        return get_model(cls.name, **{**own, **kwargs}).eval()

    @classmethod
    def build_traced(cls) -> nn.Module:
        """A model with as short a graph as may be."""
        return cls.build()

    @classmethod
    def images(cls, batch: int = 2, height: int = 32, width: int = 32) -> Pair:
        return pair(batch, height, width, bands=cls.bands)

    @pytest.mark.parametrize(('height', 'width'), [(1, 1), (45, 70), (32, 9)])
    def test_any_size(self, height: int, width: int) -> None:
        out = self.build()(*self.images(2, height, width))
        check_outputs(out, 2, height, width, **self.outputs)

    def test_each_chip_alone_and_memory_formats(self) -> None:
        model = self.build()
        with torch.no_grad():
            check_each_chip_alone(model, self.images(), **self.tolerance)
            check_memory_formats(model, self.images(), **self.tolerance)

    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
    def test_autocast(self, dtype: torch.dtype) -> None:
        with torch.no_grad():
            check_autocast(self.build(), self.images(), self.autocast_error, dtype)

    def test_compiles_without_graph_breaks(self) -> None:
        height, width = self.traced_size
        # Not a multiple of any stride, so that padding and cropping are traced
        check_compiles(self.build_traced(), self.images(1, height - 1, width - 3))

    def test_exports(self) -> None:
        sizes = [(batch, *self.traced_size) for batch in (2, 1, 3)]
        if self.exports_any_size:
            sizes.append((1, 9, 33))
        example, *others = (self.images(*size) for size in sizes)
        dynamic = ANY_SIZE if self.exports_any_size else ANY_BATCH
        check_exports(self.build_traced(), example, others, dynamic, **self.tolerance)

    def test_optimizer_of_its_recipe(self) -> None:
        recipe = get_recipe(self.name)
        assert recipe is not None
        kind, settings = self.optimizer
        optimizer = recipe.optimizer(self.build().parameters())
        assert type(optimizer) is kind
        assert {key: optimizer.defaults[key] for key in settings} == settings

    def test_wrong_inputs(self) -> None:
        model, (image, sar) = self.build(), self.images(1, 8, 8)
        for inputs, named in (
            ((image[:, 1:], sar), '`image`'),
            ((image, sar[:, 1:]), '`image_sar`'),
            ((image, sar[..., 1:]), 'one grid'),
        ):
            with pytest.raises(ValueError, match=named):
                model(*inputs)

    def test_wrong_arguments(self) -> None:
        for arguments, named in self.wrong_arguments:
            with pytest.raises(ValueError, match=named):
                self.build(**arguments)

    @pytest.mark.filterwarnings("ignore:.*with `recipe='own'`:UserWarning")
    @pytest.mark.parametrize('recipe', ['common', 'own'])
    def test_trains_through_the_command(
        self,
        synthetic_root: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        recipe: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        training = 'cr' if 'logits' not in self.outputs else 'joint'
        if 'reconstruction' not in self.outputs:
            training = 'lcs'
        arguments = {
            'model': self.name,
            'model_kwargs': json.dumps(self.arguments),
            'num_classes': 'null' if training == 'cr' else '7',
            'training': training,
            'phase1_epochs': 'null',
            'recipe': recipe,
        }
        published = PUBLISHED / f'{self.name}.yaml'
        config, few = CONF, FEW
        if recipe == 'own' and published.exists():
            config, few = published, {**FEW, **ON_CPU}
            arguments = {'model_kwargs': json.dumps(self.arguments)}
        options = [f'--model.{key}={value}' for key, value in arguments.items()]
        options += [f'--{key}={value}' for key, value in few.items()]
        data = ['--data.init_args.paths', str(synthetic_root)]
        main(['fit', '--config', str(config), *data, *options])
        metrics = pd.read_csv('logs/run/metrics.csv')
        for name in ('train_loss', 'val_loss'):
            losses = metrics[name].dropna()
            assert len(losses)
            assert np.isfinite(losses).all()
