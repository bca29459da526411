# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Measure trained weights on real samples, and pack them for the package.

    python -m experiments.weights --checkpoint CKPT --name NAME --training COMMAND \
        --samples DIR

Writes `torchgeo_tdpcr/weights/NAME.safetensors` and `NAME.json`, and a page about all that
are there, `docs/results/weights.md`.
"""

import argparse
import json
import sys
from pathlib import Path

from torchgeo_tdpcr.commands.checks import check_file, check_folder
from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.weights import FOLDER


def main(argv: list[str] | None = None) -> None:
    """Measure and pack."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('--checkpoint', type=Path, required=True, help='of Phase 2')
    add('--name', required=True, help='such as sentinel2_l1c_small')
    add('--training', required=True, help='the command that trained it')
    add('--samples', type=Path, required=True, help='folder of the real samples')
    add('--out', type=Path, default=FOLDER, help='where to (default: the package)')
    add('--page', type=Path, default=Path('docs/results/weights.md'), help='the page')
    options = parser.parse_args(argv)
    try:
        check_file('--checkpoint', str(options.checkpoint))
        check_folder('--samples', str(options.samples))
    except OSError as error:
        parser.error(str(error))
    print(f"Measuring '{options.checkpoint}' …", file=sys.stderr, flush=True)
    # They import PyTorch and TorchGeo, which is silent for long
    from torchgeo_tdpcr import TDPCRTask

    from .measuring import measure, rounded
    from .packing import pack, page

    task = TDPCRTask.load_from_checkpoint(options.checkpoint, map_location='cpu').eval()
    figures = rounded(measure(task, options.samples))
    meta = pack(
        options.checkpoint, options.name, figures, options.training, options.out
    )
    print(json.dumps(meta, indent=2, ensure_ascii=False))
    write_text(options.page, page(options.out))


if __name__ == '__main__':
    main()
