# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""`write_scene_pair`: a cloudy Sentinel-2 product, a Sentinel-1 raster, and the truth.

The product takes any of the forms in which people hold one. The pixels depend on the
seed, the size and the cloud cover, not on the form: a band has the values of its own
resolution everywhere.
"""

import os
import tempfile
from collections.abc import Iterable
from datetime import date as Date
from datetime import datetime, time
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import calculate_default_transform, reproject

from ...files import expanded
from ...kinds import LEVELS, Level
from ...transforms.bands import BASELINE_OFFSET, SENTINEL1_BANDS
from ...transforms.clouds import CloudyImage, simulate_clouds
from ...transforms.noise import FloatArray
from .biomes import BIOMES
from .landscape import IGNORE
from .radar import GRID_SHIFT
from .safe_writer import (
    BLOCK,
    Kind,
    product_name,
    write_bands,
    write_product,
    write_tiff,
)
from .scene import Scene, at_level, build_scene, digital_numbers
from .writer import PIXEL, Place

Scale = Literal['db', 'linear']

#: Farmland in Bavaria, on the 60 m grid of the Sentinel-2 tile 32UPU.
PLACE = Place(32632, 660_000, 5_360_040)
_SIZES = (32, 10_980)
#: How far the ground is from the truth to the scene's other date, which is any season.
CHANGE = 0.3
# When Sentinel-1 passes Bavaria southwards, in UTC.
_RADAR_TIME = time(5, 26)
# Draws the estimate of the air, apart from all else that a seed draws.
_AIR = 2
# Metres of one degree of latitude.
_DEGREE = 111_320.0


class ScenePaths(NamedTuple):
    """Where a synthetic scene lies.

    Attributes:
        s2: The cloudy Sentinel-2 product: a GeoTIFF, a folder, or a zip file.
        s1: VV and VH of Sentinel-1.
        clear: The same place without clouds, 13 bands as those of a GeoTIFF product.
        labels: Land-cover labels of `CLASSES`, uint8, 255 where there is none.
        clouds: 1 where there is cloud or shadow, else 0, uint8.
    """

    s2: Path
    s1: Path
    clear: Path
    labels: Path
    clouds: Path


def write_scene_pair(
    root: str | os.PathLike[str],
    name: str = 'scene',
    size: int | tuple[int, int] = 1020,
    seed: int = 0,
    kind: Kind = 'geotiff',
    cover: float = 0.4,
    offset: int = BASELINE_OFFSET,
    sar_epsg: int | None = None,
    sar_res: float = PIXEL,
    sar_scale: Scale = 'db',
    sar_margin: int = 64,
    nodata_corner: bool = False,
    date: str = '2020-06-04',
    level: Level = '1C',
    soft_clouds: bool = False,
) -> ScenePaths:
    """Write one scene as Sentinel-2 and Sentinel-1 see it, and the truth.

    The scene lies in EPSG:32632. Its files are `<name>_s1.tif`, `<name>_clear.tif`,
    `<name>_labels.tif`, `<name>_clouds.tif`, and the product:

    - `'geotiff'`: `<name>_s2.tif` with 13 bands at 10 m,
    - `'bands'`: `<name>_s2/` with one GeoTIFF a band at its own resolution,
    - `'safe'`: `S2A_MSIL1C_….SAFE/`, a Level-1C product as ESA distributes it, whose
      name has the date and not `name`,
    - `'zip'`: the same in `S2A_MSIL1C_….SAFE.zip`.

    A scene of 1020 × 1020 takes a few seconds and 0.5 GB of memory, which grow with
    the area.

    Args:
        root: Folder to write to; made if it does not exist.
        name: Start of the names of the files.
        size: Side, or height and width, in pixels of 10 m, 32 to 10980; multiples of 6
            unless `kind` is `'geotiff'`.
        seed: The same seed, size and margin give the same pixels.
        kind: Form of the Sentinel-2 product.
        cover: Part of the scene under cloud or shadow, 0 to 1.
        offset: What is added to the optical digital numbers: 1000 as since processing
            baseline 04.00, or 0 as before; up to 10000.
        sar_epsg: EPSG code of the radar's coordinate reference system, to which it is
            warped; the scene's if None.
        sar_res: Pixel size of the radar in metres.
        sar_scale: Whether backscatter is in dB or linear power.
        sar_margin: Pixels of 10 m by which the radar extends beyond the scene. A few
            dozen are needed to cover it when it is warped.
        nodata_corner: Whether the upper left corner of the product, but not of the
            truth, is 0, as at the edge of a swath.
        date: Day of both acquisitions, `YYYY-MM-DD`, which the GeoTIFFs tell as
            `ACQUISITIONDATETIME` of GDAL's domain `IMAGERY`, and SAFE by its metadata.
        level: Level of the optical images: `'1C'`, or `'2A'`, which has no B10 and is not
            written as SAFE.
        soft_clouds: Whether clouds thicken slowly from their edges, as real ones do.

    Returns:
        Where the files are.

    Raises:
        ValueError: If an argument is not within its range.
        FileExistsError: If one of the files is there already.

    Example:
        >>> import rasterio
        >>> root = tempfile.mkdtemp()
        >>> paths = write_scene_pair(root, size=48, sar_margin=6)
        >>> paths.s2.name, paths.s1.name
        ('scene_s2.tif', 'scene_s1.tif')
        >>> with rasterio.open(paths.s2) as file:
        ...     file.shape, file.descriptions[:3], file.nodata
        ((48, 48), ('B1', 'B2', 'B3'), 0.0)
    """
    shape = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    _check(name, shape, seed, kind, cover, offset, sar_res, sar_scale, sar_margin)
    check_level(level, kind)
    day = parse_date(date)
    sar_crs = _parse_crs(PLACE.epsg if sar_epsg is None else sar_epsg)

    root = expanded(root)
    product = product_name(kind, name, day, offset)
    names = (product, *(f'{name}_{end}.tif' for end in ScenePaths._fields[1:]))
    paths = ScenePaths(*(root / file for file in names))
    refuse_existing(paths)

    rng = np.random.default_rng(seed)
    scene, inner, pad = padded_scene(rng, shape, sar_margin)
    sky = _cloudy(rng, scene, inner, cover, soft_clouds)
    air = np.random.default_rng([seed, _AIR])
    # Of two days, so estimated anew for each
    image = digital_numbers(at_level(level, air, sky.image, scene, CHANGE), offset)
    if nodata_corner:
        for plane in image.values():
            plane[_corner(shape)] = 0

    root.mkdir(parents=True, exist_ok=True)
    # files of a killed run stay in a hidden folder, apart from whole ones
    with tempfile.TemporaryDirectory(prefix=f'.{name}-', dir=root) as scratch:
        parts = ScenePaths(*(Path(scratch, file) for file in names))
        grid = from_origin(PLACE.left, PLACE.top, PIXEL, PIXEL)
        crs = CRS.from_epsg(PLACE.epsg)
        write_product(parts.s2, kind, image, sky, grid, crs, day, offset)
        clear = digital_numbers(at_level(level, air, scene.clear[inner], scene), offset)
        write_bands(parts.clear, clear, grid, crs, truth=True)
        labels = scene.label[inner][None]
        write_tiff(parts.labels, labels, grid, crs, IGNORE, truth=True)
        write_tiff(parts.clouds, sky.mask[None].astype(np.uint8), grid, crs)
        cut = slice(pad - sar_margin, sar_margin - pad or None)
        _write_radar(
            parts.s1,
            scene.sar[:, cut, cut],
            sar_margin,
            sar_crs,
            sar_res,
            sar_scale,
            day,
        )
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    return paths


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise where one of the files that are to be written is there.

    Args:
        paths: The files.

    Raises:
        FileExistsError: If one is.
    """
    for path in paths:
        if path.exists():
            raise FileExistsError(
                f"'{path}' is there already. Delete it, or give another `root` or `name`."
            )


