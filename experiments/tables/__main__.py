# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tables I, II and III of the paper, on real or on synthetic data.

    python -m experiments.tables all --data synthetic --scale tiny --seeds 0 1 2
    python -m experiments.tables 1 --data osfcr --root /data/LuojiaSET-OSFCR

Every row is one or two runs, and every run a YAML in `runs/`. Runs that rows share are
trained once. Those that are done are not run again, and one that was killed goes on where
it was: start the same command again. The tables are printed, and written as Markdown,
CSV, LaTeX and JSON.

It checks the options and starts Snakemake, which can be called by itself as well, on a
cluster for instance: see `Snakefile`.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torchgeo_tdpcr.locks import Lock, LockedError
from torchgeo_tdpcr.signals import INTERRUPTED, Terminated, ending_on_sigterm

from .jobs import LOG, Job
from .options import DEFAULT_SCALE, Options
from .plan import HERE
from .planning import Plan, make_plan
from .progress import Progress

#: The torchgeo command, '' for the one on the path.
TORCHGEO = ''
#: Seconds between two looks at the runs.
POLL = 2.0
#: Where the commands of this environment lie.
BIN = Path(sys.executable).parent


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.tables',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('tables', nargs='+', choices=['1', '2', '3', 'all'], help='which tables')
    add('--data', choices=list(DEFAULT_SCALE), default='synthetic')
    add('--root', help='folder of the data set; synthetic sets are made where missing')
    add(
        '--scale',
        help="'tiny', 'cpu', 'small', 'full' or a YAML file like those in scales/",
    )
    add('--seeds', nargs='+', type=int, default=[0], help='one run each (default: 0)')
    add('--jobs', type=int, default=1, help='runs at a time (default: 1)')
    add('--rows', nargs='+', metavar='RUN', help='only the rows of these runs')
    add('--add', nargs='+', default=[], metavar='FILE.py', help='your models')
    add('--recipe', choices=['common', 'own'], default='common', help='of the training')
    add('--set', nargs='+', default=[], metavar='KEY=VALUE', help='torchgeo settings')
    add('--out', default='runs/tables', help='folder of the runs')
    add('--results', help='folder of the tables (default: with the runs)')
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        '--plan', action='store_true', help='print what would be run, and stop'
    )
    only.add_argument(
        '--done', action='store_true', help='run nothing: tables of what is done'
    )
    args = parser.parse_args(argv)
    if args.data == 'osfcr' and not args.root:
        parser.error('--data osfcr: give the folder of LuojiaSET-OSFCR as --root')
    if args.jobs < 1:
        parser.error(f'--jobs {args.jobs}: give 1 or more')
    if len(set(args.seeds)) != len(args.seeds):
        parser.error(f'--seeds {args.seeds}: give each once')
    for file in args.add:
        if not Path(file).is_file():
            parser.error(f'--add {file}: no such file')
    return args


