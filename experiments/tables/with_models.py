# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The torchgeo command that knows models of the user's.

    python -m experiments.tables.with_models my_model.py -- fit --config …

The rules of the Snakefile call it where there are such models.
"""

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def import_models(files: Sequence[Path]) -> None:
    """Import Python files that register models, once in a process."""
    for file in files:
        name = f'_tables_added_{file.stem}'
        if name not in sys.modules:
            spec = spec_from_file_location(name, file)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])


def main(argv: list[str]) -> None:
    """Import the files before ``--``, then run the torchgeo command on what follows."""
    from torchgeo.main import main as torchgeo

    from torchgeo_tdpcr._command import quieten

    quieten()
    end = argv.index('--')
    import_models([Path(file) for file in argv[:end]])
    torchgeo(argv[end + 1 :])


if __name__ == '__main__':
    main(sys.argv[1:])