def padded_scene(
    rng: np.random.Generator, shape: tuple[int, int], margin: int
) -> tuple[Scene, tuple[Any, ...], int]:
    """Make a scene with room around it.

    Args:
        rng: Source of randomness, as the seed of the scene begins it.
        shape: Height and width without that room, in pixels of 10 m.
        margin: How much room there is at least.

    Returns:
        The scene, where in it the pixels without that room are, and how much it is: it
        begins where blocks do, so that they lie on the grid of 60 m.
    """
    pad = -(-margin // BLOCK) * BLOCK
    scene = build_scene(rng, (shape[0] + 2 * pad, shape[1] + 2 * pad), BIOMES[0])
    return scene, np.s_[..., pad : pad + shape[0], pad : pad + shape[1]], pad


def _check(
    name: str,
    shape: tuple[int, int],
    seed: int,
    kind: str,
    cover: float,
    offset: int,
    sar_res: float,
    sar_scale: str,
    sar_margin: int,
) -> None:
    if not name or Path(name).name != name:
        raise ValueError(f'`name={name!r}`: give the start of a file name, no folder.')
    for argument, value, choices in (
        ('kind', kind, get_args(Kind)),
        ('sar_scale', sar_scale, get_args(Scale)),
    ):
        if value not in choices:
            raise ValueError(f'`{argument}={value!r}`: give one of {list(choices)}.')
    for argument, number, low, high in (
        ('size', shape[0], *_SIZES),
        ('size', shape[1], *_SIZES),
        ('seed', seed, 0, 2**63 - 1),
        ('cover', cover, 0, 1),
        ('offset', offset, 0, 10_000),
        ('sar_res', sar_res, 1, 1000),
        ('sar_margin', sar_margin, 0, 1000),
    ):
        if not low <= number <= high:
            raise ValueError(f'`{argument}={number}` is not within {low} to {high}.')
    if kind != 'geotiff' and (shape[0] % BLOCK or shape[1] % BLOCK):
        raise ValueError(
            f'`size={shape}`: with `kind={kind!r}` the bands have pixels of 10, 20 and '
            f'60 m. Give multiples of {BLOCK}, or `kind="geotiff"`.'
        )


def check_level(level: str, kind: str = 'geotiff') -> None:
    """Raise where a scene cannot be written of a level.

    Raises:
        ValueError: If there is no such level, or its SAFE is not written.
    """
    if level not in LEVELS:
        raise ValueError(f'`level={level!r}`: give one of {list(LEVELS)}.')
    if level != '1C' and kind in ('safe', 'zip'):
        raise ValueError(
            f'`level={level!r}` with `kind={kind!r}`: SAFE is written of level 1C alone. '
            "Give `kind='geotiff'` or 'bands'."
        )


def parse_date(text: str) -> Date:
    """Read a day.

    Raises:
        ValueError: If it is none.
    """
    try:
        return Date.fromisoformat(text)
    except ValueError:
        raise ValueError(f'`date={text!r}`: give a day as YYYY-MM-DD.') from None


def _parse_crs(epsg: int) -> CRS:
    try:
        return CRS.from_epsg(epsg)
    except CRSError:
        raise ValueError(
            f'`sar_epsg={epsg}` is no known coordinate reference system. Give an EPSG '
            'code such as 32633 or 4326.'
        ) from None


def _cloudy(
    rng: np.random.Generator,
    scene: Scene,
    inner: tuple[Any, ...],
    cover: float,
    soft: bool,
) -> CloudyImage:
    """Put a sky over the scene some days from the truth, part of the way to `other`."""
    clear, other = scene.clear[inner], scene.other[inner]
    ground = clear + np.float32(CHANGE) * (other - clear)
    return simulate_clouds(ground, rng, cover, sun=scene.sun, soft=soft)


def _corner(shape: tuple[int, int]) -> np.ndarray:
    """A triangle in the upper left, made of whole blocks, H×W bool."""
    row, col = (np.arange(length) // BLOCK for length in shape)
    return row[:, None] + col[None] < max(min(shape) // (2 * BLOCK), 1)


def _write_radar(
    path: Path,
    decibels: FloatArray,
    margin: int,
    crs: CRS,
    res: float,
    scale: Scale,
    day: Date,
) -> None:
    """Write the radar on a grid of its own; power is averaged, not decibels."""
    power = np.float32(10) ** (decibels / np.float32(10))
    left = PLACE.left - margin * PIXEL + GRID_SHIFT[0]
    top = PLACE.top + margin * PIXEL + GRID_SHIFT[1]
    grid = from_origin(left, top, PIXEL, PIXEL)
    source = CRS.from_epsg(PLACE.epsg)
    if crs != source or res != PIXEL:
        height, width = power.shape[1:]
        bounds = array_bounds(height, width, grid)
        step = res / _DEGREE if crs.is_geographic else res
        target, cols, rows = calculate_default_transform(
            source, crs, width, height, *bounds, resolution=step
        )
        warped = np.full((len(power), rows, cols), np.nan, np.float32)
        reproject(
            power,
            warped,
            src_transform=grid,
            src_crs=source,
            src_nodata=np.nan,
            dst_transform=target,
            dst_crs=crs,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
        power, grid = warped, target
    values = power if scale == 'linear' else 10 * np.log10(power)
    acquired = datetime.combine(day, _RADAR_TIME)
    write_tiff(path, values, grid, crs, np.nan, tuple(SENTINEL1_BANDS), acquired)
