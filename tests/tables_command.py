# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Loads the command of the tables: its modules lie in no package."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

TABLES = Path(__file__).parents[1] / 'experiments' / 'tables'


class Tables(NamedTuple):
    """The command of the tables."""

    main: Callable[[list[str]], int]
    execute: ModuleType
    plan: ModuleType
    rows: ModuleType
    schedule: ModuleType
    order: ModuleType
    folder: Path


@contextmanager
def load() -> Iterator[Tables]:
    """Load it, with its folder importable meanwhile."""
    sys.path.insert(0, str(TABLES))
    try:
        # By its file: other folders have a `run.py`, too
        spec = spec_from_file_location('tables_run', TABLES / 'run.py')
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        names = ('execute', 'plan', 'rows', 'schedule', 'order')
        yield Tables(module.main, *map(import_module, names), TABLES)
    finally:
        sys.path.remove(str(TABLES))
