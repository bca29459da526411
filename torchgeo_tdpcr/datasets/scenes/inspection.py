# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How files would be read: what they are, what tells it, and what they hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...files import expanded
from ...transforms.bands import QUANTIFICATION
from ..grids import Grid, PixelBox
from ..sources import fault_of_place, trusting
from .common import SceneError
from .declared import Declared
from .formats.contents import contents_of, is_zip
from .formats.described.dimap import band_names, is_dimap
from .formats.described.stac import asset_keys, is_item, tells_item
from .formats.evidence import Evidence
from .formats.form import title_of
from .formats.listing import (
    holds_maps,
    list_products,
    optical_in,
    radar_in,
    things_in,
)
from .formats.naming import RASTERS, polarisation_of
from .formats.optical.safe import is_safe
from .formats.parts import BandFile, CloudMask
from .formats.polarisations import RADAR_FORMS, describe_radar
from .formats.products import OPTICAL_FORMS, find_optical
from .formats.raster_kind import is_named_as_mask, kind_of_raster
from .formats.rasters import RasterFiles, crs_name
from .opening import size_fault
from .windows.clouds import CloudReader
from .windows.optical.reader import OpticalReader
from .windows.radar.reader import RadarReader

#: What a file may be.
type What = Literal['s2', 's1', 'cloud_mask']

#: Windows a side that are read to tell of a whole, and pixels a side of each.
_WINDOWS, _SIDE = 4, 64

#: Pixels up to which masks are read whole.
_WHOLE = 20_000_000


@dataclass(slots=True)
class Inspection:
    """How a product, a raster or a mask would be read.

    Args:
        path: The file or folder.
        what: Whether it is taken for Sentinel-2, Sentinel-1 or a cloud mask.
        facts: What was found, by its name, in an order for people.
        refused: Why it is not read; '' if it is.
    """

    path: Path
    what: What
    facts: dict[str, Any] = field(default_factory=dict)
    refused: str = ''


def inspect(
    path: str | PathLike[str],
    declared: Declared | None = None,
    what: What | None = None,
    trusted: bool = False,
) -> list[Inspection]:
    """Tell how files would be read, without a model.

    Args:
        path: A Sentinel-2 product, a Sentinel-1 raster, a cloud mask, or a folder of
            them.
        declared: What is said of them (defaults to nothing).
        what: What they are; None to find out.
        trusted: See :func:`~torchgeo_tdpcr.datasets.sources.trusting`.

    Returns:
        What was found of each, in the order of their names.

    Raises:
        SceneError: If there is nothing at the path.
    """
    path = expanded(path)
    if fault := fault_of_place(path):
        raise SceneError(path, fault)
    said = Declared() if declared is None else declared
    with trusting(trusted):
        return _look(path, said, what or _guess(path))


def _look(path: Path, said: Declared, what: What | None) -> list[Inspection]:
    """Look at a path, or at each of what a folder holds."""
    if what == 'cloud_mask':
        return [_mask(path, said)]
    if what is None:
        # A folder of several things
        several = [
            item for inside in things_in(path) for item in _look_inside(inside, said)
        ]
        fault = 'holds no products of Sentinel-1 or -2 and no masks. Maps do not count.'
        return several or [Inspection(path, 's2', refused=str(SceneError(path, fault)))]
    inside, look = (optical_in, _optical) if what == 's2' else (radar_in, _radar)
    try:
        found = list_products([path], inside, what)
    except SceneError as error:
        return [Inspection(path, what, refused=str(error))]
    return [look(product, said) for product in found]


def _look_inside(path: Path, said: Declared) -> list[Inspection]:
    """Look at one of several things in a folder; the others do not depend on it."""
    try:
        what = _guess(path, top=False)
    except SceneError as error:
        kind: What = 's1' if polarisation_of(path.name) else 's2'
        return [Inspection(path, kind, refused=str(error))]
    return [] if what is None else _look(path, said, what)


