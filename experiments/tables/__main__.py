# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tables I, II and III of the paper, on real or on synthetic data.

    python experiments/tables/run.py all --data synthetic --scale tiny --seeds 0 1 2
    python experiments/tables/run.py 1 --data osfcr --root /data/LuojiaSET-OSFCR

Every row is one or two runs, and every run a YAML in `runs/`. Runs that rows share are
trained once. Those that are done are not run again, and one that was killed goes on where
it was: start the same command again. The tables are printed, and written as Markdown,
CSV, LaTeX and JSON.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from torchgeo_tdpcr import SyntheticOSFCR

from .added import add_rows, added_models, added_runs, try_model
from .execute import Job, RunConflictError
from .plan import (
    HERE,
    Run,
    Scale,
    compose,
    fingerprint,
    parse_override,
    read_scale,
    read_yaml,
    with_needs,
)
from .report import write_table
from .rows import Table, read_table
from .schedule import Key, execute_all, threads_for

DEFAULT_SCALE = {'osfcr': 'full', 'synthetic': 'tiny'}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    add = parser.add_argument
    add('tables', nargs='+', choices=['1', '2', '3', 'all'], help='which tables')
    add('--data', choices=list(DEFAULT_SCALE), default='synthetic')
    add('--root', help='folder of the data set; synthetic sets are made where missing')
    add('--scale', help="'tiny', 'small', 'full' or a YAML file like those in scales/")
    add('--seeds', nargs='+', type=int, default=[0], help='one run each (default: 0)')
    add('--jobs', type=int, default=1, help='runs at a time; 0: in this process')
    add('--rows', nargs='+', metavar='RUN', help='only the rows of these runs')
    add(
        '--add', nargs='+', type=Path, default=[], metavar='FILE.py', help='your models'
    )
    add('--recipe', choices=['common', 'own'], default='common', help='of the training')
    add('--set', nargs='+', default=[], metavar='KEY=VALUE', help='torchgeo settings')
    add('--out', type=Path, default=Path('runs/tables'), help='folder of the runs')
    add('--results', type=Path, help='folder of the tables (default: with the runs)')
    add('--plan', action='store_true', help='print what would be run, and stop')
    args = parser.parse_args(argv)
    args.scale = args.scale or DEFAULT_SCALE[args.data]
    if args.data == 'osfcr' and not args.root:
        parser.error('--data osfcr: give the folder of LuojiaSET-OSFCR as --root')
    if args.jobs < 0:
        parser.error(f'--jobs {args.jobs}: give 0 or more')
    if len(set(args.seeds)) != len(args.seeds):
        parser.error(f'--seeds {args.seeds}: give each once')
    for file in args.add:
        if not file.is_file():
            parser.error(f'--add {file}: no such file')
    args.tables = ['1', '2', '3'] if 'all' in args.tables else sorted(set(args.tables))
    kind = Path(args.scale).stem + ('-own' if args.recipe == 'own' else '')
    args.name = f'{args.data}-{kind}'
    args.runs = args.out / args.name
    args.results = args.results or args.runs
    return args


def select(tables: list[Table], runs: list[str]) -> None:
    """Keep the rows of some runs only.

    Raises:
        ValueError: If there is no row of one of them.
    """
    known = {row.run for table in tables for row in table.rows}
    if unknown := set(runs) - known:
        raise ValueError(
            f'--rows {" ".join(sorted(unknown))}: no such rows in these tables. There '
            f'are: {" ".join(sorted(known))}.'
        )
    for table in tables:
        table.rows = [row for row in table.rows if row.run in runs]


def data_root(args: argparse.Namespace, scale: Scale) -> Path:
    """Folder of the data; a synthetic set is made, unless it is there.

    Raises:
        FileNotFoundError: If there is no folder of real data.
    """
    if args.data == 'osfcr':
        if not (Path(args.root).is_dir() or args.plan):
            raise FileNotFoundError(
                f'--root {args.root}: no such folder. Give that of LuojiaSET-OSFCR.'
            )
        return Path(args.root)
    root = Path(args.root or args.runs / 'data')
    if not args.plan:
        SyntheticOSFCR(root, **scale.synthetic).generate()
    return root


def plan_jobs(
    args: argparse.Namespace, runs: list[Run], scale: Scale, root: Path
) -> tuple[list[Job], dict[Key, list[Key]]]:
    """Make a job of every run and seed.

    Returns:
        The jobs, each after what it needs, and what that is.
    """
    data: dict[str, Any] = read_yaml(HERE / 'data' / f'{args.data}.yaml')
    overrides = [parse_override(text) for text in args.set]
    jobs: dict[Key, Job] = {}
    needs: dict[Key, list[Key]] = {}
    for seed in args.seeds:
        for run in runs:
            settings = compose(run, scale, data, seed, overrides, args.recipe)
            needed = {what: jobs[name, seed] for what, name in run.needs.items()}
            prints = [f'{what}:{job.fingerprint}' for what, job in needed.items()]
            # Where the data lie is no part of what a run is
            print_ = fingerprint(settings, prints)
            settings['data']['init_args']['paths'] = str(root)
            for what, job in needed.items():
                settings['model']['init_args'][what] = str(job.checkpoint)
            key = run.name, seed
            needs[key] = [(name, seed) for name in run.needs.values()]
            jobs[key] = Job(
                run.name,
                seed,
                args.runs / run.name / f'seed{seed}',
                settings,
                print_,
                trains=run.trains,
                modules=args.add,
                threads=threads_for(args.jobs),
            )
    return list(jobs.values()), needs


def main(argv: list[str] | None = None) -> int:
    """Plan, run, and write the tables.

    Returns:
        0, or 1 where a run failed.
    """
    args = arguments(argv)
    # So that a `kill` ends the processes of the runs as Ctrl-C does
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        scale = read_scale(args.scale)
        models = added_models(args.add)
        tables = [read_table(int(number)) for number in args.tables]
        for table in tables:
            add_rows(table, models)
        if args.rows is not None:
            select(tables, args.rows)
        known = {run.name: run for name in models for run in added_runs(name)}
        names = [name for table in tables for row in table.rows for name in row.runs]
        runs = with_needs(names, known)
        jobs, needs = plan_jobs(args, runs, scale, data_root(args, scale))
        open_jobs = [job for job in jobs if job.result() is None]
        for job in open_jobs:
            task = job.settings['model']['init_args']
            if task['model'] in models and job.seed == args.seeds[0]:
                try_model(task['model'], task.get('model_kwargs', {}))
    except (FileNotFoundError, FileExistsError, ValueError, RunConflictError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{len(jobs)} runs, {len(jobs) - len(open_jobs)} of them done: {args.runs}')
    if args.plan:
        for job in open_jobs:
            after = ', '.join(name for name, _ in needs[job.name, job.seed])
            print(
                f'  {job.name}, seed {job.seed}{f" (after {after})" if after else ""}'
            )
        return 0
    failed = execute_all(open_jobs, needs, args.jobs)
    for table in tables:
        print(write_table(table, jobs, args))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
