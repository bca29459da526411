# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing a table with mean and standard deviation over seeds, beside the paper's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.models import count_costs

from ..markdown import table as markdown
from .jobs import Job
from .options import Options
from .order import order_in_words
from .rows import Column, Figures, Row, Table, figures, metrics_of
from .table_cells import best_cells, is_text, number, table_cells

Cells = list[str]

#: Models with encoders that may start from ImageNet.
ENCODERS = {'cloudseg': 'CloudSeg', 'segcr': 'SegCR', 'segformer': 'SegFormer'}

#: What they start from, by the argument.
STARTS = {None: 'at random', 'imagenet': 'from ImageNet'}


def write_table(table: Table, jobs: Sequence[Job], options: Options) -> str:
    """Write a table as Markdown, CSV, LaTeX and JSON.

    Args:
        table: The table.
        jobs: Its runs, and maybe more.
        options: What the command line chose.

    Returns:
        The Markdown.
    """
    found = [figures(row, jobs) for row in table.rows]
    costs = [_costs(row, jobs) if table.costs else {} for row in table.rows]
    header, rows = table_cells(table, found, costs, len(options.seeds))
    best = best_cells(table, found)
    path = options.table_file(table.number)
    about = (
        f'Table {"I" * table.number}. {table.title}. Data: {options.data}; scale: '
        f'{Path(options.scale_name).stem}; recipe: {options.recipe}; seeds: '
        f'{", ".join(map(str, options.seeds))}.'
    )
    if len(options.seeds) > 1:
        about += ' Mean ± standard deviation over the seeds.'
    sections = [about, _markdown(header, rows, best), table.note]
    sections.append(_encoders(table, jobs))
    sections.append(order_in_words(table, found))
    sections += [_by_cover(table, found), _by_class(table, found)]
    text = '\n\n'.join(section for section in sections if section) + '\n'
    write_text(path.with_suffix('.md'), text)
    write_text(path.with_suffix('.tex'), _latex(about, header, rows, best))
    write_text(path.with_suffix('.csv'), _csv(table, jobs))
    write_text(path.with_suffix('.json'), _json(table, found, costs, jobs, options))
    return text


def _markdown(header: Cells, rows: list[Cells], best: set[tuple[int, str]]) -> str:
    """A table in Markdown, the best in bold."""
    bold = [
        [
            f'**{c}**' if (i, t) in best else c
            for c, t in zip(cells, header, strict=True)
        ]
        for i, cells in enumerate(rows)
    ]
    return markdown(header, bold, sum(map(is_text, header)))


def _latex(
    about: str, header: Cells, rows: list[Cells], best: set[tuple[int, str]]
) -> str:
    """A table in LaTeX, for the package booktabs."""
    signs = {
        '%': r'\%',
        'λ': r'$\lambda$',
        '±': r'$\pm$',
        '°': r'$^\circ$',
        '–': '--',
        '_': r'\_',
    }

    def escape(text: str) -> str:
        return ''.join(signs.get(letter, letter) for letter in text)

    lines = [
        f'% {about}',
        rf'\begin{{tabular}}{{{"".join("l" if is_text(t) else "r" for t in header)}}}',
        r'\toprule',
        ' & '.join(map(escape, header)) + r' \\',
        r'\midrule',
    ]
    for i, cells in enumerate(rows):
        if i and header[0] == 'Kind' and cells[0] != rows[i - 1][0]:
            lines.append(r'\midrule')
        shown = [
            rf'\textbf{{{escape(cell)}}}' if (i, title) in best else escape(cell)
            for cell, title in zip(cells, header, strict=True)
        ]
        lines.append(' & '.join(shown) + r' \\')
    return '\n'.join([*lines, r'\bottomrule', r'\end{tabular}', ''])


def _csv(table: Table, jobs: Sequence[Job]) -> str:
    """All metrics of all rows of the table, a value a line."""
    lines = []
    for row in table.rows:
        about = {'table': table.number, 'kind': row.group, 'system': row.label}
        for name in row.runs:
            for job, metrics in metrics_of(row, name, jobs):
                which = {'run': name, 'seed': job.seed}
                lines += [
                    {**about, **which, 'metric': metric, 'value': f'{value:.6g}'}
                    for metric, value in metrics.items()
                ]
    text: str = pd.DataFrame(lines).to_csv(index=False)
    return text


