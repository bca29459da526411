# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Drawing fidelity against cost: PSNR over multiply-adds, parameters and speed."""

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from .label_places import Label, padded, place_labels
from .rows import BATCH, DTYPE, Row, read_rows, read_speed, reference_lines, title

DPI = 150
COLOURS = ('tab:blue', 'tab:green', 'tab:purple', 'tab:brown', 'tab:cyan', 'tab:olive')
#: Colour of the models that are marked: TDP-CR and its variants.
MARKED = 'tab:red'


def colours(rows: list[Row]) -> dict[str, str]:
    """A colour for each group of rows that are not marked."""
    groups = dict.fromkeys(row.group for row in rows if row.costs and not row.marked)
    return {group: COLOURS[i % len(COLOURS)] for i, group in enumerate(groups)}


def draw_points(
    ax: Axes, points: list[tuple[Row, float]], palette: dict[str, str]
) -> None:
    """Draw rows over their costs, with error bars."""
    for row, cost in points:
        special = row.marked
        ax.errorbar(
            cost,
            row.mean,
            yerr=row.spread or None,
            fmt='*' if special else 'o',
            markersize=11 if special else 6,
            color=MARKED if special else palette[row.group],
            ecolor='0.5',
            capsize=2,
            label='TDP-CR' if special else row.group,
        )


def write_labels(
    ax: Axes, points: list[tuple[Row, float]], lines: list[Row], seeds: int
) -> None:
    """Label points and lines, once the axes have their final size."""
    labels, taken = [], []
    for row, cost in points:
        style = {'fontsize': 8, 'fontweight': 'bold' if row.marked else 'normal'}
        labels.append(Label(caption(row, seeds), (cost, row.mean), ax.transData, style))
        ends = [(cost, row.mean - row.spread), (cost, row.mean + row.spread)]
        taken.append(padded(Bbox(ax.transData.transform(ends)), 4))
    for row in lines:
        text = f'{caption(row, seeds)}: {row.mean:.1f} dB'
        across = ax.get_yaxis_transform()
        labels.append(Label(text, (0.01, row.mean), across, {'fontsize': 8}))
        ends = [(0, row.mean), (1, row.mean)]
        taken.append(padded(Bbox(across.transform(ends)), 1))
    place_labels(ax, labels, taken)


def caption(row: Row, seeds: int) -> str:
    """Label of a row, which tells where seeds are missing."""
    missing = len(row.psnr) < seeds
    return f'{row.label} ({len(row.psnr)} of {seeds} seeds)' if missing else row.label


def draw(
    table: dict[str, Any], results: dict[str, Any] | None = None, inches: float = 6.0
) -> Figure:
    """Draw the figure.

    Args:
        table: The table, as its JSON file has it.
        results: What `bench_models` measured, for a third panel.
        inches: Width of a panel.

    Returns:
        The figure.

    Raises:
        ValueError: If there is nothing to draw, or no room for the labels.
    """
    rows = read_rows(table)
    panels = [
        (axis, [(row, row.costs[key]) for row in rows if key in row.costs])
        for key, axis in (
            ('macs_g', 'Multiply-adds a chip (10⁹)'),
            ('params_m', 'Parameters (10⁶)'),
        )
    ]
    notes = ['Mean ± one standard deviation over the seeds.']
    if all(len(row.psnr) == 1 for row in rows):
        notes = ['One seed: no spread.']
    if results is not None:
        speed = read_speed(results)
        found = [(row, speed[row.model]) for row in rows if row.model in speed]
        axis = f'Chips of {results["settings"]["side"]}² pixels a second'
        panels.append((axis, found))
        notes.append(
            f'Speed: registered models in full size, {DTYPE}, batches of {BATCH}, on '
            f'{results["settings"]["machine"].partition(", torch")[0]}.'
        )
        if gone := [r.label for r in rows if r.costs and r.model not in speed]:
            notes.append(f'Without a measured speed: {", ".join(gone)}.')
    lines, far = reference_lines(rows)
    notes += [f'Off the axes: {row.label}, {row.mean:.1f} dB.' for row in far]
    figure = Figure((inches * len(panels), 5.4), dpi=DPI, layout='constrained')
    text = textwrap.fill(' '.join(notes), int(15 * inches * len(panels)))
    figure.suptitle(f'{title(table)}\n{text}', fontsize=9)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    palette = colours(rows)
    for ax, (axis, points) in zip(axes, panels, strict=True):
        draw_points(ax, points, palette)
        for row in lines:
            ax.axhline(row.mean, color='0.5', linestyle='--', linewidth=1, zorder=0)
        ax.set_xscale('log')
        ax.margins(0.15, 0.12)
        ax.set_xlabel(axis)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel('PSNR (dB)')
    keys: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            keys.setdefault(name, handle)
    if len(keys) > 1:
        figure.legend(
            keys.values(), keys, loc='outside lower center', ncols=4, fontsize=8
        )
    figure.draw_without_rendering()
    # From here on nothing may move, or labels would
    figure.set_layout_engine('none')
    for ax, (_, points) in zip(axes, panels, strict=True):
        ax.set_xlim(ax.get_xlim())
        ax.set_ylim(ax.get_ylim())
        write_labels(ax, points, lines, len(table.get('seeds') or []))
    return figure
