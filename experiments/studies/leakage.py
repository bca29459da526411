# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How much of the test area each split has already seen in training.

    python experiments/leakage.py --root DATA

DATA is a folder with LuojiaSET-OSFCR, or with a synthetic set, whose chips overlap by
half just as the real ones do. Writes docs/results/leakage.md.
"""

import argparse
from pathlib import Path

from torchgeo_tdpcr import OSFCR
from torchgeo_tdpcr.datasets import overlap_area
from torchgeo_tdpcr.datasets.osfcr import SPLITS
from torchgeo_tdpcr.files import write_text


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--root', type=Path, required=True)
    parser.add_argument('--out', type=Path, default=Path('docs/results/leakage.md'))
    options = parser.parse_args()
    lines = [
        '| split by | train | validation | test | test area that lies in training |',
        '| --- | ---: | ---: | ---: | ---: |',
    ]
    for name in SPLITS:
        train, val, test = (
            OSFCR(options.root, split=split, split_by=name)  # type: ignore[arg-type]
            for split in ('train', 'val', 'test')
        )
        leaked = overlap_area(train, test)
        lines.append(
            f'| {name} | {len(train)} | {len(val)} | {len(test)} '
            f'| {leaked.fraction:.1%} ({leaked.area / 1e6:.1f} km²) |'
        )
    text = '\n'.join(lines) + '\n'
    write_text(options.out, text)
    print(text)


if __name__ == '__main__':
    main()