def _json(
    table: Table,
    found: list[Figures],
    costs: list[dict[str, float]],
    jobs: Sequence[Job],
    options: Options,
) -> str:
    """The table for other programs."""
    models = {job.name: job.run.task['model'] for job in jobs}
    keys = {column.key for column in table.columns}
    rows: list[dict[str, Any]] = []
    for row, values, cost in zip(table.rows, found, costs, strict=True):
        shown = {key: value for key, value in values.items() if key in keys}
        entry = {'label': row.label, 'run': row.run, 'model': models[row.run]}
        entry |= {'group': row.group, **cost, 'metrics': shown, 'paper': row.paper}
        rows.append(entry)
    about = {
        'table': table.number,
        'data': options.data,
        'scale': Path(options.scale_name).stem,
    }
    content = {**about, 'recipe': options.recipe, 'seeds': options.seeds, 'rows': rows}
    return json.dumps(content, indent=1) + '\n'


def _arguments(name: str, jobs: Sequence[Job]) -> dict[str, Any]:
    """What model a run was of, with what `--set` changed; none without the run."""
    results = (job.result() for job in jobs if job.name == name)
    # A result of an earlier version does not say
    arguments: dict[str, Any] = next(filter(None, results), {}).get('task', {})
    return arguments


def _encoders(table: Table, jobs: Sequence[Job]) -> str:
    """What the encoders that may be trained ones started from."""
    starts: dict[str, set[str]] = {}
    for name in {name for row in table.rows for name in row.runs}:
        arguments = _arguments(name, jobs)
        if arguments.get('model') in ENCODERS:
            weights = (arguments.get('model_kwargs') or {}).get('encoder_weights')
            start = STARTS.get(weights, 'from weights of a file')
            starts.setdefault(start, set()).add(ENCODERS[arguments['model']])
    return ' '.join(
        f'Encoders that started {start}: {", ".join(sorted(names))}.'
        for start, names in sorted(starts.items())
    )


def _costs(row: Row, jobs: Sequence[Job]) -> dict[str, float]:
    """Parameters and multiply-adds of a row's model as it was run."""
    arguments = _arguments(row.run, jobs)
    if row.reference or not arguments:
        return {}
    segments = arguments['training'] != 'cr'
    classes = arguments['num_classes'] if segments else None
    channels = {
        key: arguments[key]
        for key in ('in_channels', 'sar_channels')
        if key in arguments
    }
    costs = count_costs(
        arguments['model'],
        classes,
        **channels,
        **(arguments.get('model_kwargs') or {}),
    )
    return {'params_m': costs.parameters / 1e6, 'macs_g': costs.multiply_adds / 1e9}


def _by_cover(table: Table, found: list[Figures]) -> str:
    """PSNR by the cloud cover of the chips."""
    keys = sorted(
        {key for f in found for key in f if key[:5] == 'psnr_' and key[5:6].isdigit()},
        key=lambda key: int(key.split('_')[1]),
    )
    names = [f'{key[5:].replace("_", "–")} %' for key in keys]
    title = 'PSNR (dB) by cloud cover of the chip'
    return _by(table, found, keys, names, title, Column('', '', 2))


def _by_class(table: Table, found: list[Figures]) -> str:
    """IoU of each class."""
    keys = list(dict.fromkeys(key for f in found for key in f if key[:4] == 'iou_'))
    keys = [key for key in keys if not key.endswith('_as_is')]
    names = [key[4:] for key in keys]
    column = Column('', '', 1, percent=True)
    return _by(table, found, keys, names, 'IoU (%) by class', column)


def _by(
    table: Table,
    found: list[Figures],
    keys: list[str],
    names: list[str],
    title: str,
    column: Column,
) -> str:
    """A second table of the same rows, '' if none has such figures."""
    rows = [
        [row.label, *(number(f[k], column) if k in f else '–' for k in keys)]
        for row, f in zip(table.rows, found, strict=True)
        if any(key in f for key in keys)
    ]
    if not rows:
        return ''
    return f'{title}:\n\n{_markdown(["System", *names], rows, set())}'
