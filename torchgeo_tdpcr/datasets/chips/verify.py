# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Everything that is wrong with the files of a data set, file by file.

Every file is read once. What is found is told as :class:`Fault`, with what the datasets
do about it: leave the chip out, raise an error on reading it, or read it as it is.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from torchgeo.datasets.utils import Path as PathLike
from tqdm.auto import tqdm

from .checking import FileCheck, Kind, check_chip, reference_layer
from .layout import Claim, Layout, claims, find_layout

Effect = Literal['skipped', 'error', 'read']


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something wrong with a file.

    Args:
        path: The file; where it is missing, the file that should be there.
        kind: One of ``'missing'``; ``'unreadable'`` (cannot be opened, or has no usable
            georeference); ``'truncated'`` (opens, but its pixels cannot be read);
            ``'bands'``; ``'dtype'``; ``'values'`` (NaN, infinite, or no label);
            ``'grid'`` (another size, place or CRS than the chip); ``'cloudy equals
            clear'`` and ``'copy'`` (the same bytes as a file of another layer);
            ``'name'`` (not what the layout demands).
        message: What is wrong.
        effect: What the datasets do, all layers being asked for: the chip is
            ``'skipped'`` with a warning, reading it raises an ``'error'``, or the file
            is ``'read'`` as it is.
    """

    path: str
    kind: Kind
    message: str
    effect: Effect

    @property
    def skipped(self) -> bool:
        """Whether the datasets leave the chip out."""
        return self.effect == 'skipped'

    def as_dict(self) -> dict[str, str]:
        """Return the fault for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Say it in a line."""
        does = {'skipped': 'chip skipped', 'error': 'error on reading', 'read': 'read'}
        return f'{self.path}: {self.kind}: {self.message} [{does[self.effect]}]'


def verify(
    paths: PathLike | Iterable[PathLike],
    *,
    num_classes: int = 7,
    workers: int | None = None,
    progress: bool = True,
) -> list[Fault]:
    """Find everything that is wrong with the files of a data set.

    Args:
        paths: Folder of LuojiaSET-OSFCR or SEN12MS-CR, the folder above, or several.
        num_classes: Number of land-cover classes.
        workers: Threads that read (defaults to the number of cores).
        progress: Show a progress bar where the work is long.

    Returns:
        The faults, sorted by file; empty if there are none.

    Raises:
        FileNotFoundError: If a folder holds neither.

    Example:
        >>> for fault in verify('data'):  # doctest: +SKIP
        ...     print(fault)
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    faults: set[Fault] = set()
    for path in several:
        layout, root = find_layout(path)
        faults |= set(_verify(layout, root, num_classes, workers, progress))
    return sorted(faults)


def _verify(
    layout: Layout, root: Path, num_classes: int, workers: int | None, progress: bool
) -> Iterator[Fault]:
    """Find the faults of one data set."""
    chips: dict[tuple[str, int, int], dict[str, Claim]] = defaultdict(dict)
    rivals = []
    for claim in claims(layout, root):
        layers = chips[claim.group, claim.roi, claim.patch]
        held = layers.setdefault(claim.layer, claim)
        if held is not claim:
            if claim.rightful:
                layers[claim.layer], held, claim = claim, claim, held
            rivals.append((claim.path, held.path))
    for rival, path in rivals:
        message = f"claims to be the same chip as '{os.path.basename(path)}'; not read"
        yield Fault(rival, 'name', message, 'read')
    for folder in layout.folders(root):
        for name in sorted(os.listdir(folder.path)):
            if layout.parse(name) is None and not name.startswith('.'):
                message = 'has no ROI and patch number in its name; not read'
                yield Fault(os.path.join(folder.path, name), 'name', message, 'read')

    expected = [
        name
        for name, layer in layout.layers.items()
        if not layer.optional or any(name in layers for layers in chips.values())
    ]
    files: list[tuple[Claim, FileCheck, bool]] = []

    def task(layers: dict[str, Claim]) -> dict[str, FileCheck]:
        return check_chip(layers, layout, num_classes)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        results = tqdm(
            pool.map(task, chips.values()),
            total=len(chips),
            desc=f'Verifying {layout.name}',
            unit='chip',
            delay=2,
            disable=None if progress else True,
        )
        for (group, roi, patch), layers, found in zip(
            chips, chips.values(), results, strict=True
        ):
            lacks = [name for name in expected if name not in layers]
            skipped = _is_skipped(layers, found, layout)
            for name in lacks:
                folder = layout.folder(root, name, group, roi)
                path = str(folder.path / layout.file_name(folder, roi, patch))
                message = f'the chip has no such layer, only {", ".join(layers)}'
                # Only the published layers are needed where none are asked for
                optional = layout.layers[name].optional and not skipped
                yield Fault(path, 'missing', message, _effect(skipped, optional))
            for name, claim in layers.items():
                files.append((claim, found[name], skipped))
                for kind, message in found[name].faults:
                    yield Fault(claim.path, kind, message, _effect(skipped, False))
                if not claim.rightful:
                    message = f"should be named '{claim.expected}'; taken for it"
                    yield Fault(claim.path, 'name', message, _effect(skipped, True))
    yield from _copies(files)


def _effect(skipped: bool, harmless: bool) -> Effect:
    return 'skipped' if skipped else 'read' if harmless else 'error'


def _is_skipped(
    layers: dict[str, Claim], found: dict[str, FileCheck], layout: Layout
) -> bool:
    """Tell whether the datasets leave a chip out, all its layers being asked for."""
    if any(
        name not in layers
        for name, layer in layout.layers.items()
        if not layer.optional
    ):
        return True
    kinds = {kind for kind, _ in found[reference_layer(layers, layout)].faults}
    return bool(kinds & {'unreadable', 'bands', 'dtype'})


def _copies(files: list[tuple[Claim, FileCheck, bool]]) -> Iterator[Fault]:
    """Find files with the bytes of a file of another layer.

    The same file in one layer of several chips is no fault: two samples may show one
    place under different clouds. Nor are two layers that are one value all over.
    """
    twins = defaultdict(list)
    for claim, file, skipped in files:
        twins[file.digest].append((claim, file, skipped))
    for group in twins.values():
        if len({claim.layer for claim, _, _ in group}) == 1:
            continue
        misfit = [
            any(kind in ('bands', 'dtype') for kind, _ in file.faults)
            for _, file, _ in group
        ]
        if not any(misfit) and group[0][1].constant:
            continue
        # The file that is in its right place, as far as one can tell
        original = group[misfit.index(False) if False in misfit else 0][0]
        clear = {claim[2:5] for claim, _, _ in group if claim.layer == 's2'}
        for (claim, _, skipped), misfits in zip(group, misfit, strict=True):
            effect = _effect(skipped, not misfits)
            if claim.layer == 's2_cloudy' and claim[2:5] in clear:
                message = 'the same bytes as the clear file: nothing to learn from it'
                yield Fault(claim.path, 'cloudy equals clear', message, effect)
            elif claim is not original and (
                misfits
                or (claim.layer != original.layer and original.layer != 's2_cloudy')
            ):
                message = f"the same bytes as '{original.path}', another layer"
                yield Fault(claim.path, 'copy', message, effect)
