# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The tables of what the prompt encodes, in Markdown."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ...markdown import cell, table
from .features import PROMPT
from .interventions import CASES

#: Columns of what is read linearly or by its channels: score, title, digits.
CHANNELS = (
    ('rho', 'ρ, strongest channel', 2),
    ('rho_mean', 'mean absolute ρ', 2),
    ('r2', 'R², thickness', 2),
    ('r2_log', 'R², log(1 + thickness)', 2),
    ('auc', 'AUC, best channel', 3),
    ('auc_probe', 'AUC, all channels', 3),
)

#: Columns of the SAR weights.
WEIGHTS = (
    ('rho', 'ρ of the mean', 2),
    ('auc', 'AUC of the mean', 3),
    ('r2', 'R², thickness', 2),
    ('r2_log', 'R², log(1 + thickness)', 2),
    ('auc_probe', 'AUC, all channels', 3),
)


def _cells(rows: Iterable[Any], columns: Sequence[tuple[str, str, int]]) -> list[str]:
    """One cell a column, of the scores of several seeds."""
    scores = list(rows)
    return [
        cell((row.get(key) for row in scores), digits) for key, _, digits in columns
    ]


def _used(columns: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """The columns that the data have a truth for."""
    keys = set(results[0]['bands'])
    return [column for column in columns if column[0] in keys]


def page(groups: dict[str, list[Any]]) -> str:
    """Write the tables of one data set.

    Args:
        groups: What :func:`~.measuring.measure` has returned for each seed, by run.

    Returns:
        Markdown.
    """
    every = [result for results in groups.values() for result in results]
    first = every[0]
    columns = _used(CHANNELS, every)
    header = ['run', 'read from', *(title for _, title, _ in columns)]
    bands = {json.dumps(result['bands']): result['bands'] for result in every}
    rows = [['–', 'cloudy bands', *_cells([b], columns)] for b in bands.values()]
    weights = _used(WEIGHTS, every)
    stages: list[list[str]] = []
    changes: list[list[str]] = []
    for run, results in groups.items():
        fresh = results[0]['untrained']
        for name in results[0]['trained']:
            for title, scores in (
                ('trained', [result['trained'] for result in results]),
                ('untrained', fresh),
            ):
                found = [score[name] for score in scores]
                if name == PROMPT:
                    rows.append([run, f'prompt, {title}', *_cells(found, columns)])
                else:
                    stages.append([run, name, title, *_cells(found, weights)])
        for kind in ('cloudy', 'clear'):
            done = [result['interventions'] for result in results]
            psnr = [
                cell(case.get(name, {}).get(f'psnr_{kind}') for case in done)
                for name in CASES
            ]
            changes.append([run, kind, *psnr])
    seeds = sorted({len(results) for results in groups.values()})
    return '\n\n'.join([
        f'Chosen and fitted on {first["fit_chips"]} chips, scored on '
        f'{first["held_chips"]} others. Seeds a run: {" or ".join(map(str, seeds))}; '
        f'initialisations of untrained models: {len(first["untrained"])}.',
        '### Prompt',
        table(header, rows, 2),
        '### Weight of SAR',
        table(['run', 'stage', 'model', *(t for _, t, _ in weights)], stages, 3),
        '### PSNR (dB) after a change at test time',
        table(['run', 'pixels', *CASES.values()], changes, 2),
    ])  # fmt: skip
