# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The command `torchgeo-tdpcr`: data sets, scenes, figures and reports.

Training and testing go through TorchGeo's own command, ``torchgeo``.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from types import ModuleType

from .commands import (
    figures,
    index,
    inspect_files,
    map_scenes,
    report,
    synthesize,
    synthesize_scene,
    verify,
    weights,
)
from .commands.shared.processes import is_first_process
from .commands.shared.wording import in_options
from .signals import INTERRUPTED, Terminated, ending_on_sigterm

DESCRIPTION = (
    'Data sets, scenes, figures and reports. Training and testing go through '
    "TorchGeo's own command, `torchgeo`."
)

#: Each has NAME, HELP, perhaps DESCRIPTION, add_arguments, check (what is wrong with the
#: arguments, light), doing (what it is about to do, in a line) and run.
COMMANDS: tuple[ModuleType, ...] = (
    map_scenes,
    weights,
    inspect_files,
    report,
    figures,
    verify,
    index,
    synthesize,
    synthesize_scene,
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='torchgeo-tdpcr', description=DESCRIPTION)
    commands = parser.add_subparsers(dest='command', required=True)
    for module in COMMANDS:
        default = f'{module.HELP[0].upper()}{module.HELP[1:]}.'
        command = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=getattr(module, 'DESCRIPTION', default),
        )
        module.add_arguments(command)
        command.set_defaults(module=module, parser=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments (defaults to those of the process).

    Returns:
        Status for the shell: 0 for success, 1 if ``verify`` found faults ``map``
        could not map every scene, or ``inspect`` would not read every file, 2 for errors.

    Raises:
        SystemExit: On Ctrl-C, with 130, and on SIGTERM, with 143.
    """
    args = make_parser().parse_args(argv)
    command = f'torchgeo-tdpcr {args.command}'
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may be no text, and no reason to break off
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        with ending_on_sigterm():
            args.module.check(args)
            if is_first_process():
                # What follows imports PyTorch and TorchGeo, which is silent for long
                print(f'{args.module.doing(args)} …', file=sys.stderr, flush=True)
            status: int = args.module.run(args)
        return status
    except (OSError, ValueError, RuntimeError, ImportError, MemoryError) as error:
        text = _printable(str(error) or type(error).__name__)
        print(f'{command}: {in_options(text, args.parser)}', file=sys.stderr)
        if args.module is not inspect_files:
            for note in getattr(error, '__notes__', ()):
                print(note, file=sys.stderr)
        return 2
    except Terminated as end:
        print(f'{command}: {end}', file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print(f'{command}: ended by Ctrl-C', file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _printable(text: str) -> str:
    """Escape what a terminal would obey, as a name of a file may hold it."""
    return ''.join(
        char
        if char.isprintable() or char in '\n\t'
        else char.encode('unicode_escape').decode()
        for char in text
    )


if __name__ == '__main__':
    sys.exit(main())
