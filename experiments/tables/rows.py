# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The paper's tables as `tables.yaml` describes them, and the figures of their runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .jobs import Job
from .plan import HERE, read_yaml


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures.

    Args:
        metric: Name of the test metric.
        title: Its title, with the unit.
        digits: Digits after the point.
        percent: Whether to show a part of one in percent.
        best: Which is the best.
        source: Which of a row's runs it is taken from.
    """

    metric: str
    title: str
    digits: int
    percent: bool = False
    best: Literal['max', 'min'] = 'max'
    source: Literal['run', 'as_is'] = 'run'

    @property
    def key(self) -> str:
        """Name of the column's figures."""
        return self.metric if self.source == 'run' else f'{self.metric}_{self.source}'


@dataclass(frozen=True, slots=True)
class Row:
    """A system.

    Args:
        label: What the table calls it.
        run: Its run.
        as_is: Another run of it, see :class:`Column`.
        group: Rows of a kind.
        paper: The paper's figures, by metric.
        reference: Whether it is no system, but something to compare with.
        prefix: Before the names of the run's metrics.
        suffix: After the names of the run's metrics.
    """

    label: str
    run: str
    as_is: str | None = None
    group: str = ''
    paper: Mapping[str, float] = field(default_factory=dict)
    reference: bool = False
    prefix: str = ''
    suffix: str = ''

    @property
    def runs(self) -> list[str]:
        """Names of its runs."""
        return [self.run, *([self.as_is] if self.as_is else [])]


@dataclass(slots=True)
class Table:
    """A table.

    Args:
        number: 1, 2 or 3.
        title: What it shows.
        columns: Its columns.
        rows: Its rows.
        costs: Whether it shows parameters and arithmetic.
        note: What a reader of it must know.
    """

    number: int
    title: str
    columns: list[Column]
    rows: list[Row]
    costs: bool = False
    note: str = ''


#: Figures of a row: a value a seed, by column.
Figures = dict[str, list[float]]


def read_table(number: int) -> Table:
    """Read a table of `tables.yaml`."""
    content = read_yaml(HERE / 'tables.yaml')[number]
    columns = [Column(**column) for column in content.pop('columns')]
    rows = [Row(**row) for row in content.pop('rows')]
    return Table(number, columns=columns, rows=rows, **content)


def metrics_of(
    row: Row, run: str, jobs: Sequence[Job]
) -> Iterator[tuple[Job, dict[str, float]]]:
    """Take the metrics of a row from the results of a run.

    Args:
        row: The row.
        run: One of its runs.
        jobs: All jobs.

    Yields:
        Each job of the run that is done, and the row's metrics by their plain name.
    """
    for job in jobs:
        if job.name == run and (result := job.result()) is not None:
            yield (
                job,
                {
                    metric.removeprefix(row.prefix).removesuffix(row.suffix): value
                    for metric, value in result['metrics'].items()
                    if metric.startswith(row.prefix) and metric.endswith(row.suffix)
                },
            )


def figures(row: Row, jobs: Sequence[Job]) -> Figures:
    """Collect the figures of a row: all metrics of its runs that are done.

    Args:
        row: The row.
        jobs: All jobs.

    Returns:
        A value a seed for each metric; those of the second run end in ``_as_is``.
    """
    found: Figures = {}
    for name, ending in zip(row.runs, ('', '_as_is'), strict=False):
        for _, metrics in metrics_of(row, name, jobs):
            for metric, value in metrics.items():
                found.setdefault(metric + ending, []).append(value)
    return found