def _guess(path: Path, top: bool = True) -> What | None:
    """What a path may be, by names and by the number of bands; None if it is of several.

    Args:
        path: The path.
        top: Whether it was given. Of what a folder holds, what is no raster is left out.
    """
    if is_dimap(path) or is_item(path):
        return _guess_told(path, top)
    if path.is_dir() or is_zip(path):
        return _guess_of_many(path, top)
    if not top and path.suffix.lower() not in RASTERS:
        return 'cloud_mask' if is_named_as_mask(path) else None
    kind = kind_of_raster(path)
    if kind == 'truth':
        return 's2' if top else None
    return 'cloud_mask' if kind == 'one_band' else kind or 's2'


def _guess_told(path: Path, top: bool) -> What | None:
    """What a product of SNAP or a STAC item is of, as the names in it tell."""
    snap = is_dimap(path)
    # In a folder, the `.dim` stands for both, and JSON may be anything
    if not top and (path.is_dir() if snap else not tells_item(path)):
        return None
    names = band_names(path) if snap else asset_keys(path)
    return 's1' if any(map(polarisation_of, names)) else 's2'


def _guess_of_many(path: Path, top: bool) -> What | None:
    names = [path.name, *(file.name for file in contents_of(path, deep=True).files)]
    if is_safe(path):
        return 's1' if path.name.upper().startswith('S1') else 's2'
    if is_zip(path):
        return 's1' if any(map(polarisation_of, names)) else 's2'
    if holds_maps(path):
        return None
    try:
        if optical_in(path) == [path]:
            return 's2'
    except SceneError:
        # What is none of Sentinel-2 may be of Sentinel-1
        return 's1'
    if not top:
        return 's1' if any(map(polarisation_of, names)) else 's2'
    return None


def _optical(path: Path, said: Declared) -> Inspection:
    """How a Sentinel-2 product would be read."""
    found = Inspection(path, 's2')
    facts = found.facts
    try:
        product = find_optical(path, said.all_bands)
        facts['form'] = title_of(OPTICAL_FORMS, product.form)
        facts['bands'] = _where(product.bands)
        if product.others:
            facts['other bands'] = _where(product.others)
        if product.assumed:
            facts['order'] = (
                'the usual one, for nothing tells it; checked by the numbers'
            )
        facts['date'] = _date(product.date)
        facts['evidence of the offset'] = _once(product.evidence)
        try:
            reader = OpticalReader(product, None, said.offset, said.scale)
        except SceneError as error:
            found.refused = str(error)
            # What else there is to know, where only the offset is not
            reader = OpticalReader(product, None, 0, said.scale)
    except SceneError as error:
        found.refused = found.refused or str(error)
        return found
    facts |= _grid_facts(reader.grid)
    facts['scale'] = _one_or_each(reader.scales)
    facts['scale told by'] = _who_tells_scale(reader, said)
    facts['evidence of the offset'] = _once(reader.evidence)
    if not found.refused:
        facts['offset'] = int(reader.offset)
    if reader.doubt and not found.refused:
        facts['doubt'] = f'{said.offset:g} was given, but {reader.doubt}'
    # Which of both it is, nobody knows yet
    unknown = ', if the offset is 0' if found.refused else ''
    facts[f'median reflectance{unknown}'] = {
        band: round((median - reader.offset) / QUANTIFICATION, 4)
        for band, median in reader.medians.items()
    }
    facts['cover'] = round(reader.cover, 3)
    if product.clouds is None:
        facts['cloud mask'] = 'none of its own'
    else:
        mask = _mask(Path(product.clouds.path), said, reader.grid, product.clouds)
        facts['cloud mask'] = mask.facts | (
            {'refused': mask.refused} if mask.refused else {}
        )
    if not found.refused and not said.any_res:
        found.refused = size_fault(reader.grid)
    return found


