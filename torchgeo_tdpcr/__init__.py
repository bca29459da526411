# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Joint cloud removal and land-cover mapping from Sentinel-1 and Sentinel-2 (TDP-CR).

A TorchGeo plugin. Its public names are listed in the stub beside this file, where type
checkers look for them, and resolved when first used, so importing the package costs
nothing.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = '0.1.0.dev0'

_STUB = Path(__file__).with_suffix('.pyi').read_text(encoding='utf-8')
_HOME = {
    name.name: node.module or ''
    for node in ast.parse(_STUB).body
    if isinstance(node, ast.ImportFrom)
    for name in node.names
}

__all__ = tuple(name for name, home in _HOME.items() if 'deprecated' not in home)


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(import_module(f'.{_HOME[name]}', __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
