# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Whether the order of the systems is that of the paper."""

from itertools import combinations
from statistics import mean

from .rows import Column, Figures, Table


def order_in_words(table: Table, found: list[Figures]) -> str:
    """Compare the order of each two systems with the paper's, in each column.

    Two systems have an order here only if it is the same with every seed.

    Args:
        table: The table.
        found: Figures of its rows.

    Returns:
        A line for each column that the paper has, '' if there is none.
    """
    lines = []
    for column in table.columns:
        same, reverse, open_ = compare(table, found, column)
        if not (same or reverse or open_):
            continue
        line = (
            f'- {column.title}: of {len(same) + len(reverse) + open_} pairs of systems '
            f'{len(same)} in the order of the paper with every seed, {len(reverse)} in '
            f'the reverse order with every seed, {open_} undecided.'
        )
        if reverse:
            named = '; '.join(f'{better} over {worse}' for better, worse in reverse)
            line += f' In reverse: {named}.'
        lines.append(line)
    if not lines:
        return ''
    return 'Order of the systems beside that of the paper:\n\n' + '\n'.join(lines)


def compare(
    table: Table, found: list[Figures], column: Column
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], int]:
    """Compare the order of each two systems in a column with the paper's.

    Returns:
        Pairs in the paper's order, pairs in the reverse order (better, worse, as found
        here), and the number of those that the seeds do not agree on. Pairs that are
        equal in the paper are none of these.
    """
    sign = 1 if column.best == 'max' else -1
    same: list[tuple[str, str]] = []
    reverse: list[tuple[str, str]] = []
    undecided = 0
    rows = [
        (row, values[column.key])
        for row, values in zip(table.rows, found, strict=True)
        if column.key in row.paper and values.get(column.key)
    ]
    seen: set[frozenset[str]] = set()
    for (one, a), (other, b) in combinations(rows, 2):
        # A run may be two rows of a table
        if (runs := frozenset((one.run, other.run))) in seen:
            continue
        seen.add(runs)
        expected = sign * (one.paper[column.key] - other.paper[column.key])
        if not expected or one.run == other.run or len(a) != len(b):
            continue
        signs = {(x > y) - (x < y) for x, y in zip(a, b, strict=True)}
        if len(signs) != 1 or 0 in signs:
            undecided += 1
            continue
        ahead = sign * (mean(a) - mean(b)) > 0
        pair = (one.label, other.label) if ahead else (other.label, one.label)
        (same if ahead == (expected > 0) else reverse).append(pair)
    return same, reverse, undecided
