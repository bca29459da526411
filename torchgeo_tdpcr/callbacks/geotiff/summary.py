# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What became of the scenes, over all processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch.distributed as dist


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

    def conclude(self, rejected: Mapping[str, Exception], output_dir: Path) -> None:
        """Gather what all processes did, say it, and raise if a scene failed.

        Args:
            rejected: What every process found wrong before it began, by name.
            output_dir: Where the scenes lie.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        parts = [self]
        first = True
        if dist.is_available() and dist.is_initialized():
            parts = [Summary() for _ in range(dist.get_world_size())]
            dist.all_gather_object(parts, self)
            first = dist.get_rank() == 0
        mapped = sorted(name for part in parts for name in part.mapped)
        skipped = sorted(name for part in parts for name in part.skipped)
        failed = {
            name: message for part in parts for name, message in part.failed.items()
        }
        failed |= {name: str(error) for name, error in rejected.items()}
        total = len(mapped) + len(skipped) + len(failed)
        if first:
            print(f'{len(mapped)} of {total} scenes mapped to {output_dir}', end='')
            print(f', {len(skipped)} were there' if skipped else '', end='')
            print(f', {len(failed)} failed' if failed else '')
        if failed:
            raise ScenesFailed(failed, total)
