# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The tables that were asked for, and a job of every run and seed behind them.

The same for all who need it: the command, Snakemake, and each of its jobs on a cluster.
What cannot be right is refused here, before anything is trained.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .jobs import Job
from .options import Options
from .plan import (
    Run,
    Scale,
    check_override,
    compose,
    fingerprint,
    read_scale,
    read_yaml,
    with_needs,
)
from .rows import Table, read_table

#: A run with a seed.
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Tables and the jobs behind them.

    Args:
        options: What the user chose.
        scale: The scale.
        tables: The tables, by number.
        jobs: A job of every run and seed, each after those that it needs.
        added: Names of the user's models.
    """

    options: Options
    scale: Scale
    tables: dict[int, Table]
    jobs: dict[Key, Job]
    added: tuple[str, ...] = ()

    def jobs_of(self, number: int) -> list[Job]:
        """Jobs of the rows of a table."""
        names = {name for row in self.tables[number].rows for name in row.runs}
        return [job for job in self.jobs.values() if job.name in names]

    def names(self, training: str) -> list[str]:
        """Names of the runs that train in a way."""
        return sorted(
            {
                job.name
                for job in self.jobs.values()
                if job.run.trains and job.run.task['training'] == training
            }
        )

    def epochs(self, training: str) -> int:
        """Epochs of the runs that train in a way."""
        return _epochs(self.options, self.scale, training)


def make_plan(options: Options) -> Plan:
    """Plan the tables.

    Args:
        options: What the user chose.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: If a file or the folder of the data is missing.
        FileExistsError: If the folder of the data holds other synthetic data.
        ValueError: If a choice is none, or the runs' folder holds runs with other
            settings.
    """
    scale = read_scale(options.scale_name)
    tables = {number: read_table(number) for number in sorted(set(options.tables))}
    known: dict[str, Run] = {}
    models: list[str] = []
    if options.add:
        # They import torch, which takes longer than all the rest
        from .added import add_rows, added_models, added_runs

        models = added_models([Path(file) for file in options.add])
        known = {run.name: run for model in models for run in added_runs(model)}
        for table in tables.values():
            add_rows(table, models)
    if options.rows is not None:
        _select(tables.values(), options.rows)
    names = [name for t in tables.values() for row in t.rows for name in row.runs]
    jobs = _jobs(options, scale, with_needs(names, known))
    if options.data == 'synthetic':
        _check_synthetic(options.data_root, scale)
    for job in jobs.values():
        job.result()
    return Plan(options, scale, tables, jobs, tuple(models))


def synthetic_file(root: Path) -> Path:
    """The file that a synthetic data set has once it is complete."""
    return root / 'LuojiaSET-OSFCR' / 'synthetic.json'


def _select(tables: Iterable[Table], runs: Iterable[str]) -> None:
    """Keep the rows of some runs only, and what they are compared with."""
    known = {row.run for table in tables for row in table.rows}
    if unknown := set(runs) - known:
        raise ValueError(
            f'`--rows {" ".join(sorted(unknown))}`: no such rows in these tables. There '
            f'are: {" ".join(sorted(known))}.'
        )
    for table in tables:
        kept = [row for row in table.rows if row.run in runs and not row.reference]
        # Any run of the table can tell of the input, or of the commonest class, as all are
        # tested on the same chips; but not what another run has learnt
        references = [
            row if row.run in runs else replace(row, run=kept[0].run)
            for row in table.rows
            if row.reference and kept and (row.run in runs or row.prefix or row.suffix)
        ]
        table.rows = [*references, *kept]


def _jobs(options: Options, scale: Scale, runs: list[Run]) -> dict[Key, Job]:
    """Make a job of every run and seed."""
    overrides = [check_override(text) for text in options.set]
    jobs: dict[Key, Job] = {}
    for seed in options.seeds:
        for run in runs:
            layers = compose(run, scale, options.data, seed, options.recipe)
            needs = {what: jobs[name, seed] for what, name in run.needs.items()}
            # Where the data lie is no part of what a run is
            print_ = fingerprint(
                layers,
                overrides,
                [f'{what}:{job.fingerprint}' for what, job in needs.items()],
            )
            jobs[run.name, seed] = Job(
                run,
                seed,
                options.run_folder(run.name, seed),
                layers,
                overrides,
                _epochs(options, scale, run.task['training']),
                print_,
                needs,
                options.data_root,
            )
    return jobs


def _epochs(options: Options, scale: Scale, training: str) -> int:
    """Epochs of a training, which a setting of the user's may change."""
    epochs = scale.epochs.get(training, 0)
    for override in options.set:
        key, _, value = override.partition('=')
        if key == 'trainer.max_epochs':
            if not value.isdecimal() or not int(value):
                raise ValueError(
                    f'`--set {override}`: give a number of epochs above 0.'
                )
            epochs = int(value)
    return epochs


def _check_synthetic(root: Path, scale: Scale) -> None:
    """Raise if a folder holds a synthetic set that another scale has made."""
    path = synthetic_file(root)
    made = read_yaml(path) if path.is_file() else {}
    other = {
        name: made[name]
        for name, value in scale.synthetic.items()
        if made.get(name, value) != value
    }
    if other:
        raise FileExistsError(
            f"'{path.parent}' holds a synthetic data set made with {other}, not "
            f'{dict(scale.synthetic)}. Give another `--root`, or delete that folder.'
        )