def _radar(path: Path, said: Declared) -> Inspection:
    """How a Sentinel-1 raster would be read."""
    found = Inspection(path, 's1')
    facts = found.facts
    rasters = RasterFiles()
    try:
        radar = describe_radar(path, rasters, said.polarisations)
        facts['form'] = title_of(RADAR_FORMS, radar.form)
        facts['bands'] = _where(dict(zip(('VV', 'VH'), radar.bands, strict=True)))
        facts['order'] = radar.order
        facts['date'] = _date(radar.date)
        facts |= _grid_facts(radar.grid)
        reader = RadarReader(radar, radar.grid, said.sar_scale, rasters)
        facts['scale'] = reader.scale
        facts['scale told by'] = (
            'you'
            if said.sar_scale != 'auto'
            else 'numbers'
            if radar.scale is None
            else radar.scale.where
        )
        parts = [reader.read(box) for box in _windows(radar.grid)]
        values = np.concatenate([part.reshape(2, -1) for part in parts], axis=1)
        there = np.isfinite(values)
        facts['median dB'] = {
            name: round(float(np.median(band[known])), 2)
            for name, band, known in zip(('VV', 'VH'), values, there, strict=True)
            if known.any()
        }
        facts['cover'] = round(reader.coverage(), 3)
    except SceneError as error:
        found.refused = str(error)
    finally:
        rasters.close()
    return found


def _mask(
    path: Path,
    said: Declared,
    grid: Grid | None = None,
    source: CloudMask | None = None,
) -> Inspection:
    """How a cloud mask would be read, on a grid or its own."""
    found = Inspection(path, 'cloud_mask')
    try:
        if grid is None:
            rasters = RasterFiles()
            grid = rasters.grid(str(path))
            rasters.close()
            found.facts |= _grid_facts(grid)
        reader = CloudReader(source or path, grid, said.cloud_mask_kind)
        found.facts['kind'] = reader.source.kind
        whole = grid.width * grid.height <= _WHOLE
        windows = [grid.all] if whole else _windows(grid)
        cloudy = np.concatenate([reader.read(box).ravel() for box in windows])
        found.facts['cloud or shadow'] = round(float(cloudy.mean()), 3)
        if not whole:
            found.facts['cloud or shadow told by'] = (
                f'{len(windows)} windows of {_SIDE}×{_SIDE} pixels'
            )
        reader.close()
    except SceneError as error:
        found.refused = str(error)
    return found


def _where(bands: Mapping[str, BandFile]) -> dict[str, str]:
    """Number of each band in its file, or its file where there are several."""
    if len({band.path for band in bands.values()}) == 1:
        return {name: str(band.index) for name, band in bands.items()}
    return {
        name: Path(band.path).name + (f', band {band.index}' if band.index > 1 else '')
        for name, band in bands.items()
    }


def _who_tells_scale(reader: OpticalReader, said: Declared) -> str:
    product = reader.product
    if said.scale is not None:
        return 'you'
    if product.form == 'safe':
        return 'metadata'
    tags = [
        product.headers[band.path].scales[band.index - 1]
        for band in product.bands.values()
    ]
    return 'numbers' if (1, 0) in tags else 'tags'


def _once(evidence: Iterable[Evidence]) -> list[str]:
    return list(dict.fromkeys(map(str, evidence)))


def _date(date: datetime | None) -> str:
    return 'unknown' if date is None else date.strftime('%Y-%m-%d %H:%M UTC')


def _grid_facts(grid: Grid) -> dict[str, Any]:
    across, down = grid.ground_size
    return {
        'size': f'{grid.width}×{grid.height} pixels of {across:.3g}×{down:.3g} m',
        'CRS': crs_name(grid.crs),
    }


def _one_or_each(values: Mapping[str, float]) -> float | dict[str, float]:
    different = set(values.values())
    return different.pop() if len(different) == 1 else dict(values)


def _windows(grid: Grid) -> list[PixelBox]:
    """Windows that are spread over a grid."""
    lefts, tops = (
        np.unique(np.linspace(0, max(size - _SIDE, 0), _WINDOWS).astype(int))
        for size in (grid.width, grid.height)
    )
    return [
        PixelBox(
            int(left),
            int(top),
            min(int(left) + _SIDE, grid.width),
            min(int(top) + _SIDE, grid.height),
        )
        for top in tops
        for left in lefts
    ]