def options_of(args: argparse.Namespace) -> Options:
    """Turn what the command line says into options."""
    values: dict[str, Any] = vars(args).copy()
    jobs, tables = values.pop('jobs'), values.pop('tables')
    del values['plan'], values['done']
    several = {
        name: tuple(values[name])
        for name in ('seeds', 'rows', 'add', 'set')
        if values[name] is not None
    }
    return Options(
        **values | several,
        tables=(1, 2, 3) if 'all' in tables else tuple(sorted(set(map(int, tables)))),
        threads=max((os.cpu_count() or 1) // jobs, 1),
        torchgeo=TORCHGEO,
    )


def snakemake(
    options: Options, jobs: int, *flags: str, progress: Progress | None = None
) -> int:
    """Run all runs with Snakemake, or end it and its jobs with this process.

    Args:
        options: What the user chose.
        jobs: Runs at a time.
        flags: More arguments.
        progress: Tells what the runs have come to, None for nothing.

    Returns:
        Its exit status.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, '-m', 'snakemake', 'runs'),
            f'--snakefile={HERE / "Snakefile"}',
            f'--cores={jobs * options.threads}',
            # This process holds a lock that cannot outlive it
            '--nolock',
            *flags,
            *('--config', *options.as_config()),
        ],
        start_new_session=True,
        # The commands of this environment, also where it is not activated
        env={**os.environ, 'PATH': f'{os.environ["PATH"]}{os.pathsep}{BIN}'},
    )
    try:
        while True:
            try:
                status = process.wait(timeout=POLL)
                break
            except subprocess.TimeoutExpired:
                tell(progress)
        tell(progress)
        return status
    except (KeyboardInterrupt, Terminated):
        # Snakemake would wait for its jobs
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def tell(progress: Progress | None) -> None:
    """Print what the runs have come to."""
    for line in progress.lines() if progress else ():
        print(line, flush=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of the runs against a second command.

    Raises:
        BlockingIOError: If another command holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder / '.lock')
    try:
        lock.take()
    except LockedError as error:
        raise BlockingIOError(
            f"'{folder}' is in use by another command ({error.holder}). Wait for its "
            'end, or give another `--out`.'
        ) from None
    try:
        yield
    finally:
        lock.release()


def what_went_wrong(job: Job) -> str:
    """Say in a line why a job has no result."""
    about, log = f'{job.name}, seed {job.seed}', job.folder / LOG
    missing = [other.name for other in job.needs.values() if not other.fitted.is_file()]
    if missing:
        return f'{about}: not run, for it needs {missing[0]}'
    if not log.is_file():
        return f'{about}: not run'
    lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
    return f"{about}: failed, see '{log}': {lines[-1] if lines else 'it is empty'}"


def prepare(args: argparse.Namespace) -> Plan:
    """Plan, and refuse what would fail only after hours.

    Raises:
        OSError: If a file or folder is missing, or holds something else.
        ValueError: If a choice is none, or one of the user's models does not fit in.
    """
    options = options_of(args)
    if args.data == 'osfcr' and not args.plan and not options.data_root.is_dir():
        raise FileNotFoundError(
            f'`--root {args.root}`: no such folder. Give that of LuojiaSET-OSFCR.'
        )
    plan = make_plan(options)
    if args.add:
        # It imports torch, which takes longer than all the rest
        from .added import try_model

        # One seed of each is enough
        tried = {
            job.name: job
            for job in plan.jobs.values()
            if job.run.task['model'] in plan.added and job.result() is None
        }
        for job in tried.values():
            try_model(job.run.task['model'], job.model_kwargs)
    return plan


# So that a `kill` ends the processes of the runs as Ctrl-C does
@ending_on_sigterm()
def main(argv: list[str] | None = None) -> int:
    """Plan, run, and write the tables.

    Returns:
        0, 1 where a run failed, or 2 where a choice is none or Snakemake is missing.

    Raises:
        SystemExit: On Ctrl-C, with 130, and on SIGTERM, with 143.
    """
    args = arguments(argv)
    if not args.done and find_spec('snakemake') is None:
        print(
            'The tables need Snakemake: `uv sync --group tables`, or '
            "`pip install 'snakemake>=9,<10'`.",
            file=sys.stderr,
        )
        return 2
    try:
        plan = prepare(args)
        options = plan.options
        done = sum(job.result() is not None for job in plan.jobs.values())
        print(
            f'{len(plan.jobs)} runs, {done} of them done: {options.folder}', flush=True
        )
        if args.plan:
            return snakemake(options, args.jobs, '--dry-run')
        if args.done and not done:
            raise FileNotFoundError(
                f"'{options.folder}' has no results of these runs. Leave out `--done` to "
                'make them, or give the folder of other results as `--out`: those of the '
                'documentation are in `docs/results/runs`.'
            )
        status = 0
        if done < len(plan.jobs) and not args.done:
            with locked(options.folder):
                progress = Progress(plan.jobs.values())
                status = snakemake(options, args.jobs, progress=progress)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Terminated) as end:
        print('Interrupted. The same command goes on from here.', file=sys.stderr)
        raise SystemExit(getattr(end, 'code', INTERRUPTED)) from None
    for job in plan.jobs.values():
        if job.result() is None:
            print(what_went_wrong(job))
    # Not by Snakemake: what is there makes a table also where a run has failed
    from .report import write_table

    for table in plan.tables.values():
        print(write_table(table, list(plan.jobs.values()), options))
    return min(status, 1)


if __name__ == '__main__':
    sys.exit(main())
