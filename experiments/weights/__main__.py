# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Measure trained weights on real samples, and pack them for the package.

    python -m experiments.weights --checkpoint CKPT --name NAME --training COMMAND \
        --samples DIR
    python -m experiments.weights --name NAME --samples DIR

The second measures anew what is packed. Writes `torchgeo_tdpcr/weights/NAME.safetensors`
and `NAME.json`, a picture of what they make of real pairs, `docs/_static/NAME.jpg`, and a
page about all that are there, `docs/results/weights.md`.
"""

import argparse
import json
import sys
from pathlib import Path

from torchgeo_tdpcr.commands.shared.checks import check_file, check_folder
from torchgeo_tdpcr.files import replacing, write_text
from torchgeo_tdpcr.weights import FOLDER, SUFFIX


def source_of(
    options: argparse.Namespace, parser: argparse.ArgumentParser, packed: Path, by: str
) -> Path:
    """Find the weights that a command is about, and end it where something is missing.

    Args:
        options: What was given: ``checkpoint``, ``training``, ``name`` and ``samples``.
        parser: The parser of the command.
        packed: Folder of the weights that are packed.
        by: The argument that names those, as errors write it.

    Returns:
        The checkpoint, or what is packed where none was given.
    """
    path: Path = options.checkpoint or packed / f'{options.name.lower()}{SUFFIX}'
    try:
        check_file('--checkpoint' if options.checkpoint else by, str(path))
        check_folder('--samples', str(options.samples))
    except OSError as error:
        parser.error(str(error))
    if (options.checkpoint is None) != (options.training is None):
        parser.error('`--checkpoint` and `--training` go together.')
    return path


def main(argv: list[str] | None = None) -> None:
    """Measure and pack."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('--checkpoint', type=Path, help='of Phase 2 (default: measure what is packed)')
    add('--name', required=True, help='such as sentinel2_l1c_small')
    add('--training', help='the command that trained the checkpoint')
    add(
        '--dataset',
        help='what the checkpoint was trained on (default: synthetic scenes)',
    )
    add('--samples', type=Path, required=True, help='folder of the real samples')
    add('--out', type=Path, default=FOLDER, help='where to (default: the package)')
    add('--docs', type=Path, default=Path('docs'), help='folder of the documentation')
    options = parser.parse_args(argv)
    path = source_of(options, parser, options.out, '--name')
    print(f"Measuring '{path}' …", file=sys.stderr, flush=True)
    # They import PyTorch and TorchGeo, which is silent for long
    from torchgeo_tdpcr import TDPCRTask

    from .measuring import measure
    from .packing import SYNTHETIC, pack, page, renew

    if options.checkpoint:
        task = TDPCRTask.load_from_checkpoint(path, map_location='cpu')
    else:
        task = TDPCRTask.load_from_weights(path)
    measured = measure(task.eval(), options.samples)
    if options.checkpoint:
        about = options.training, options.out, options.dataset or SYNTHETIC
        meta = pack(path, options.name, measured, *about)
    else:
        meta = renew(options.name, measured, options.out)
    print(json.dumps(meta, indent=2, ensure_ascii=False))
    for sheet, end in ((measured.sheet, ''), (measured.glance, '_glance')):
        picture = options.docs / '_static' / f'{options.name.lower()}{end}.jpg'
        with replacing(picture) as part:
            sheet.save(part, quality=85)
    write_text(options.docs / 'results' / 'weights.md', page(options.out))


if __name__ == '__main__':
    main()
