# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Real samples in parts, each judged by weights that have not seen its places."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from torchgeo_tdpcr.datasets.synthetic.biomes import CLASSES
from torchgeo_tdpcr.kinds import Level

from ..real.lay_out import (
    TERRAMIND_LABELS,
    Layers,
    pair_names,
    place_names,
    read,
    read_pair,
    read_place,
    write_chip,
    write_skies,
)

#: Height and width of the chips, as of the synthetic ones that they are mixed with.
SIZE = 160
#: Skies over each clear chip.
SKIES = 6
_NONE = 255


class Fold(NamedTuple):
    """What a training leaves out.

    Attributes:
        pairs: Names of pairs of SEN12MS-CR.
        places: Names of places of TerraMind.
    """

    pairs: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


#: Pairs that show one place, or may, are left out together. The images tell which do: they
#: carry no georeferencing.
FOLDS = (
    Fold(('316', '581'), ('282D_485L_3_3',)),
    Fold(('2266', '6553'), ('609U_541L_3_0',)),
    Fold(('4065', '4294', '4438'), ('637U_59R_1_3',)),
    Fold(('5278',)),
    Fold(('7264', '7657')),
)


def write_real_chips(
    samples: Path, root: Path, level: Level, left_out: Fold, seed: int = 0
) -> int:
    """Write chips of the real samples to train with, in the layout of OSFCR.

    Real pairs come as they are, cut to nine chips that overlap, without land cover. The
    clear places of TerraMind and Sen1Floods11 come under simulated clouds, the former with
    its land cover, of which rangeland is grass, the latter with its water.

    Args:
        samples: Folder of the samples.
        root: Folder to write to.
        level: Level of the optical images.
        left_out: What is not written.
        seed: Seed of the skies.

    Returns:
        The number of chips.
    """
    rng = np.random.default_rng(seed)
    roi = count = 0
    for name in pair_names(samples):
        if name in left_out.pairs:
            continue
        roi += 1
        layers = read_pair(samples, name, level)
        layers['land_cover_maps'] = np.full_like(layers['s2'][:1], _NONE, np.uint8)
        for patch, chip in enumerate(cut(layers, 3), 1):
            write_chip(root, roi, patch, chip)
            count += 1
    clear = [
        as_synthetic(read_place(samples, name))
        for name in place_names(samples)
        if name not in left_out.places
    ]
    for layers, across in [*((one, 2) for one in clear), (read_flood(samples), 3)]:
        roi += 1
        for i, chip in enumerate(cut(layers, across)):
            write_skies(root, roi, SKIES * i + 1, chip, rng, SKIES, level)
            count += SKIES
    return count


def cut(layers: Layers, across: int) -> Iterator[Layers]:
    """Cut layers into chips that lie as far apart as they can.

    Args:
        layers: Arrays, bands first, by layer.
        across: Number of chips in each direction.

    Yields:
        Layers of :data:`SIZE` pixels.

    Example:
        >>> chips = list(cut({'s2': np.zeros((13, 256, 256))}, 2))
        >>> len(chips), chips[0]['s2'].shape
        (4, (13, 160, 160))
    """
    height, width = next(iter(layers.values())).shape[-2:]
    for top in np.linspace(0, height - SIZE, across).astype(int):
        for left in np.linspace(0, width - SIZE, across).astype(int):
            yield {
                layer: array[:, top : top + SIZE, left : left + SIZE]
                for layer, array in layers.items()
            }


def as_synthetic(layers: Layers) -> Layers:
    """Give a place of TerraMind the classes of the synthetic set.

    Args:
        layers: The layers of the place.

    Returns:
        The same with labels of the synthetic set, 255 where it has no such class.
    """
    found = np.full_like(layers['land_cover_maps'], _NONE)
    for label, name in enumerate(TERRAMIND_LABELS):
        name = 'grass' if name == 'rangeland' else name
        if name in CLASSES:
            found[layers['land_cover_maps'] == label] = CLASSES.index(name)
    return {**layers, 'land_cover_maps': found}


def read_flood(samples: Path) -> Layers:
    """Read the place of Sen1Floods11, whose labels tell water only.

    Args:
        samples: Folder of the samples.

    Returns:
        Arrays, bands first, by layer.
    """
    (path,) = (samples / 'sen1floods11').glob('*_S2Hand.tif')
    sar, water = (
        read(path.with_name(path.name.replace('S2', kind))) for kind in ('S1', 'Label')
    )
    labels = np.full(water.shape, _NONE, np.uint8)
    labels[water == 1] = CLASSES.index('water')
    return {
        's1': np.nan_to_num(sar.astype(np.float32), nan=-25.0),
        's2': read(path).astype(np.float32),
        'land_cover_maps': labels,
    }
