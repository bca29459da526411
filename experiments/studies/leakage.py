# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How much of the test area each split has already seen in training.

    python -m experiments.studies.leakage --root DATA

DATA is a folder with LuojiaSET-OSFCR, or with a synthetic set, whose chips overlap by
half just as the real ones do. Writes docs/results/leakage.md.
"""

import argparse
from pathlib import Path

from torchgeo_tdpcr import OSFCR
from torchgeo_tdpcr.datasets import overlap_area
from torchgeo_tdpcr.datasets.osfcr import SPLITS
from torchgeo_tdpcr.files import write_text

from ..markdown import table


def main(argv: list[str] | None = None) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.leakage',
        description=(__doc__ or '').splitlines()[0],
    )
    parser.add_argument('--root', type=Path, required=True)
    parser.add_argument('--out', type=Path, default=Path('docs/results/leakage.md'))
    options = parser.parse_args(argv)
    header = ['split by', 'train', 'validation', 'test']
    header.append('test area that lies in training')
    rows = []
    for name in SPLITS:
        train, val, test = (
            OSFCR(options.root, split=split, split_by=name)  # type: ignore[arg-type]
            for split in ('train', 'val', 'test')
        )
        leaked = overlap_area(train, test)
        sizes = [str(len(part)) for part in (train, val, test)]
        share = f'{leaked.fraction:.1%} ({leaked.area / 1e6:.1f} km²)'
        rows.append([name, *sizes, share])
    text = table(header, rows) + '\n'
    write_text(options.out, text)
    print(text)


if __name__ == '__main__':
    main()
