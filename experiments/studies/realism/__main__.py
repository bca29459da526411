# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How near the synthetic data set is to real samples: a table and a figure.

Compares spectra per band and per class, backscatter, and the PSNR between the cloudy
and the clear image over cloud cover with real chips of SEN12MS-CR, LuojiaSET-OSFCR and
TerraMind's samples.

    python -m experiments.studies.realism --samples DIR \
        --out docs/_static/realism.jpg --table docs/results/realism.md
"""

import argparse
import tempfile
import warnings
from pathlib import Path

from rasterio.errors import NotGeoreferencedWarning

from torchgeo_tdpcr.datasets.synthetic import SyntheticOSFCR
from torchgeo_tdpcr.files import write_text

from .collection import read_real, read_synthetic
from .comparison import compare
from .figure import draw


def main(argv: list[str] | None = None) -> None:
    """Read both, print the table, draw the figure."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.realism',
        description=(__doc__ or '').splitlines()[0],
    )
    parser.add_argument('--samples', type=Path, required=True, help='real samples')
    parser.add_argument('--out', type=Path, required=True, help='figure to write')
    parser.add_argument('--table', type=Path, help='Markdown file for the table')
    parser.add_argument('--synthetic', type=Path, help='root of a synthetic data set')
    args = parser.parse_args(argv)
    if not (args.samples / 'sen12mscr_pairs').is_dir():
        parser.error(f"`--samples`: '{args.samples}' has no folder 'sen12mscr_pairs'.")
    warnings.simplefilter('ignore', NotGeoreferencedWarning)
    real = read_real(args.samples)
    if args.synthetic:
        made = read_synthetic(args.synthetic / 'LuojiaSET-OSFCR')
    else:
        with tempfile.TemporaryDirectory() as root:
            made = read_synthetic(SyntheticOSFCR(root, 24, 6).generate())
    text = compare(real, made)
    print(text)
    if args.table:
        write_text(args.table, f'```text\n{text}```\n')
    draw(real, made, args.out)


if __name__ == '__main__':
    main()
