# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Errors in the words of a command: its options in place of Python's arguments."""

import argparse
import ast
import re

#: An argument as errors write it, with or without its value.
_ARGUMENT = re.compile(r'`([a-z_][a-z0-9_]*)(?:=([^`]*))?`')


def in_options(text: str, parser: argparse.ArgumentParser) -> str:
    """Name the options of a command where an error names the arguments of Python.

    Args:
        text: What the error says: arguments stand in backticks, as ``overlap=9`` does.
        parser: The parser of the command. What is none of its arguments stays.

    Returns:
        The text for whoever called the command.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument('--max-days')
        >>> _ = parser.add_argument('--s1', nargs='+')
        >>> in_options('`max_days=-1`, `s1=None`: give `s1`; `size` is 3.', parser)
        '`--max-days -1`, no `--s1`: give `--s1`; `size` is 3.'
    """
    names = {action.dest: _name(action) for action in parser._actions}

    def speak(match: re.Match[str]) -> str:
        name, value = names.get(match[1]), match[2]
        if name is None:
            return match[0]
        if value is None or value == 'True':
            return f'`{name}`'
        if value in ('None', 'False'):
            return f'no `{name}`'
        return f'`{name} {_plain(value)}`'

    return _ARGUMENT.sub(speak, text)


def _name(action: argparse.Action) -> str:
    """What a user writes for an argument."""
    options = [option for option in action.option_strings if option.startswith('--')]
    if options:
        return min(options, key=len)
    return str(action.metavar or action.dest.upper())


def _plain(value: str) -> str:
    """A value as it stands on a command line."""
    try:
        read = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value
    if isinstance(read, list | tuple):
        return ' '.join(map(str, read))
    return str(read)
