# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Train weights of the package: data, training, parts, measuring, packing, in one command.

    python -m experiments.weights.train NAME --samples DIR

NAME is a configuration beside this file, such as `sentinel2_l2a_small`, whose first lines
say what it goes on from. What is there already is kept: a training that was stopped goes on
from its last checkpoint.
"""

import argparse
import sys
from pathlib import Path

import yaml

from torchgeo_tdpcr.commands.shared.checks import check_file, check_folder

from .parts import add_parts

HERE = Path(__file__).parent


def known_names() -> list[str]:
    """Names of the weights that there are configurations of."""
    return sorted(path.stem for path in HERE.glob('*.yaml'))


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
    config = HERE / f'{options.name}.yaml'
    settings = yaml.safe_load(config.read_text(encoding='utf-8'))
    try:
        check_folder('--samples', str(options.samples))
        check_file('weights', settings['model']['init_args']['weights'])
    except OSError as error:
        parser.error(f'{error} The first lines of {config.name} say how to make it.')

    (saving,) = (c['init_args'] for c in settings['trainer']['callbacks'])
    last = Path(saving['dirpath']) / 'last.ckpt'
    resumed = [f'--ckpt_path={last}'] if last.exists() else []
    print(f'Training {options.name} …', file=sys.stderr, flush=True)
    # It imports PyTorch and TorchGeo, which is silent for long
    from torchgeo.main import main as torchgeo

    torchgeo(['fit', f'--config={config}', *resumed, *further])
    add_parts(
        last,
        options.name,
        options.samples,
        f'python -m experiments.weights.train {options.name}',
    )


if __name__ == '__main__':
    main()
