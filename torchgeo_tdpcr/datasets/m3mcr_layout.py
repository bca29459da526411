# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where M3M-CR keeps which layer of a sample on disk."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from .chips.layout import Folder, Layer

#: Which layers the samples' grid is of.
Resolution = Literal['optical', 'sar']

#: Layers of M3M-CR by the name that their folders begin with.
M3MCR_LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        'planet_cloudy': Layer('image', 'planet_cloudy', 4, 'ui'),
        'planet_cloudfree': Layer('image_clear', 'planet_cloudfree', 4, 'ui'),
        'S1': Layer('image_sar', 'S1', 2, 'f'),
        'landcover': Layer('mask', 'landcover', 1, 'ui'),
        'cloudmask': Layer('mask_cloud', 'cloudmask', 1, 'bui'),
    }
)

#: Layers whose file gives a sample its grid, the first that exists.
GRID_LAYERS: Mapping[Resolution, tuple[str, str]] = MappingProxyType(
    {'optical': ('planet_cloudy', 'planet_cloudfree'), 'sar': ('S1', 'landcover')}
)


class M3MCRLayout:
    """``{split}/{layer}_{season}/{layer}_{season}_{N}/{layer}_{season}_{N}_p_{K}``.

    Seasons may have any name, files may lie in the folder of the season, and the ``_``
    behind ``p`` may be absent.

    Args:
        resolution: Which layers give the samples their grid.

    Example:
        >>> folder = Folder(Path('train/S1_fall/S1_fall_1'), 'S1', 'train/fall')
        >>> M3MCRLayout().parse(folder, 'S1_fall_1_p_457.tif')
        (1, 457)
    """

    layers = M3MCR_LAYERS
    group = 'part'
    looked_for = (
        "the folders 'train' or 'test', in each of them folders such as "
        "'planet_cloudy_fall/planet_cloudy_fall_1' and 'S1_fall/S1_fall_1', and in these "
        "files such as 'planet_cloudy_fall_1_p_457.tif'"
    )
    _folder = re.compile(rf'({"|".join(M3MCR_LAYERS)})_(.+)', re.IGNORECASE)
    _name = re.compile(r'.*?(?:_(\d+))?_p_?(\d+)\.(?:tiff?|npy)', re.IGNORECASE)

    def __init__(self, resolution: Resolution = 'optical') -> None:
        self.references: tuple[str, ...] = GRID_LAYERS[resolution]
        # Tables with grids of other layers are not to be taken for each other
        self.name = 'M3M-CR' if resolution == 'optical' else f'M3M-CR at {resolution}'

    def folders(self, root: Path) -> Iterator[Folder]:
        """Yield the folders of every split, layer and season of *root*."""
        names = {name.lower(): name for name in self.layers}
        for split in ('train', 'test'):
            if not (root / split).is_dir():
                continue
            for season in sorted((root / split).iterdir()):
                match = self._folder.fullmatch(season.name)
                if match is None or not season.is_dir():
                    continue
                layer, group = names[match[1].lower()], f'{split}/{match[2]}'
                yield Folder(season, layer, group)
                for path in sorted(season.iterdir()):
                    if path.is_dir():
                        yield Folder(path, layer, group)

    def folder(self, root: Path, layer: str, group: str, roi: int) -> Folder:
        """Return the folder for one layer of a sample."""
        split, season = group.split('/')
        name = f'{layer}_{season}'
        return Folder(root / split / name / f'{name}_{roi}', layer, group)

    def parse(self, folder: Folder, name: str) -> tuple[int, int] | None:
        """Return the number of the area (0 if none) and of the patch, or None."""
        match = self._name.fullmatch(name)
        return (int(match[1] or 0), int(match[2])) if match else None

    def file_name(self, folder: Folder, roi: int, patch: int) -> str:
        """Return the name that the file of a sample should have."""
        suffix = 'npy' if folder.layer == 'cloudmask' else 'tif'
        season = folder.group.split('/')[1]
        return f'{folder.layer}_{season}_{roi}_p_{patch}.{suffix}'
