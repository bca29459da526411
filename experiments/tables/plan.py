# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""From the rows of a table to the runs behind them, and from a run to its settings.

A run is one YAML in `runs/`: what of `TDPCRTask` it sets, and which other runs it needs.
With `base.yaml`, the data and the scale it makes a configuration of the `torchgeo`
command, which merges them itself: each is a layer over those before it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One training, or one test of another run's model.

    Args:
        name: Name of the run.
        settings: What it sets of the torchgeo configuration.
        needs: Runs whose checkpoints it needs, by the argument of the task that takes
            them: ``'weights'`` or ``'lcs_input'``.
        trains: Whether it trains, rather than tests its ``weights`` as they are.
    """

    name: str
    settings: Settings
    needs: Mapping[str, str] = field(default_factory=dict)
    trains: bool = True

    @property
    def task(self) -> Settings:
        """Arguments of the task."""
        arguments: Settings = self.settings['model']['init_args']
        return arguments


@dataclass(frozen=True, slots=True)
class Scale:
    """How large data and models are, and how long they train.

    Args:
        epochs: Epochs by kind of training.
        synthetic: Arguments of the synthetic data set.
        settings: What it sets of the torchgeo configuration.
        model_kwargs: Arguments of each model that make it smaller.
    """

    epochs: Mapping[str, int]
    synthetic: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    model_kwargs: Mapping[str, Settings] = field(default_factory=dict)


def read_yaml(path: Path) -> Any:
    """Read a YAML file, with an error that names it."""
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        names = sorted(other.stem for other in path.parent.glob('*.yaml'))
        raise FileNotFoundError(f"'{path}': no such file. There are {names}.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is no YAML: {error}") from error


def read_run(name: str) -> Run:
    """Read a run from `runs/`."""
    content = read_yaml(HERE / 'runs' / f'{name}.yaml')
    needs, trains = content.pop('needs', {}), content.pop('trains', True)
    return Run(name, content, needs, trains)


def read_scale(name: str) -> Scale:
    """Read a scale: one of `scales/`, or a file."""
    path = Path(name) if name.endswith('.yaml') else HERE / 'scales' / f'{name}.yaml'
    try:
        return Scale(**read_yaml(path))
    except TypeError as error:
        keys = '`epochs`, `synthetic`, `settings`, `model_kwargs`'
        raise ValueError(f"'{path}': {error}. A scale has the keys {keys}.") from error


def with_needs(names: Iterable[str], known: Mapping[str, Run]) -> list[Run]:
    """List runs and what they need, each once, after what it needs.

    Args:
        names: The runs.
        known: Runs that have no file, by name.

    Returns:
        The runs.
    """
    ordered: dict[str, Run] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        run = known.get(name) or read_run(name)
        for needed in run.needs.values():
            add(needed)
        ordered[name] = run

    for name in names:
        add(name)
    return list(ordered.values())


def check_override(text: str) -> str:
    """Check a ``KEY=VALUE`` that every run is to get.

    Raises:
        ValueError: If there is no ``=``, or the key is not of the torchgeo command.

    Example:
        >>> check_override('trainer.max_epochs=3')
        'trainer.max_epochs=3'
    """
    key, equals, _ = text.partition('=')
    names = key.split('.')
    if not equals or names[0] not in ('trainer', 'model', 'data') or len(names) < 2:
        raise ValueError(
            f'`--set {text}`: expected KEY=VALUE with a key such as trainer.max_epochs, '
            'model.init_args.lr or data.init_args.split_by.'
        )
    return text


def compose(
    run: Run, scale: Scale, data: str, seed: int, recipe: str = 'common'
) -> list[Path | Settings]:
    """Compose the configuration of a run, but for the checkpoints that it needs.

    Args:
        run: The run.
        scale: The scale.
        data: Name of a file in `data/`.
        seed: Seed of the weights, the order of the chips and the crops.
        recipe: ``'own'`` for the training of the models' papers, where known.

    Returns:
        Layers of a configuration of the torchgeo command, files or their content; a
        later one wins.

    Raises:
        ValueError: If the scale says nothing of how long the run trains.
    """
    training = run.task['training']
    if training not in scale.epochs:
        raise ValueError(
            f'The scale has no `epochs` of {training!r}, as {run.name} needs.'
        )
    arguments: Settings = {}
    if recipe == 'own' and run.task['model'] != 'tdpcr':
        arguments['recipe'] = 'own'
    # The torchgeo command takes dictionaries whole: a later one would replace the first
    own = run.task.get('model_kwargs', {})
    if kwargs := {**scale.model_kwargs.get(run.task['model'], {}), **own}:
        arguments['model_kwargs'] = kwargs
    implied = {
        'seed_everything': seed,
        'trainer': {'max_epochs': scale.epochs[training]},
        'model': {'init_args': arguments},
    }
    return [
        HERE / 'base.yaml',
        scale.settings,
        HERE / 'data' / f'{data}.yaml',
        run.settings,
        implied,
    ]


def fingerprint(
    layers: Sequence[Path | Settings],
    overrides: Sequence[str] = (),
    needed: Iterable[str] = (),
) -> str:
    """Name settings, and the results that they build on, by their content.

    Args:
        layers: The layers of the configuration.
        overrides: What wins over them.
        needed: Fingerprints of the runs that this one needs.

    Returns:
        Twelve hexadecimal digits.
    """
    contents = [read_yaml(part) if isinstance(part, Path) else part for part in layers]
    content = json.dumps(
        [contents, list(overrides), sorted(needed)], sort_keys=True, default=str
    )
    return hashlib.sha256(content.encode()).hexdigest()[:12]
