# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What became of the scenes, over all processes."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from ...datasets.scenes.common import INSPECT, SceneError, SceneInfo, SceneWarning
from ...datasets.scenes.progress import Progress

#: How long a process waits for the others to finish their scenes, days.
_PATIENCE = 365

#: Most failures that a message lists.
_LISTED = 100


class ScenesFailed(RuntimeError):
    """Some scenes could not be mapped; the others were.

    Args:
        failed: What went wrong, by name of the scene.
        total: Number of scenes.
        noun: What people call them.
        inspect: Whether files of some are refused, which may be looked at.
    """

    def __init__(
        self,
        failed: Mapping[str, str],
        total: int,
        noun: str = 'scenes',
        inspect: bool = False,
    ) -> None:
        self.failed = dict(failed)
        lines = [f'{len(failed)} of {total} {noun} could not be mapped:']
        listed = sorted(failed.items())[:_LISTED]
        lines += [f'  {name}: {message}' for name, message in listed]
        if len(listed) < len(failed):
            lines.append(f'  and {len(failed) - len(listed)} more')
        if inspect:
            lines.append(INSPECT)
        super().__init__('\n'.join(lines))


def join_processes() -> Any:
    """Agree with the other processes, if there are any, to wait for each other.

    The group that they are in would give up on each other after minutes, but one may
    have hours more to do.

    Returns:
        The group, None where there is one process.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return None
    return dist.new_group(backend='gloo', timeout=timedelta(days=_PATIENCE))


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of some scenes, by their names.

    Args:
        mapped: Those that were mapped.
        skipped: Those that had been mapped before.
        failed: What went wrong with the others.
        unmatched: Those that were mapped, whose colours were to be matched to their clear
            pixels, but no mask tells which these are.
    """

    mapped: list[str]
    skipped: list[str]
    failed: dict[str, str]
    unmatched: list[str]

    @classmethod
    def of(
        cls, progress: Progress, scenes: Mapping[int, SceneInfo], matches: bool = False
    ) -> 'Summary':
        """Sum up how far the scenes of a process are.

        Args:
            progress: How far they are.
            scenes: The scenes.
            matches: Whether their colours are to be matched to clear pixels.
        """
        mapped = [scenes[scene] for scene in progress.mapped]
        return cls(
            [info.name for info in mapped],
            [scenes[scene].name for scene in progress.skipped],
            {scenes[scene].name: str(e) for scene, e in progress.failures.items()},
            [info.name for info in mapped if matches and not info.masked],
        )

    def conclude(
        self,
        rejected: Mapping[str, Exception],
        output_dir: Path,
        group: Any,
        noun: str = 'scenes',
    ) -> None:
        """Gather what all processes did, say it, and raise if a scene failed.

        Args:
            rejected: What every process found wrong before it began, by name.
            output_dir: Where the scenes lie.
            group: The processes, see :func:`join_processes`.
            noun: What people call the scenes.

        Raises:
            ScenesFailed: If a scene could not be mapped.
        """
        parts = [self]
        first = True
        if group is not None:
            parts = [self] * dist.get_world_size()
            dist.all_gather_object(parts, self, group)
            first = dist.get_rank() == 0
        mapped = sum(len(part.mapped) for part in parts)
        skipped = sum(len(part.skipped) for part in parts)
        failed = {name: text for part in parts for name, text in part.failed.items()}
        failed |= {name: str(error) for name, error in rejected.items()}
        total = mapped + skipped + len(failed)
        # Where all failed, the error says as much
        if first and len(failed) < total:
            print(f'{mapped} of {total} {noun} mapped to {output_dir}', end='')
            there = 'was' if skipped == 1 else 'were'
            print(f', {skipped} {there} already there' if skipped else '', end='')
            print(f', {len(failed)} failed' if failed else '')
            unmatched = sum(len(part.unmatched) for part in parts)
            if unmatched:
                warnings.warn(
                    f'Colours of {unmatched} of {mapped} {noun} were not matched to their '
                    'clear pixels, for want of a cloud mask. Give a `cloud_mask`, or '
                    '`cloud_mask=auto` to have one found.',
                    SceneWarning,
                    stacklevel=2,
                )
        if failed:
            # What failed later is no fault of reading
            refused = any(isinstance(error, SceneError) for error in rejected.values())
            raise ScenesFailed(failed, total, noun, refused)
