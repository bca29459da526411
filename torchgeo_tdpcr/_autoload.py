# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Make the short class names known to the ``torchgeo`` command.

``torchgeo fit --model TDPCRTask`` finds a class by its short name only once the module
that defines it has been imported. TorchGeo has no plugin entry points, but PyTorch
calls those of the group ``torch.backends`` at the end of ``import torch``. Ours puts a
finder on :data:`sys.meta_path` that waits for ``torchgeo.tasks``, lets it load as
always, then imports the plugin's tasks and data modules, and takes itself off again.

This module imports nothing heavy: it runs in every program that imports torch.
``TORCH_DEVICE_BACKEND_AUTOLOAD=0`` turns the mechanism off; the dotted paths, such as
``torchgeo_tdpcr.tasks.TDPCRTask``, then still work.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TRIGGER = 'torchgeo.tasks'
PLUGIN = ('torchgeo_tdpcr.datamodules', 'torchgeo_tdpcr.tasks')


class _ThenImportPlugin(Loader):
    """Load a module as its own loader does, then import the plugin."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # torchgeo.tasks must see its own loader, for importlib.resources and others.
        spec = module.__spec__
        assert spec is not None
        spec.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        # Not at the top: that runs in every program that imports torch
        from ._command import is_torchgeo, quieten

        if is_torchgeo():
            quieten()
        for name in PLUGIN:
            import_module(name)


class _TriggerFinder(MetaPathFinder):
    """Wrap the loader of the first import of the trigger, once."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != TRIGGER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenImportPlugin(spec.loader)
        return spec


def register() -> None:
    """Arrange for the plugin to be imported right after ``torchgeo.tasks``.

    PyTorch calls this as the entry point ``torchgeo_tdpcr`` of the group
    ``torch.backends``.
    """
    if TRIGGER in sys.modules:
        return
    if not any(isinstance(finder, _TriggerFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TriggerFinder())
