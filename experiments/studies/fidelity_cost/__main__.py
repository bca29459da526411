# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One figure of fidelity against cost, from a table of results.

    python -m experiments.studies.fidelity_cost TABLE.json --speed docs/results/speed.json

It is written to `docs/_static/fidelity_cost.png`. PSNR is drawn against multiply-adds and
against parameters, and with `--speed` against the chips per second that
`python -m experiments.benchmarks.bench_models` measured.
"""

import argparse
from pathlib import Path

from torchgeo_tdpcr.figures.saving import save_figure

from .figure import DPI, draw
from .rows import read_json


def main(argv: list[str] | None = None) -> None:
    """Read, draw and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.fidelity_cost',
        description='Draw fidelity against cost.',
    )
    parser.add_argument('table', type=Path, help='JSON file of the table builder')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/_static/fidelity_cost.png'),
        help='where to write the figure (default: %(default)s)',
    )
    parser.add_argument(
        '--speed', type=Path, help='JSON file of bench_models, for a third panel'
    )
    parser.add_argument(
        '--inches',
        type=float,
        default=6.0,
        help='width of a panel (default: %(default)s)',
    )
    args = parser.parse_args(argv)
    results = read_json(args.speed, 'cases') if args.speed else None
    table = read_json(args.table, 'rows')
    try:
        figure = draw(table, results, args.inches)
    except ValueError as error:
        raise SystemExit(f"'{args.table}': {error}") from error
    save_figure(figure, args.out, DPI)
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
