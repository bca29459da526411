# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Train weights of the package: data, training, parts, measuring, packing, in one command.

    python -m experiments.weights.train NAME --samples DIR

NAME is a configuration beside this file, such as `sentinel2_l2a_small`. What is there
already is kept: a training that was stopped goes on from its last checkpoint.
"""

import argparse
import sys
from pathlib import Path

import yaml

from torchgeo_tdpcr.commands.checks import check_file, check_folder

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
    config = HERE / f'{options.name}.yaml'
    settings = yaml.safe_load(config.read_text(encoding='utf-8'))
    synthetic = settings['data']['init_args']['synthetic_args']
    try:
        check_folder('--samples', str(options.samples))
        prepare_layouts(synthetic, options.samples)
    except OSError as error:
        parser.error(str(error))

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
        LAID_OUT if synthetic.get('layouts') else None,
    )


if __name__ == '__main__':
    main()
