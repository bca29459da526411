# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a figure of fidelity against cost needs of a table of results, and of speeds."""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Case of the speed table that is drawn: dtype and size of the batch.
DTYPE, BATCH = 'fp32', 1


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        label: What to call it.
        model: Name of the model, None where there is none.
        group: Heading that the row stands under.
        psnr: PSNR in dB, one a seed.
        costs: Multiply-adds in 10⁹ and parameters in 10⁶, as far as it has any.
    """

    label: str
    model: str | None
    group: str
    psnr: tuple[float, ...]
    costs: dict[str, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.psnr)

    @property
    def marked(self) -> bool:
        """Whether it is TDP-CR or a variant of it."""
        return (self.model or '').startswith('tdpcr')

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds, 0 where there is one only."""
        return statistics.stdev(self.psnr) if len(self.psnr) > 1 else 0.0


def read_json(path: Path, key: str) -> dict[str, Any]:
    """Read a JSON file that must have a key.

    Raises:
        SystemExit: If it cannot be read, or lacks the key.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        found[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            f"'{path}' cannot be read as JSON with `{key}` ({error!r}). Give a file that "
            'the table builder, or for `--speed` `bench_models`, has written.'
        ) from error
    return found


def read_rows(table: dict[str, Any]) -> list[Row]:
    """Take the rows that have a PSNR.

    Args:
        table: The table, as its JSON file has it.

    Returns:
        The rows. Seeds without a finite figure are left out of them.

    Raises:
        ValueError: If no row has a PSNR.
    """
    rows = []
    for row in table['rows']:
        values = (row.get('metrics') or {}).get('psnr') or []
        psnr = tuple(float(v) for v in values if v is not None and math.isfinite(v))
        costs = {key: row[key] for key in ('macs_g', 'params_m') if row.get(key)}
        if psnr:
            # A reference such as the cloudy input names the run that it was taken from
            model = row.get('model') if costs else None
            rows.append(
                Row(
                    row.get('label') or row['run'],
                    model,
                    row.get('group') or '',
                    psnr,
                    costs,
                )
            )
    if not rows:
        raise ValueError(
            'No row has `metrics.psnr`: give a table of cloud removal (`"table": 1`).'
        )
    return rows


def read_speed(results: dict[str, Any]) -> dict[str, float]:
    """Chips per second by model, of one dtype and batch size.

    Args:
        results: What `bench_models` measured, as its JSON file has it.

    Returns:
        Chips per second of the models that ran.

    Raises:
        ValueError: If there are none.
    """
    speed = {
        case['model']: case['chips_per_s']
        for case in results['cases']
        if (case['dtype'], case['batch']) == (DTYPE, BATCH) and 'chips_per_s' in case
    }
    if not speed:
        raise ValueError(
            f'No case of {DTYPE} with batches of {BATCH} has `chips_per_s`: run '
            '`python -m experiments.benchmarks.bench_models` to its end, or leave '
            '`--speed` out.'
        )
    return speed


def reference_lines(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Rows without costs, such as the cloudy input, and those of them not to draw.

    A line far from all points would press these together, out of sight of each other.

    Returns:
        Rows to draw as lines, and rows to name only.
    """
    means = [row.mean for row in rows if row.costs]
    lines = [row for row in rows if not row.costs]
    if not means:
        raise ValueError(
            'No row has `macs_g` or `params_m`: there is nothing to compare.'
        )
    reach = max(max(means) - min(means), 1.0)
    near = [r for r in lines if min(means) - reach <= r.mean <= max(means) + reach]
    return near, [row for row in lines if row not in near]


def title(table: dict[str, Any]) -> str:
    """Say which data, scale and seeds a table is of."""
    seeds = table.get('seeds') or []
    names = ', '.join(str(seed) for seed in seeds)
    number = 'seed' if len(seeds) == 1 else 'seeds'
    recipe = f', recipe {table["recipe"]}' if table.get('recipe') else ''
    return (
        f'Fidelity against cost: {table.get("data", "unknown")} data, '
        f'scale {table.get("scale", "unknown")}, {number} {names or "unknown"}{recipe}'
    )
