# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Land-cover maps of LandCoverNet as layouts of synthetic scenes.

    python -m experiments.weights.layouts labels_africa.npz layouts

Reads an archive with `label`, N×256×256, and `chip`, the name of each map, with the classes
of LandCoverNet (Radiant Earth, CC BY 4.0), and writes a GeoTIFF each with those of the
synthetic set. Maps of nearly one class are left out: they lay out nothing.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchgeo_tdpcr.datasets.synthetic.biomes import (
    BARE,
    BUILT,
    CROPS,
    GRASS,
    SHRUB,
    TREES,
    WATER,
)
from torchgeo_tdpcr.datasets.synthetic.landscape import IGNORE
from torchgeo_tdpcr.datasets.synthetic.rasters import write_array
from torchgeo_tdpcr.transforms.noise import fractal_noise

#: LandCoverNet's labels: 1 water, 2 artificial and 3 natural bare ground, 5 woody and 6
#: cultivated vegetation. 4 is snow, which the synthetic set does not have.
CLASSES = {1: WATER, 2: BUILT, 3: BARE, 5: TREES, 6: CROPS}
#: Natural vegetation, which may be grass or shrub.
NATURAL = 7
#: A map whose commonest class has more of it is of nearly one class.
MOST = 0.95


def translate(labels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Give a map the classes of the synthetic set.

    Args:
        labels: LandCoverNet's labels, H×W.
        seed: Draws where natural vegetation is grass and where it is shrub.

    Returns:
        Labels of the synthetic set, 255 where there is none.
    """
    found = np.full(labels.shape, IGNORE, np.uint8)
    for old, new in CLASSES.items():
        found[labels == old] = new
    rng = np.random.default_rng(seed)
    field = fractal_noise(rng, (labels.shape[0], labels.shape[1]), 2.6, 120)
    shrubby = field > np.quantile(field, rng.uniform(0.1, 0.9))
    natural = labels == NATURAL
    found[natural] = np.where(shrubby, SHRUB, GRASS)[natural]
    return found


def varied(labels: NDArray[np.uint8]) -> bool:
    """Whether a map is of more than nearly one class."""
    return bool(np.bincount(labels.ravel()).max() <= MOST * labels.size)


def main(argv: list[str] | None = None) -> None:
    """Write the maps."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights.layouts',
        description='Make layouts of synthetic scenes of maps of LandCoverNet.',
    )
    parser.add_argument('archive', type=Path, help='labels_africa.npz')
    parser.add_argument('out', type=Path, help='folder to write to')
    options = parser.parse_args(argv)
    with np.load(options.archive) as archive:
        maps, names = archive['label'], archive['chip']
    written = 0
    for number, (labels, name) in enumerate(zip(maps, names, strict=True)):
        if varied(labels):
            layout = translate(labels, number)[None]
            path = options.out / f'{name}.tif'
            write_array(path, layout, driver='GTiff', compress='deflate')
            written += 1
    print(f'Wrote {written} of {len(maps)} maps to {options.out}')


if __name__ == '__main__':
    main()
