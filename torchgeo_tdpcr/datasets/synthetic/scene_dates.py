# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""`write_scene_dates`: the scene of `write_scene_pair` on other days."""

import os
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import from_origin

from ...files import expanded
from ...kinds import Level
from ...transforms.bands import BASELINE_OFFSET
from ...transforms.clouds import simulate_clouds
from ...transforms.noise import FloatArray
from .safe_writer import write_bands, write_product, write_tiff
from .scene import Scene, at_level, between_dates, digital_numbers
from .scene_pair import (
    CHANGE,
    PLACE,
    check_level,
    padded_scene,
    parse_date,
    refuse_existing,
)
from .writer import PIXEL

# Days after which the ground has gone most of the way to any other season.
_DAYS = 60.0
_MOST_DAYS = 3650


class DatePaths(NamedTuple):
    """Where a synthetic scene of one day lies.

    Attributes:
        s2: The cloudy Sentinel-2 product, a GeoTIFF.
        clear: The same without clouds.
        clouds: 1 where there is cloud or shadow, else 0, uint8.
    """

    s2: Path
    clear: Path
    clouds: Path


def write_scene_dates(
    root: str | os.PathLike[str],
    other_days: Sequence[int],
    name: str = 'scene',
    size: int | tuple[int, int] = 1020,
    seed: int = 0,
    cover: float = 0.4,
    offset: int = BASELINE_OFFSET,
    sar_margin: int = 64,
    date: str = '2020-06-04',
    level: Level = '1C',
    soft_clouds: bool = False,
) -> list[DatePaths]:
    """Write a scene as Sentinel-2 sees it on other days than that of the pair.

    It is the place that :func:`write_scene_pair` makes of the same name, size, seed and
    margin. The longer before or after, the more of its fields have changed; light and
    air change from day to day, and the clouds of each day are others. Files of a day are
    `<name>_<YYYYMMDD>_s2.tif`, `…_clear.tif` and `…_clouds.tif`.

    Args:
        root: Folder to write to; made if it does not exist.
        other_days: How many days after `date`, or before if negative. At 0 the ground is
            what the pair's cloudy product sees.
        name: Start of the names of the files.
        size: Side, or height and width, in pixels of 10 m, 32 to 10980.
        seed: That of the pair.
        cover: Part of the scene under cloud or shadow on each day, 0 to 1.
        offset: What is added to the digital numbers.
        sar_margin: That of the pair.
        date: Day of the pair, `YYYY-MM-DD`.
        level: That of the pair.
        soft_clouds: See :func:`write_scene_pair`.

    Returns:
        Where the files of each day are.

    Raises:
        ValueError: If a day is given twice, or is ten years off.
        FileExistsError: If one of the files is there already.

    Example:
        >>> root = tempfile.mkdtemp()
        >>> dates = write_scene_dates(root, [10], size=48, sar_margin=6)
        >>> dates[0].s2.name
        'scene_20200614_s2.tif'
    """
    shape = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    root = expanded(root)
    first = parse_date(date)
    check_level(level)
    found = paths_of_dates(root, other_days, name, date)
    if not found:
        # To make the scene takes seconds
        return []
    scene, inner, _ = padded_scene(np.random.default_rng(seed), shape, sar_margin)
    root.mkdir(parents=True, exist_ok=True)
    grid = from_origin(PLACE.left, PLACE.top, PIXEL, PIXEL)
    crs = CRS.from_epsg(PLACE.epsg)
    for day, paths in zip(other_days, found, strict=True):
        drawn = [seed, abs(day), int(day < 0)]
        rng, air = np.random.default_rng(drawn), [*drawn, 1]
        ground, share = _ground(rng, scene, inner, day)
        sky = simulate_clouds(ground, rng, cover, sun=scene.sun, soft=soft_clouds)
        with tempfile.TemporaryDirectory(prefix=f'.{name}-', dir=root) as scratch:
            parts = DatePaths(*(Path(scratch, path.name) for path in paths))
            image, clear = (
                # The same estimate of the air for both
                digital_numbers(
                    at_level(level, np.random.default_rng(air), array, scene, share),
                    offset,
                )
                for array in (sky.image, ground)
            )
            when = first + timedelta(day)
            write_product(parts.s2, 'geotiff', image, sky, grid, crs, when, offset)
            write_bands(parts.clear, clear, grid, crs, truth=True)
            write_tiff(parts.clouds, sky.mask[None].astype(np.uint8), grid, crs)
            for part, path in zip(parts, paths, strict=True):
                os.replace(part, path)
    return found


def paths_of_dates(
    root: str | os.PathLike[str], days: Sequence[int], name: str, date: str
) -> list[DatePaths]:
    """Tell where files of other days go, before anything is written.

    Args:
        root: See :func:`write_scene_dates`, as the others.
        days: How many days after *date*.
        name: Start of the names of the files.
        date: Day of the pair.

    Returns:
        Where the files of each day go.

    Raises:
        ValueError: If a day is given twice, or is ten years off.
        FileExistsError: If one of the files is there already.
    """
    first, root = parse_date(date), expanded(root)
    try:
        if len(set(days)) < len(days) or any(abs(day) > _MOST_DAYS for day in days):
            raise OverflowError
        dates = [first + timedelta(day) for day in days]
    except OverflowError:
        raise ValueError(
            f'`other_days={list(days)}`: give each day once, at most {_MOST_DAYS} off '
            'and in a year of four digits.'
        ) from None
    found = [
        DatePaths(
            *(root / f'{name}_{day:%Y%m%d}_{key}.tif' for key in DatePaths._fields)
        )
        for day in dates
    ]
    refuse_existing(path for paths in found for path in paths)
    return found


def _ground(
    rng: np.random.Generator, scene: Scene, inner: tuple[Any, ...], day: int
) -> tuple[FloatArray, float]:
    """The ground so many days after the pair, and where it is between two dates."""
    clear, other = scene.clear[inner], scene.other[inner]
    share = CHANGE + 1 - np.exp(-abs(day) / _DAYS)
    ground: FloatArray = clear + np.float32(share) * (other - clear)
    return ground * between_dates(rng) if day else ground, float(share)
