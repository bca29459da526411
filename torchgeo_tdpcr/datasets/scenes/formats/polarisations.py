# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-1 rasters in every form that people have them: where VV and VH are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np

from ....files import expanded
from ...grids import Grid
from ...sources import fault_of_place
from ..common import SceneError
from .naming import RASTERS, date_near, polarisation_of
from .parts import BandFile
from .rasters import Headers, RasterFiles


@dataclass(frozen=True, slots=True)
class RadarProduct:
    """A Sentinel-1 raster: where VV and VH are, and on which pixels.

    Args:
        path: The file or folder that was given; of two files that of VV.
        bands: The bands VV and VH.
        grid: Their pixels.
        date: Date in its metadata or near its name, None if there is none.
        headers: What the files say about themselves.
    """

    path: Path
    bands: tuple[BandFile, BandFile]
    grid: Grid
    date: datetime | None
    headers: Headers = field(default_factory=dict, compare=False, repr=False)


def describe_radar(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    rasters: RasterFiles | None = None,
    polarisations: Sequence[str] | None = None,
) -> RadarProduct:
    """Find VV and VH, and check that they hold backscatter and lie somewhere.

    No pixels are read.

    Args:
        path: See :func:`find_radar`.
        rasters: To open the files with (defaults to some that are closed again).
        polarisations: Order of the bands of a raster, such as ``('VH', 'VV')``; None to
            find out.

    Returns:
        The raster.

    Raises:
        SceneError: If there are no such bands, or they are of no use.
    """
    files = RasterFiles() if rasters is None else rasters
    bands = find_radar(path, files)
    check_radar(bands, files)
    if rasters is None:
        files.close()
    given = expanded(path if isinstance(path, (str, PathLike)) else bands[0].path)
    date = files.header(bands[0].path).date or date_near(given)
    return RadarProduct(given, bands, files.grid(bands[0].path), date, files.headers)


def find_radar(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    rasters: RasterFiles | None = None,
) -> tuple[BandFile, BandFile]:
    """Find VV and VH.

    Args:
        path: One of

            * a raster of two bands, VV and VH, or of more whose descriptions name them;
            * two rasters of one band, whose names hold VV and VH as words
              (``a_vv.tif``, ``a_vh.tif``), or else in this order;
            * a folder with two such rasters, or one of them: the other is looked for
              beside it.
        rasters: To open the files with (defaults to some that are closed again).

    Returns:
        The bands VV and VH.

    Raises:
        SceneError: If it is none of these.
    """
    if not isinstance(path, (str, PathLike)):
        pair = [expanded(file) for file in path]
        if len(pair) != 2:
            raise ValueError(f'`path` has {len(pair)} files; give VV and VH.')
        if polarisation_of(pair[0].name) == 'VH':
            pair.reverse()
        return BandFile(str(pair[0])), BandFile(str(pair[1]))
    path = expanded(path)
    if fault := fault_of_place(path):
        raise SceneError(path, fault)
    if path.suffix.lower() in ('.safe', '.zip') or (path / 'manifest.safe').exists():
        raise SceneError(
            path,
            'is a product as ESA delivers it. Calibrate it to sigma0 or gamma0 and '
            'terrain-correct it first, with SNAP for example, and give the raster.',
        )
    if path.is_dir():
        return _in_folder(path)
    files = RasterFiles() if rasters is None else rasters
    labels = files.header(str(path)).labels
    if rasters is None:
        files.close()
    if len(labels) == 1:
        if beside := pair_beside(path):
            return beside
        raise SceneError(path, 'has one band; give VV and VH.')
    return _in_raster(path, labels)


def _in_folder(path: Path) -> tuple[BandFile, BandFile]:
    files = [file for file in path.iterdir() if file.suffix.lower() in RASTERS]
    found = {
        name: [str(file) for file in files if polarisation_of(file.name) == name]
        for name in ('VV', 'VH')
    }
    if any(len(names) != 1 for names in found.values()):
        raise SceneError(
            path,
            f'holds {len(found["VV"])} rasters of VV and {len(found["VH"])} of VH by '
            'their names. Keep one of each, such as a_vv.tif and a_vh.tif.',
        )
    return BandFile(found['VV'][0]), BandFile(found['VH'][0])


def pair_beside(path: Path) -> tuple[BandFile, BandFile] | None:
    """Find the raster of the other polarisation beside one.

    Args:
        path: A raster whose name holds VV or VH as a word.

    Returns:
        VV and VH; None if there is no other.
    """
    own = polarisation_of(path.name)
    if own is None:
        return None
    swap = {'VV': 'VH', 'vv': 'vh', 'Vv': 'Vh', 'VH': 'VV', 'vh': 'vv', 'Vh': 'Vv'}
    word = re.compile(rf'(?<![A-Za-z0-9]){own}(?![A-Za-z0-9])', re.IGNORECASE)
    other = path.with_name(word.sub(lambda match: swap[match[0]], path.name))
    if not other.is_file():
        return None
    pair = (path, other) if own == 'VV' else (other, path)
    return BandFile(str(pair[0])), BandFile(str(pair[1]))


def _in_raster(path: Path, labels: Sequence[str]) -> tuple[BandFile, BandFile]:
    indexes = []
    for name in ('VV', 'VH'):
        exact = [i for i, label in enumerate(labels, 1) if label.upper() == name]
        found = [
            i for i, label in enumerate(labels, 1) if polarisation_of(label) == name
        ]
        indexes.append((exact or found)[0] if len(exact or found) == 1 else None)
    if None not in indexes:
        return BandFile(str(path), indexes[0] or 1), BandFile(
            str(path), indexes[1] or 2
        )
    other = re.compile(r'(?<![A-Z])(HH|HV|VV|VH)(?![A-Z])', re.IGNORECASE)
    if len(labels) != 2 or any(other.search(label) for label in labels):
        raise SceneError(
            path,
            f'has {len(labels)} bands described as {list(labels)}; exactly one must be '
            "VV and one VH. Set `dataset.descriptions = ('VV', 'VH')` in rasterio.",
        )
    return BandFile(str(path), 1), BandFile(str(path), 2)


def check_radar(bands: tuple[BandFile, BandFile], rasters: RasterFiles) -> None:
    """Refuse rasters that hold no backscatter, or lie nowhere or apart.

    Args:
        bands: VV and VH.
        rasters: To open them with.

    Raises:
        SceneError: If they do.
    """
    grids = []
    for band in bands:
        header = rasters.header(band.path)
        dtype = header.dtypes[band.index - 1]
        kind = np.dtype(dtype).kind
        if kind == 'c' or (kind != 'f' and header.scales[band.index - 1] == (1, 0)):
            raise SceneError(
                band.path,
                f'holds {dtype}: digital numbers or complex amplitudes, not backscatter. '
                'Calibrate it to sigma0 or gamma0 first. If it is dB × 100, tell so: '
                "`dataset.scales = (0.01, 0.01)` in rasterio, opened with 'r+'.",
            )
        if header.grid.crs is None and header.gcps:
            raise SceneError(
                band.path,
                'has ground control points only. Terrain-correct it first, with SNAP '
                'for example.',
            )
        grids.append(rasters.grid(band.path))
    if grids[0] != grids[1]:
        raise SceneError(
            bands[1].path,
            f"does not have the pixels of '{bands[0].path}': place, CRS or size "
            'differ. Give VV and VH of one product.',
        )
