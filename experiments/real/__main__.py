# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a model trained on synthetic data is worth on real images.

    python -m experiments.real --samples DIR --checkpoint CKPT

Writes docs/results/real.md and two contact sheets in docs/_static:

1. `verify` on the distributor's own sample of LuojiaSET-OSFCR;
2. the checkpoint on ten real pairs of SEN12MS-CR and a georeferenced triple;
3. Phase 1 fine-tuned on five of the pairs, tested on the other five;
4. land cover on three TerraMind places under simulated clouds, trained on the north of
   each, tested on the south.
"""

import argparse
import sys
from pathlib import Path

from torchgeo_tdpcr.commands.shared.checks import check_file, check_folder, check_output


def main(argv: list[str] | None = None) -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.real', description=(__doc__ or '').splitlines()[0]
    )
    parser.add_argument('--samples', type=Path, required=True)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--docs', type=Path, default=Path('docs'))
    options = parser.parse_args(argv)
    try:
        check_folder('--samples', str(options.samples))
        check_file('--checkpoint', str(options.checkpoint))
        check_output('--docs', str(options.docs))
    except OSError as error:
        parser.error(str(error))
    print(
        f"Trying '{options.checkpoint}' on real images …", file=sys.stderr, flush=True
    )
    # It imports PyTorch and TorchGeo, which is silent for long
    from .job import run

    run(options)


if __name__ == '__main__':
    main()
