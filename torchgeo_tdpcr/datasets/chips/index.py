# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The table of a data set's chips: read from the files once, then from a cache.

The header of one file a chip tells where the chip lies. The table is kept as CSV beside
the data, or in the user's cache folder where that cannot be written. It is rebuilt when
a layer folder or one of the files whose header was read has changed.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from tqdm.auto import tqdm

from ...files import expanded, replacing
from ..gdal import CHIP_SETTINGS
from ..grids import Grid, crs_of
from ..plausibility import grid_fault
from ..sources import RASTER_ERRORS, open_geotiff
from .layout import Layout, chip_table

#: Name of the cached table.
CACHE_NAME = '.torchgeo_tdpcr_index.csv'

_FORMAT = 2
_HEADER: dict[str, type] = {
    'epsg': int,
    'x': float,
    'y': float,
    'xres': float,
    'yres': float,
    'width': int,
    'height': int,
    'count': int,
    'dtype': str,
    'fault': str,
}
_STAMP = ('size', 'mtime_ns')


def read_header(path: str) -> tuple[int, float, float, float, float, int, int, Any]:
    """Read where a chip lies from the header of one of its files.

    Args:
        path: A GeoTIFF.

    Returns:
        EPSG code, x and y of the upper left corner, pixel width and height, width and
        height in pixels, number of bands, dtype, and a fault in words, '' if none.
    """
    empty = (0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, '')
    try:
        with open_geotiff(path) as source:
            transform = source.transform
            epsg = source.crs.to_epsg() if source.crs else None
            header = (
                epsg or 0,
                transform.c,
                transform.f,
                transform.a,
                -transform.e,
                source.width,
                source.height,
                source.count,
                source.dtypes[0],
            )
    except RASTER_ERRORS as error:
        return (*empty, f'cannot be opened ({error})')  # type: ignore[return-value]
    if epsg is None:
        return (*header, 'has no CRS with an EPSG code')  # type: ignore[return-value]
    if transform.a <= 0 or transform.e >= 0 or transform.b or transform.d:
        return (*header, 'has a grid that is not north-up')  # type: ignore[return-value]
    fault = grid_fault(Grid(crs_of(epsg), transform, header[5], header[6]))
    return (*header, fault)  # type: ignore[return-value]


def build_table(
    layout: Layout, root: Path, workers: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """List the chips under *root* and read where they lie.

    Args:
        layout: How the data set arranges its files.
        root: Folder of the data set.
        workers: Threads that read (defaults to twice the cores, at most 16: reading
            headers waits for the disk).
        progress: Show a progress bar where the work is long.

    Returns:
        The table of :func:`~torchgeo_tdpcr.datasets.chips.layout.chip_table` with, further,
        ``reference`` (the file that was read, relative to *root*, '' where the chip has
        none), what :func:`read_header` returns, and size and time of that file.
    """
    table = chip_table(layout, root)
    reference = table[layout.references[0]]
    for layer in layout.references[1:]:
        reference = reference.where(reference != '', table[layer])
    table['reference'] = reference
    paths = [os.path.join(root, path) for path in reference if path]
    with rasterio.Env(**CHIP_SETTINGS):
        pass  # initialises GDAL once, before threads do it at the same time

    def task(chunk: Sequence[str]) -> list[tuple[Any, ...]]:
        with rasterio.Env(**CHIP_SETTINGS):
            return [(*read_header(path), *stamp(path)) for path in chunk]

    chunks = [paths[i : i + 64] for i in range(0, len(paths), 64)]
    workers = workers or min(16, 2 * (os.cpu_count() or 1))
    rows: list[tuple[Any, ...]] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(
            total=len(paths),
            desc=f'Reading the headers of {layout.name}',
            unit='chip',
            delay=2,
            disable=None if progress else True,
        ) as bar,
    ):
        for result in pool.map(task, chunks):
            rows += result
            bar.update(len(result))
    header = pd.DataFrame(
        rows,
        columns=[*_HEADER, *_STAMP],
        index=table.index[reference != ''],
    ).reindex(table.index)
    for name, kind in {**_HEADER, **dict.fromkeys(_STAMP, int)}.items():
        column = header[name]
        filled = column.fillna('') if kind is str else column.fillna(0)
        table[name] = filled.astype(kind)
    return table


