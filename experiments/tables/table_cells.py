# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The cells of a table: ours with their spread, and the paper's beside them."""

from collections.abc import Mapping, Sequence
from statistics import mean

from ..markdown import cell
from .rows import Column, Figures, Table

Cells = list[str]

#: What a system costs, and how the table calls it.
COSTS = {'params_m': 'Parameters (M)', 'macs_g': 'Multiply-adds (G)'}
PAPER_COSTS = {'params_m': 'paper: parameters (M)', 'flops_g': 'paper: FLOPs (G)'}


def is_text(title: str) -> bool:
    """Whether a column holds text rather than figures."""
    return title in ('Kind', 'System')


def number(values: Sequence[float], column: Column) -> str:
    """Format the values of a cell: their mean, and their spread if there are several."""
    factor = 100 if column.percent else 1
    return cell([factor * value for value in values], column.digits)


def best_cells(table: Table, found: list[Figures]) -> set[tuple[int, str]]:
    """Row and title of the best cell of each column, references left out."""
    best = set()
    for column in table.columns:
        sign = 1 if column.best == 'max' else -1
        means = [
            (sign * mean(values[column.key]), i)
            for i, (row, values) in enumerate(zip(table.rows, found, strict=True))
            if column.key in values and not row.reference
        ]
        if means:
            best.add((max(means)[1], column.title))
    return best


def table_cells(
    table: Table, found: list[Figures], costs: list[dict[str, float]], seeds: int
) -> tuple[Cells, list[Cells]]:
    """Header and rows of a table, with the paper's column beside ours.

    Args:
        table: The table.
        found: Figures of its rows.
        costs: Costs of its rows, empty where they are not shown.
        seeds: How many runs each row should have.

    Returns:
        Titles, and the cells of each row.
    """
    rows = table.rows
    grouped = any(row.group for row in rows)
    with_paper = {c.key for c in table.columns if any(c.key in r.paper for r in rows)}
    paper_costs = {
        k: t for k, t in PAPER_COSTS.items() if any(k in r.paper for r in rows)
    }
    header = [*(['Kind'] if grouped else []), 'System']
    for column in table.columns:
        header += [column.title, *(['paper'] if column.key in with_paper else [])]
    if table.costs:
        header += [*COSTS.values(), 'FLOPs (G)', *paper_costs.values()]
    cells = []
    for row, values, cost in zip(rows, found, costs, strict=True):
        line = [*([row.group] if grouped else []), row.label]
        for column in table.columns:
            value = values.get(column.key, [])
            # A run that lacks a seed must not look like one with all
            some = f' (n = {len(value)})' if len(value) < seeds else ''
            line.append(number(value, column) + some if value else '–')
            if column.key in with_paper:
                line.append(_plain(row.paper, column.key, column.digits))
        if table.costs:
            line += [_plain(cost, key, 3) for key in COSTS]
            line.append(f'{2 * cost["macs_g"]:.3f}' if cost else '–')
            line += [_plain(row.paper, key, 2) for key in paper_costs]
        cells.append(line)
    return header, cells


def _plain(values: Mapping[str, float], key: str, digits: int) -> str:
    return f'{values[key]:.{digits}f}' if key in values else '–'
