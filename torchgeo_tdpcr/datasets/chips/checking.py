# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What is wrong with the files of one chip, each looked at by itself."""

import hashlib
from typing import Literal, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..gdal import CHIP_SETTINGS
from ..grids import Grid
from ..sources import RASTER_ERRORS, cause_of, open_geotiff
from .index import read_header
from .layout import Claim, Layer, Layout
from .reading import (
    cloud_fault,
    grid_fault,
    label_fault,
    number_fault,
    type_fault,
)

Kind = Literal[
    'missing',
    'unreadable',
    'truncated',
    'bands',
    'dtype',
    'values',
    'grid',
    'cloudy equals clear',
    'copy',
    'name',
]


class FileCheck(NamedTuple):
    """What reading a file has told.

    Args:
        faults: Kind and description of each thing that is wrong with it.
        digest: Hash of its bytes.
        constant: Whether all its values are the same.
    """

    faults: list[tuple[Kind, str]]
    digest: str
    constant: bool


def reference_layer(layers: dict[str, Claim], layout: Layout) -> str:
    """Name the layer that gives a chip its place, '' if it has none."""
    return next((name for name in layout.references if name in layers), '')


def check_chip(
    layers: dict[str, Claim], layout: Layout, num_classes: int
) -> dict[str, FileCheck]:
    """Check every file of a chip."""
    reference = reference_layer(layers, layout)
    grid = None
    if reference:
        header = read_header(layers[reference].path)
        grid = None if header[-1] else Grid.from_epsg(*header[:7])
    with rasterio.Env(**CHIP_SETTINGS):
        return {
            name: _check_file(
                claim.path, layout.layers[name], grid, num_classes, name == reference
            )
            for name, claim in layers.items()
        }


def _check_file(
    path: str, layer: Layer, grid: Grid | None, num_classes: int, is_reference: bool
) -> FileCheck:
    """Check one file."""
    faults: list[tuple[Kind, str]] = []
    constant = False
    try:
        with open(path, 'rb') as file:
            digest = hashlib.file_digest(file, 'blake2b').hexdigest()
    except OSError as error:
        return FileCheck([('unreadable', f'cannot be opened ({error})')], path, False)
    if is_reference and grid is None:
        faults.append(('unreadable', read_header(path)[-1]))
    try:
        with open_geotiff(path) as source:
            fault = type_fault(source.count, source.dtypes[0], layer)
            if fault:
                kind: Kind = 'bands' if source.count != layer.count else 'dtype'
                faults.append((kind, fault))
            if grid is not None and (shift := grid_fault(source, grid)):
                faults.append(('grid', shift))
            try:
                array = source.read()
            except (*RASTER_ERRORS, MemoryError) as error:
                fault_of_pixels = f'its pixels cannot be read ({cause_of(error)})'
                faults.append(('truncated', fault_of_pixels))
            else:
                constant = bool((array == array.flat[0]).all())
                if not fault and (wrong := _value_fault(array, layer, num_classes)):
                    faults.append(('values', wrong))
    except RASTER_ERRORS as error:
        if not faults:
            faults.append(('unreadable', f'cannot be opened ({error})'))
    return FileCheck(faults, digest, constant)


def _value_fault(array: NDArray[np.generic], layer: Layer, num_classes: int) -> str:
    """Tell what is wrong with the values of a layer, '' if nothing."""
    if layer.key == 'mask':
        return label_fault(array, num_classes)
    if layer.key == 'mask_cloud':
        return cloud_fault(array)
    return number_fault(array, layer)
