# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Opening a scene: its files, and whether they fit together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ..grids import Grid
from ..plausibility import TEN_METRES, within
from .common import SceneError, SceneInfo
from .declared import Declared
from .formats.parts import OpticalProduct
from .formats.rasters import RasterFiles
from .pairing.dates import dates_of
from .pairing.pairs import ScenePair
from .windows.clouds import CloudReader
from .windows.detection import DetectedClouds
from .windows.optical.reader import OpticalReader
from .windows.radar.mosaic import RadarMosaic, radar_reader
from .windows.radar.reader import RadarReader


class SceneFiles(NamedTuple):
    """The opened files of a scene.

    Args:
        info: What there is to know of it.
        optical: Reads Sentinel-2.
        radar: Reads Sentinel-1.
        clouds: Reads the cloud mask, or finds it; None where there is none.
    """

    info: SceneInfo
    optical: OpticalReader
    radar: RadarReader | RadarMosaic
    clouds: CloudReader | DetectedClouds | None


def open_scene(
    pair: ScenePair,
    bands: Sequence[str] | None,
    declared: Declared,
    min_sar_cover: float,
) -> SceneFiles:
    """Open the files of a scene and check that they fit together.

    Args:
        pair: The files.
        bands: Names of the Sentinel-2 bands to read, None for all.
        declared: What the user says of them.
        min_sar_cover: Part of the scene that radar must cover at least.

    Returns:
        The opened files.

    Raises:
        SceneError: If a file cannot be used, or radar covers too little.
    """
    product = pair.find_optical(declared.all_bands)
    optical = OpticalReader(product, bands, declared.offset, declared.scale)
    if not declared.any_res and (fault := size_fault(optical.grid)):
        raise SceneError(pair.s2, fault)
    rasters = RasterFiles()
    found = pair.find_radars(rasters, declared.polarisations)
    radar = radar_reader(
        [RadarReader(one, optical.grid, declared.sar_scale, rasters) for one in found]
    )
    cover, meets = radar.coverage(), radar.meets
    radar.close()
    if cover < min_sar_cover or not cover:
        if cover:
            what = (
                f"covers {cover:.0%} of '{pair.s2}'. Give a raster that covers more, or "
                f'lower `min_sar_cover={min_sar_cover:g}`; what is not covered is missing '
                'in the output then.'
            )
        elif meets:
            what = f"holds no values in '{pair.s2}': all its pixels there are missing."
        else:
            what = f"does not cover any of '{pair.s2}': they are at different places."
        if pair.slices:
            what = (
                f'and {", ".join(f"'{path}'" for path in pair.slices)} together: {what}'
            )
        raise SceneError(pair.s1, what)
    clouds = _open_clouds(pair, product, optical, declared)
    # Absolute, so that they can be found again from anywhere
    inputs = {'s2': str(pair.s2.resolve()), 's1': str(pair.s1.resolve())}
    for number, path in enumerate(pair.slices, 2):
        inputs[f's1_{number}'] = str(path.resolve())
    if isinstance(pair.cloud_mask, Path):
        inputs['cloud_mask'] = str(pair.cloud_mask.resolve())
    acquired = dates_of(product, found[0]).optical
    date = None if acquired is None else (_naive(acquired),) * 2
    info = SceneInfo(
        pair.name,
        optical.grid,
        inputs,
        date,
        optical.bands,
        float(optical.offset),
        declared=declared.said,
        detector=clouds.origin if isinstance(clouds, DetectedClouds) else '',
    )
    return SceneFiles(info, optical, radar, clouds)


def _open_clouds(
    pair: ScenePair,
    product: OpticalProduct,
    optical: OpticalReader,
    declared: Declared,
) -> CloudReader | DetectedClouds | None:
    """Open the mask that was given, or asked for, or else the product's own."""
    if pair.cloud_mask == 'auto':
        return DetectedClouds(product, optical.grid, optical.offset, declared.scale)
    if isinstance(pair.cloud_mask, Path):
        return CloudReader(pair.cloud_mask, optical.grid, declared.cloud_mask_kind)
    if product.clouds is not None:
        return CloudReader(product.clouds, optical.grid, declared.cloud_mask_kind)
    if pair.cloud_mask == 'product':
        raise SceneError(
            pair.s2,
            'has no cloud mask of its own, as `cloud_mask=product` asks for. Give one, '
            "or 'auto' for clouds that are found.",
        )
    return None


def size_fault(grid: Grid) -> str:
    """Tell that pixels are not of the size that models are trained with.

    Args:
        grid: The pixels.

    Returns:
        The fault in words, '' if they are.
    """
    across, down = grid.ground_size
    if within(across, TEN_METRES) and within(down, TEN_METRES):
        return ''
    return (
        f'has pixels of {across:.3g}×{down:.3g} m on the ground; models are trained with '
        'those of 10 m. Give the bands of 10 m as well (of SAFE the product, or IMG_DATA '
        'rather than one of its folders), or map it as it is with `any_res`.'
    )


def _naive(time: datetime) -> datetime:
    """The time in UTC without its zone, as pandas and TorchGeo have it."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
