# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Every baseline trains and validates through the `torchgeo` command, in both ways."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torchgeo.main import main

from torchgeo_tdpcr.models import get_recipe, list_models

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'

#: Arguments that make each model tiny.
REMOVES_CLOUDS: dict[str, dict[str, Any]] = {
    'dsen2cr': {'channels': 8, 'num_blocks': 2},
    'uncrtaints': {'channels': 8, 'decoder_blocks': 2},
    'glfcr': {
        'channels': 8,
        'growth': 4,
        'blocks': 2,
        'layers': 2,
        'heads': 2,
        'window': 4,
        'output_channels': 16,
    },
    'hpncr': {
        'dims': [4, 8, 8, 8, 4],
        'depths': [2, 2, 2, 1, 1],
        'attention_ratios': [0.5, 0.5, 1, 0, 0],
        'heads': [2, 2, 2, 2, 2],
        'windows': [4, 4, 3, 4, 4],
        'sar_dims': [4, 8, 8],
    },
    'emrdm': {
        'dims': [16, 32, 32],
        'depths': [1, 1, 1],
        'hidden': [32, 64, 64],
        'head_dim': 8,
        'neighbourhood_levels': 2,
        'mapping_dim': 16,
        'mapping_hidden': 32,
        'mapping_depth': 1,
    },
    'ecrformer': {
        'dim': 8,
        'depths': [1, 1],
        'bottleneck': 1,
        'refinement': 1,
        'heads': [1, 1, 2],
        'window': 4,
        'stem_blocks': 1,
    },
    'hdrsanet': {'channels': 8, 'groups': 2, 'blocks': 1, 'grid': 4},
}
DOES_BOTH = {'cloudseg': {'encoder': 'mit_b0'}, 'segcr': {'encoder': 'mit_b0'}}
MAPS = {'segformer': {'encoder': 'mit_b0'}}


def test_none_is_left_out() -> None:
    baselines = {name for name in list_models() if not name.startswith('tdpcr')}
    baselines = {name for name in baselines if not name.endswith('_for_tests')}
    # The docstring of `register_model` registers one
    baselines -= {'ecrformer_light', 'my_model_of_the_docs'}
    assert baselines == {*REMOVES_CLOUDS, *DOES_BOTH, *MAPS}


@pytest.mark.parametrize('recipe', ['common', 'own'])
@pytest.mark.parametrize('model', [*REMOVES_CLOUDS, *DOES_BOTH, *MAPS])
def test_trains(
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    recipe: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert get_recipe(model) is not None
    kwargs = {**REMOVES_CLOUDS, **DOES_BOTH, **MAPS}[model]
    training = 'joint' if model in DOES_BOTH else 'lcs' if model in MAPS else 'cr'
    arguments = {
        'model': model,
        'model_kwargs': json.dumps(kwargs),
        'num_classes': 'null' if training == 'cr' else '7',
        'training': training,
        'phase1_epochs': 'null',
        'recipe': recipe,
    }
    options = [f'--model.{key}={value}' for key, value in arguments.items()]
    data = ['--data.init_args.paths', str(synthetic_root)]
    few = [f'--trainer.limit_{split}_batches=1' for split in ('train', 'val')]
    few.append('--trainer.max_epochs=1')
    main(['fit', '--config', str(CONF), *data, *options, *few])
    metrics = pd.read_csv('logs/run/metrics.csv')
    for name in ('train_loss', 'val_loss'):
        losses = metrics[name].dropna()
        assert len(losses)
        assert np.isfinite(losses).all()
