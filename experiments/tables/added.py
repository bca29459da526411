# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Models of the user's: their files, their runs and rows, and a first try."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from torchgeo_tdpcr.models import get_model, list_models

from .plan import Run, Settings, read_run
from .rows import Row, Table
from .with_models import import_models


def added_models(files: list[Path]) -> list[str]:
    """Import the user's files, and name the models that they register.

    Raises:
        ValueError: If a file registers none.
    """
    names = []
    for file in files:
        before = set(list_models())
        import_models([file])
        new = sorted(set(list_models()) - before)
        if not new:
            raise ValueError(
                f'--add {file}: it registers no model. Decorate yours with '
                "@register_model('name')."
            )
        names += new
    return names


def added_runs(model: str) -> tuple[Run, Run, Run]:
    """The runs of a model of the user's: cloud removal, and land cover after it."""
    arguments = {'model': model, 'training': 'cr', 'num_classes': None}
    removal = Run(f'cr-{model}', {'model': {'init_args': arguments}})
    land_cover = read_run('lcs-clear').settings
    land_cover['model']['init_args'].pop('lcs_input')
    needs = {'lcs_input': removal.name}
    staged = Run(f'lcs-{model}', land_cover, needs)
    as_is = Run(
        f'clear-{model}', land_cover, {'weights': 'lcs-clear', **needs}, trains=False
    )
    return removal, staged, as_is


def add_rows(table: Table, models: list[str]) -> None:
    """Add a row for each model of the user's to Tables I and II."""
    for name in models:
        if table.number == 1:
            table.rows.append(Row(name, f'cr-{name}', group='Added'))
        elif table.number == 2:
            runs = f'lcs-{name}', f'clear-{name}'
            table.rows.append(Row(name, runs[0], runs[1], group='Added'))


def try_model(name: str, kwargs: Settings) -> None:
    """Show a model a chip, before it is trained for hours.

    Args:
        name: Name of the model.
        kwargs: Its arguments, besides the numbers of channels and classes.

    Raises:
        ValueError: If it cannot be built, fails, or returns something else than the
            tables need.
    """
    what = f'--add: the model {name!r}'
    channels: Settings = {'in_channels': 13, 'sar_channels': 2, 'num_classes': None}
    image, sar = torch.rand(1, 13, 64, 64), torch.rand(1, 2, 64, 64)
    try:
        model = get_model(name, **channels, **kwargs).eval()
    except Exception as error:
        raise ValueError(
            f'{what} cannot be built with the arguments {channels | kwargs}: '
            f'{type(error).__name__}: {error}'
        ) from error
    try:
        with torch.inference_mode():
            outputs: Any = model(image, sar)
    except Exception as error:
        raise ValueError(
            f'{what} fails on an image of shape {tuple(image.shape)} with SAR of shape '
            f'{tuple(sar.shape)}: {type(error).__name__}: {error}'
        ) from error
    restored = outputs.get('reconstruction') if isinstance(outputs, Mapping) else None
    shape = getattr(restored, 'shape', None)
    if shape != image.shape:
        returned = (
            f'a reconstruction of shape {tuple(shape)}' if shape else type(outputs)
        )
        raise ValueError(
            f'{what} must return a dictionary with `reconstruction`, a tensor of the '
            f'shape of the image, {tuple(image.shape)}. It returns {returned}.'
        )
