# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Train weights of the package: data, training, parts, measuring, packing, in one command.

    python -m experiments.weights.train NAME --samples DIR

NAME is a configuration beside this file, such as `sentinel2_l2a_small`; that of the same
name in `first/`, if there is one, is trained before. What is there already is kept: a
training that was stopped goes on from its last checkpoint.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from torchgeo_tdpcr.commands.shared.checks import check_file, check_folder

from .layouts import main as write_layouts
from .parts import add_parts

HERE = Path(__file__).parent
#: What the card says of scenes that maps lay out.
LAID_OUT = (
    'synthetic scenes (SyntheticOSFCR), a part of them laid out by land-cover maps of '
    'LandCoverNet (Radiant Earth, CC BY 4.0)'
)
_ARCHIVE = Path('landcovernet') / 'labels_africa.npz'


def known_names() -> list[str]:
    """Names of the weights that there are configurations of."""
    return sorted(path.stem for path in HERE.glob('*.yaml'))


def read_stages(name: str) -> list[tuple[Path, dict[str, Any]]]:
    """Read the configurations of the trainings of weights, in order.

    Args:
        name: Name of the weights.

    Returns:
        Each file and what it holds.
    """
    files = [HERE / 'first' / f'{name}.yaml', HERE / f'{name}.yaml']
    return [
        (file, yaml.safe_load(file.read_text(encoding='utf-8')))
        for file in files
        if file.is_file()
    ]


def last_of(settings: dict[str, Any]) -> Path:
    """The last checkpoint of a training."""
    (saving,) = (c['init_args'] for c in settings['trainer']['callbacks'])
    return Path(saving['dirpath']) / 'last.ckpt'


def prepare_layouts(settings: dict[str, object], samples: Path) -> None:
    """Make the layouts of the synthetic scenes, as far as they are wanted and not there.

    Args:
        settings: Arguments of the synthetic data set.
        samples: Folder of the real samples.

    Raises:
        FileNotFoundError: If the archive of land-cover maps is missing.
    """
    if not settings.get('layouts'):
        return
    folder = Path(str(settings['layouts']))
    # Made whole or not at all: a part of the maps would be another data set
    if not folder.is_dir():
        check_file('--samples', str(samples / _ARCHIVE))
        part = folder.with_name(f'{folder.name}.part')
        write_layouts([str(samples / _ARCHIVE), str(part)])
        part.rename(folder)


def main(argv: list[str] | None = None) -> None:
    """Train, measure and pack."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights.train',
        description=(__doc__ or '').splitlines()[0],
        epilog='Further arguments are those of `torchgeo fit`.',
    )
    parser.add_argument('name', choices=known_names(), help='which')
    parser.add_argument(
        '--samples', type=Path, required=True, help='folder of the real samples'
    )
    options, further = parser.parse_known_args(argv)
    stages = read_stages(options.name)
    synthetic = [s['data']['init_args']['synthetic_args'] for _, s in stages]
    begin = stages[0][1]['model']['init_args'].get('weights')
    try:
        check_folder('--samples', str(options.samples))
        if begin is not None:
            check_file('weights', begin)
        for settings in synthetic:
            prepare_layouts(settings, options.samples)
    except OSError as error:
        parser.error(f'{error} See the first lines of {stages[0][0].name}.')

    print(f'Training {options.name} …', file=sys.stderr, flush=True)
    # It imports PyTorch and TorchGeo, which is silent for long
    from torchgeo.main import main as torchgeo

    for config, settings in stages:
        last = last_of(settings)
        resumed = [f'--ckpt_path={last}'] if last.exists() else []
        torchgeo(['fit', f'--config={config}', *resumed, *further])
    add_parts(
        last_of(stages[-1][1]),
        options.name,
        options.samples,
        f'python -m experiments.weights.train {options.name}',
        LAID_OUT if any(s.get('layouts') for s in synthetic) else None,
    )


if __name__ == '__main__':
    main()
