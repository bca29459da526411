# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which chips cannot be read, found by reading every one, once.

What was found is kept with sizes and times of the files, so that only chips that are new
or have changed are read the next time.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rasterio
from tqdm.auto import tqdm

from ...files import replacing
from ..gdal import CHIP_SETTINGS
from .index import cache_folder, stamp
from .layout import CorruptChipError

#: Counted up when other chips can be read than before.
_RULES = 1

#: File and fault of a chip; two empty texts if it can be read.
type Finding = tuple[str, str]


def screen(
    read: Callable[[int], object],
    files: Sequence[Sequence[str]],
    settings: object,
    cache: bool | str | os.PathLike[str],
    workers: int | None = None,
    progress: bool = True,
) -> list[Finding]:
    """Read every chip and tell what is wrong with it.

    Args:
        read: Reads the chip of a row; raises ``CorruptChipError`` if it cannot.
        files: Files of each row.
        settings: What it depends on besides the files, whether a chip can be read.
        cache: Folder to keep what was found in; True for the user's cache folder, False
            to read all chips anew and keep nothing.
        workers: Threads that read (defaults to the number of cores).
        progress: Show a progress bar where the work is long.

    Returns:
        The file and its fault for each row.
    """
    keys = [_key(paths, settings) for paths in files]
    place = None if cache is False else cache_folder(cache) / 'chips_read.json'
    known = {} if place is None else _load(place)
    fresh = [row for row, key in enumerate(keys) if key not in known]
    if fresh:
        with rasterio.Env(**CHIP_SETTINGS):
            pass  # initialises GDAL once, before threads do it at the same time

        def look(row: int) -> Finding:
            try:
                read(row)
            except CorruptChipError as error:
                return error.path, error.fault
            return '', ''

        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            findings = tqdm(
                pool.map(look, fresh),
                total=len(fresh),
                desc='Reading all chips once',
                unit='chip',
                delay=2,
                disable=None if progress else True,
            )
            for row, finding in zip(fresh, findings, strict=True):
                known[keys[row]] = finding
        if place is not None:
            _save(place, known)
    return [known[key] for key in keys]


def _key(paths: Sequence[str], settings: object) -> str:
    state = [(path, stamp(path)) for path in paths]
    return hashlib.sha256(repr((_RULES, state, settings)).encode()).hexdigest()[:32]


def _load(place: Path) -> dict[str, Finding]:
    try:
        with place.open(encoding='utf-8') as file:
            return {
                key: (path, fault) for key, (path, fault) in json.load(file).items()
            }
    except (OSError, ValueError, AttributeError):
        return {}


def _save(place: Path, known: dict[str, Finding]) -> None:
    """Keep what was found, where the folder can be written."""
    try:
        with replacing(place) as part, part.open('w', encoding='utf-8') as file:
            json.dump(known, file)
    except OSError:
        return
