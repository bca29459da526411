# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether the runs of the tables were trained to the end: their validation curves.

    python -m experiments.tables.curves RUNS [--out docs/_static/curves.png]

RUNS is a folder of runs that are done, or of their results alone. Drawn are PSNR and, of
the runs that map land cover, mIoU on the validation chips over the epochs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from torchgeo_tdpcr.figures.saving import save_figure

from .jobs import RESULT
from .rows import read_table

#: What is drawn: the metric, its title, and what its values are multiplied by.
PANELS = (('psnr', 'PSNR (dB)', 1), ('miou', 'mIoU (%)', 100))


def read_results(root: Path) -> list[dict[str, Any]]:
    """Read the results of all runs that were validated.

    Args:
        root: Folder of runs, ``<run>/seed<k>/result.json``.

    Returns:
        The results, by run and seed.

    Raises:
        SystemExit: If there is none.
    """
    files = sorted(root.glob(f'*/seed*/{RESULT}'))
    results = [json.loads(file.read_text(encoding='utf-8')) for file in files]
    if not (validated := [result for result in results if result.get('validation')]):
        raise SystemExit(
            f"'{root}' has no '<run>/seed<k>/{RESULT}' of a run that was trained and "
            'validated. Make some with `python -m experiments.tables`.'
        )
    return validated


def draw(results: list[dict[str, Any]]) -> Figure:
    """Draw the curves: a colour a run, a line a seed.

    Args:
        results: As :func:`read_results` gives them.

    Returns:
        The figure.
    """
    names = list(dict.fromkeys(result['run'] for result in results))
    labels = _labels()
    colours = plt.get_cmap('tab20')
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.5), layout='constrained')
    for ax, (metric, title, scale) in zip(axes, PANELS, strict=True):
        for result in results:
            # After the epoch, so the first is 1
            points = [
                (measured['epoch'] + 1, measured[metric] * scale)
                for measured in result['validation']
                if metric in measured
            ]
            if points:
                number = names.index(result['run'])
                first = result['seed'] == _first(results, result)
                label = labels.get(result['run'], result['run']) if first else ''
                colour = colours(number % 20)
                ax.plot(*zip(*points, strict=True), '.-', color=colour, label=label)
        ax.set(xlabel='Epochs', ylabel=f'{title}, validation')
        ax.grid(alpha=0.3)
        if ax.lines:
            ax.legend(fontsize=8)
    return figure


def _labels() -> dict[str, str]:
    """What the tables call the runs; the first of those that share one."""
    rows = [row for number in (3, 2, 1) for row in reversed(read_table(number).rows)]
    return {row.run: row.label for row in rows if not row.reference}


def _first(results: list[dict[str, Any]], result: dict[str, Any]) -> int:
    """The first seed of a run, whose line alone is named."""
    return min(other['seed'] for other in results if other['run'] == result['run'])


def main(argv: list[str] | None = None) -> None:
    """Read and draw."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.tables.curves',
        description='Draw the validation curves of the runs of the tables.',
    )
    add = parser.add_argument
    add('root', type=Path, metavar='RUNS', help='folder of runs of one scale')
    add(
        '--out',
        type=Path,
        default=Path('docs/_static/curves.png'),
        help='where to write the figure (default: %(default)s)',
    )
    options = parser.parse_args(argv)
    save_figure(draw(read_results(options.root)), options.out, 110)
    print(f'Wrote {options.out}')


if __name__ == '__main__':
    main()
