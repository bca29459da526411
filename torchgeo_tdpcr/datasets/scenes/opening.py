# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Opening a scene: its files, and whether they fit together."""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ...kinds import MaskWord
from ..grids import Grid
from ..plausibility import TEN_METRES, within
from .common import SceneError, SceneInfo, SceneWarning
from .composite import ClearDates, OtherDate
from .declared import Declared
from .formats.parts import OpticalProduct
from .formats.products import find_optical
from .formats.rasters import RasterFiles
from .pairing.dates import dates_of, days_between
from .pairing.pairs import OtherProduct, ScenePair
from .windows.clouds import CloudReader
from .windows.detection import DetectedClouds
from .windows.optical.reader import OpticalReader
from .windows.radar.mosaic import RadarMosaic, radar_reader
from .windows.radar.reader import RadarReader
from .windows.warping import source_window


class SceneFiles(NamedTuple):
    """The opened files of a scene.

    Args:
        info: What there is to know of it.
        optical: Reads Sentinel-2.
        radar: Reads Sentinel-1.
        clouds: Reads the cloud mask, or finds it; None where there is none.
        others: Reads clear pixels of other dates; None where there are none.
    """

    info: SceneInfo
    optical: OpticalReader
    radar: RadarReader | RadarMosaic
    clouds: CloudReader | DetectedClouds | None
    others: ClearDates | None = None


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
    optical = _open_optical(product, bands, declared)
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
    clouds = _open_clouds(pair.cloud_mask, product, optical, declared)
    # Absolute, so that they can be found again from anywhere
    inputs = {'s2': str(pair.s2.resolve()), 's1': str(pair.s1.resolve())}
    for number, path in enumerate(pair.slices, 2):
        inputs[f's1_{number}'] = str(path.resolve())
    if isinstance(pair.cloud_mask, Path):
        inputs['cloud_mask'] = str(pair.cloud_mask.resolve())
    acquired = dates_of(product, found[0]).optical
    others = None
    detectors: tuple[str, ...] = ()
    if pair.others:
        places = [pair.s2.resolve(), *(other.s2.resolve() for other in pair.others)]
        if len(set(places)) < len(places):
            raise SceneError(pair.s2, 'or one of its other dates is given twice.')
        if clouds is None:
            raise SceneError(
                pair.s2,
                'has no cloud mask of its own, so nothing tells where other dates are '
                "to stand for it. Give one as `cloud_mask`, or 'auto' to find clouds.",
            )
        dates = [
            _open_other(other, optical, declared, acquired) for other in pair.others
        ]
        detectors = tuple(_detector(date.clouds) for date in dates)
        detectors = detectors if any(detectors) else ()
        others = ClearDates(optical, clouds, dates)
    for number, other in enumerate(pair.others, 2):
        inputs[f's2_{number}'] = str(other.s2.resolve())
        if isinstance(other.cloud_mask, Path):
            inputs[f'cloud_mask_{number}'] = str(other.cloud_mask.resolve())
    date = None if acquired is None else (_naive(acquired),) * 2
    info = SceneInfo(
        pair.name,
        optical.grid,
        inputs,
        date,
        optical.bands,
        float(optical.offset),
        declared=declared.said,
        detector=_detector(clouds),
        composite=others is not None,
        other_detectors=detectors,
        masked=clouds is not None,
    )
    return SceneFiles(info, optical, radar, clouds, others)


def _open_optical(
    product: OpticalProduct, bands: Sequence[str] | None, declared: Declared
) -> OpticalReader:
    """Open a product, and warn where its numbers speak against what was said of it."""
    optical = OpticalReader(product, bands, declared.offset, declared.scale)
    if optical.doubt:
        warnings.warn(
            f"'{product.path}': `offset={declared.offset:g}` was given, but "
            f'{optical.doubt}. If it is wrong, the image is too dark or too bright by a '
            'reflectance of 0.1.',
            SceneWarning,
            stacklevel=3,
        )
    return optical


def _open_clouds(
    mask: Path | MaskWord | None,
    product: OpticalProduct,
    optical: OpticalReader,
    declared: Declared,
) -> CloudReader | DetectedClouds | None:
    """Open the mask that was given, or asked for, or else the product's own."""
    if mask == 'auto':
        return DetectedClouds(product, optical.grid, optical.offset, declared.scale)
    if isinstance(mask, Path):
        return CloudReader(mask, optical.grid, declared.cloud_mask_kind)
    if product.clouds is not None:
        return CloudReader(product.clouds, optical.grid, declared.cloud_mask_kind)
    if mask == 'product':
        raise SceneError(
            product.path,
            'has no cloud mask of its own, as `cloud_mask=product` asks for. Give one, '
            "or 'auto' for clouds that are found.",
        )
    return None


def _detector(clouds: CloudReader | DetectedClouds | None) -> str:
    """Name and version of what finds clouds, '' where a mask has them."""
    return clouds.origin if isinstance(clouds, DetectedClouds) else ''


def _open_other(
    other: OtherProduct,
    scene: OpticalReader,
    declared: Declared,
    acquired: datetime | None,
) -> OtherDate:
    """Open a product of another date, with its mask."""
    product = find_optical(other.s2, declared.all_bands)
    optical = _open_optical(product, scene.bands, declared)
    if source_window(optical.grid, scene.grid, scene.grid.all) is None:
        raise SceneError(
            other.s2,
            f"is given as another date of '{scene.product.path}', but lies elsewhere. "
            'Give products of one place.',
        )
    if product.level != scene.product.level:
        warnings.warn(
            f"'{other.s2}' is of level {product.level}, '{scene.product.path}' of "
            f'{scene.product.level}: their numbers do not mean the same. Give dates of one '
            'level.',
            SceneWarning,
            stacklevel=2,
        )
    clouds = _open_clouds(other.cloud_mask, product, optical, declared)
    if clouds is None:
        raise SceneError(
            other.s2,
            'is of another date and has no cloud mask of its own, so nothing tells where '
            "it is clear. Give a mask of each date, or 'auto' as `cloud_mask` to find "
            'clouds.',
        )
    days = days_between(acquired, product.date)
    return OtherDate(optical, clouds, scene.grid, days)


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
