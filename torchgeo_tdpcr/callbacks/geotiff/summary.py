# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What became of the scenes, over all processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

#: How long a process waits for the others to finish their scenes, days.
_PATIENCE = 365


class ScenesFailed(RuntimeError):
    """Some scenes could not be mapped; the others were.

    Args:
        failed: What went wrong, by name of the scene.
        total: Number of scenes.
    """

    def __init__(self, failed: Mapping[str, str], total: int) -> None:
        self.failed = dict(failed)
        lines = [f'{len(failed)} of {total} scenes could not be mapped:']
        lines += [f'  {name}: {message}' for name, message in sorted(failed.items())]
        super().__init__('\n'.join(lines))


@dataclass(slots=True)
class Summary:
    """What became of the scenes.

    Args:
        mapped: Names of those that were mapped.
        skipped: Names of those that had been mapped before.
        failed: What went wrong with the others, by name.
    """

    mapped: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    _group: Any = field(init=False, repr=False, compare=False, default=None)

    def join(self) -> None:
        """Agree with the other processes, if there are any, to wait for each other.

        The group that they are in would give up on each other after minutes, but one
        may have hours more to do.
        """
        if dist.is_available() and dist.is_initialized():
            patience = timedelta(days=_PATIENCE)
            self._group = dist.new_group(backend='gloo', timeout=patience)

    def conclude(self, rejected: Mapping[str, Exception], output_dir: Path) -> None:
        """Gather what all processes did, say it, and raise if a scene failed.

        Args:
            rejected: What every process found wrong before it began, by name.
            output_dir: Where the scenes lie.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        own = (self.mapped, self.skipped, self.failed)
        parts = [own]
        first = True
        if self._group is not None:
            parts = [own] * dist.get_world_size()
            dist.all_gather_object(parts, own, self._group)
            first = dist.get_rank() == 0
        mapped = sorted(name for part in parts for name in part[0])
        skipped = sorted(name for part in parts for name in part[1])
        failed = {name: message for part in parts for name, message in part[2].items()}
        failed |= {name: str(error) for name, error in rejected.items()}
        total = len(mapped) + len(skipped) + len(failed)
        if first:
            print(f'{len(mapped)} of {total} scenes mapped to {output_dir}', end='')
            print(f', {len(skipped)} were there' if skipped else '', end='')
            print(f', {len(failed)} failed' if failed else '')
        if failed:
            raise ScenesFailed(failed, total)
