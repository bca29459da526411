# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Seconds to build the index of 20,000 chips, and to load it again.

A few tiny GeoTIFFs, one a layer and region, are linked to under all the names that the
published set has. Opening a file costs the same as for a large one; only a cold disk
is not measured.
"""

import os
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.crs import CRS
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets import OSFCR
from torchgeo_tdpcr.datasets.chips.index import CACHE_NAME, load_table
from torchgeo_tdpcr.datasets.osfcr import COVERS, OSFCRLayout

from ..markdown import table
from .timing import Options, median, take_turns, verdict

SIDE = 16
REGIONS = 40
PER_COVER = 4000
BUILD_AIM, RELOAD_AIM = 30.0, 1.0

#: Bands, dtype and middle of the file name by layer.
FILES = {
    's2_cloudy': (13, 'uint16', 's2_cloudy'),
    's2': (13, 'uint16', 's2'),
    's1': (2, 'float32', 's1'),
    'land_cover_maps': (1, 'uint8', 's2'),
    'cloud_detection_results': (1, 'float32', 's2_cloudy'),
}


def write_tile(path: Path, layer: str, region: int) -> None:
    """Write the one tiny file that all chips of a region share in a layer."""
    count, dtype, _ = FILES[layer]
    # Regions in 20 UTM zones of either hemisphere, apart from each other
    epsg = (32601 if region % 2 else 32701) + 3 * (region // 2)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=count,
        height=SIDE,
        width=SIDE,
        dtype=dtype,
        crs=CRS.from_epsg(epsg),
        transform=from_origin(400_000, 5_000_000, 10, 10),
    ) as file:
        file.write(np.zeros((count, SIDE, SIDE), dtype))


def lay_out(root: Path, per_cover: int) -> Path:
    """Make a data set of hard links.

    Args:
        root: An empty folder.
        per_cover: Number of chips of each cloud-cover folder.

    Returns:
        Folder of the data set.
    """
    tiles = root / 'tiles'
    tiles.mkdir()
    data = root / 'LuojiaSET-OSFCR'
    for layer, (_, _, infix) in FILES.items():
        sources = [tiles / f'{layer}_{region}.tif' for region in range(REGIONS)]
        for region, source in enumerate(sources):
            write_tile(source, layer, region)
        for number, cover in enumerate(COVERS):
            folder = data / cover / layer
            folder.mkdir(parents=True)
            for chip in range(per_cover):
                region = chip % REGIONS
                patch = number * per_cover + chip + 1
                name = f'ROIs_{region + 1:02d}_{infix}_p{patch}.tif'
                os.link(sources[region], folder / name)
    return data


def run(root: Path, options: Options) -> str:
    """Measure the index.

    Args:
        root: An empty folder.
        options: What the command line chose.

    Returns:
        Markdown.
    """
    data = lay_out(root, 40 if options.quick else PER_COVER)
    cache = data / CACHE_NAME
    count = len(OSFCR(data))
    assert cache.exists()

    def forget() -> float:
        cache.unlink()
        return 0.0

    # Each job leaves what the next one needs: nothing kept, or the index
    times = take_turns(
        {
            'forget 1': forget,
            'build table': lambda: load_table(OSFCRLayout(), data, progress=False),
            'load table': lambda: load_table(OSFCRLayout(), data, progress=False),
            'forget 2': forget,
            'build': lambda: OSFCR(data),
            'load': lambda: OSFCR(data),
        },
        torch.device('cpu'),
        turns=(1, 1) if options.quick else (3, 5),
        seconds=25,
        warm_up=False,
    )
    rows = []
    for title, name, aim in (
        ('`load_table`, no index kept', 'build table', BUILD_AIM),
        ('`OSFCR(…)`, no index kept', 'build', BUILD_AIM),
        ('`load_table`, index kept', 'load table', RELOAD_AIM),
        ('`OSFCR(…)`, index kept', 'load', RELOAD_AIM),
    ):
        took = median(times[name])
        met = verdict(took < aim)
        rows.append([title, f'{took:.2f}', f'< {aim:g} s: {met}'])
    return (
        f'## Index of {count:,} chips\n\n'
        f'{len(FILES) * count:,} files, hard links to {len(FILES) * REGIONS} tiny ones, '
        f'so without the waiting of a cold disk; {len(times["build"])} turns.\n\n'
        + table(['', 'seconds', 'aim'], rows)
        + '\n'
    )
