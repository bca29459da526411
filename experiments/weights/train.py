# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Train weights of the package: data, training, parts, measuring and packing, in one go.

    python -m experiments.weights.train NAME --samples DIR

NAME is a configuration beside this file, such as `sentinel2_l2a_small`. What is there
already is kept: a training that was stopped goes on from its last checkpoint.
"""

import argparse
import sys
from pathlib import Path

import yaml

from torchgeo_tdpcr.commands.checks import check_folder

from .__main__ import main as measure_and_pack
from .parts import train as train_parts

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
    except OSError as error:
        parser.error(str(error))

    (saving,) = (c['init_args'] for c in settings['trainer']['callbacks'])
    last = Path(saving['dirpath']) / 'last.ckpt'
    resumed = [f'--ckpt_path={last}'] if last.exists() else []
    print(f'Training {options.name} …', file=sys.stderr, flush=True)
    # It imports PyTorch and TorchGeo, which is silent for long
    from torchgeo.main import main as torchgeo

    from torchgeo_tdpcr import TDPCRTask

    torchgeo(['fit', f'--config={config}', *resumed, *further])
    task = TDPCRTask.load_from_checkpoint(last, map_location='cpu')
    checkpoint = train_parts(task, last.parent.parent)
    measure_and_pack(
        [
            f'--checkpoint={checkpoint}',
            f'--name={options.name}',
            f'--training=python -m experiments.weights.train {options.name}',
            f'--samples={options.samples}',
        ]
    )


if __name__ == '__main__':
    main()