def load_table(
    layout: Layout,
    root: Path,
    cache: bool | str | os.PathLike[str] = True,
    workers: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the table of a data set's chips, from the cache where it is still true.

    Args:
        layout: How the data set arranges its files.
        root: Folder of the data set.
        cache: True to keep the table beside the data, or in the user's cache folder
            where that cannot be written; a folder to keep it there; False to read all
            headers anew and keep nothing.
        workers: See :func:`build_table`.
        progress: See :func:`build_table`.

    Returns:
        The table of :func:`build_table`.
    """
    if cache is False:
        return build_table(layout, root, workers, progress)
    places = cache_places(layout, root, cache)
    state = folder_state(layout, root)
    for place in places:
        if (table := _read(place, state, root, layout)) is not None:
            return table
    table = build_table(layout, root, workers, progress)
    if folder_state(layout, root) != state:
        return table  # files came or went meanwhile: the next call looks again
    for place in places:
        if _write(place, state, table):
            return table
    warnings.warn(
        f"The index of '{root}' could not be kept in '{places[-1].parent}', so it is "
        'built at every start. Pass a writable folder as `cache`.',
        UserWarning,
        stacklevel=4,
    )
    return table


def cache_places(
    layout: Layout, root: Path, cache: bool | str | os.PathLike[str] = True
) -> list[Path]:
    """Where the table of *root* may be kept, in order of preference."""
    key = hashlib.sha256(f'{layout.name}:{root}'.encode()).hexdigest()[:16]
    own = cache_folder(cache) / f'index_{key}.csv'
    return [root / CACHE_NAME, own] if isinstance(cache, bool) else [own]


def cache_folder(cache: bool | str | os.PathLike[str]) -> Path:
    """The folder of tables that do not lie beside the data."""
    if not isinstance(cache, bool):
        return expanded(cache)
    home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return home / 'torchgeo_tdpcr'


def folder_state(layout: Layout, root: Path) -> dict[str, Any]:
    """Sum up the folders of a data set: it differs once a file has come or gone."""
    folders = {}
    for folder in layout.folders(root):
        stat = os.stat(folder.path)
        name = folder.path.relative_to(root).as_posix()
        folders[name] = [stat.st_mtime_ns, len(os.listdir(folder.path))]
    return {'format': _FORMAT, 'name': layout.name, 'folders': folders}


def stamp(path: str) -> tuple[int, int]:
    """Size and time of last change of a file; zeros where it cannot be read."""
    try:
        stat = os.stat(path)
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _read(
    place: Path, state: dict[str, Any], root: Path, layout: Layout
) -> pd.DataFrame | None:
    """Read a cached table, or None where there is none that is true."""
    kinds: dict[str, Any] = {
        **dict.fromkeys((layout.group, *layout.layers, 'reference'), str),
        **_HEADER,
        **dict.fromkeys(('roi', 'patch', *_STAMP), np.int64),
    }
    try:
        with place.open(encoding='utf-8', newline='') as file:
            if json.loads(file.readline()) != state:
                return None
            table = pd.read_csv(
                file,
                dtype={k: str if v is float else v for k, v in kinds.items()},
                keep_default_na=False,
            )
        table = table.astype({k: v for k, v in kinds.items() if v is float})
    except (OSError, ValueError, KeyError):
        return None
    if not set(kinds) <= set(table.columns):
        return None
    prefix = os.path.join(root, '')
    stamps = zip(table['size'], table['mtime_ns'], strict=True)
    for path, known in zip(table['reference'], stamps, strict=True):
        if path and stamp(prefix + path) != known:
            return None
    return table


def _write(place: Path, state: dict[str, Any], table: pd.DataFrame) -> bool:
    """Keep a table. Returns False where the folder cannot be written."""
    try:
        with (
            replacing(place) as part,
            part.open('w', encoding='utf-8', newline='') as file,
        ):
            file.write(json.dumps(state) + '\n')
            table.to_csv(file, index=False)
    except OSError:
        return False
    return True
