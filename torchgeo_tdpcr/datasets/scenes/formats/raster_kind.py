# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a raster may be of, by its name and its header."""

from pathlib import Path
from typing import Literal

from ..common import SceneError
from .masks.forms import MASK_FORMS
from .naming import polarisation_of
from .optical.bands import NO_BANDS, band_of_file, band_of_label, read_bands
from .rasters import RasterFiles

#: Sentinel-2, Sentinel-1, a cloud mask, one band that nothing names, or the truth of a
#: synthetic scene.
type RasterKind = Literal['s2', 's1', 'cloud_mask', 'one_band', 'truth']

#: Bands of a file that is named as a cloud mask; one with more is an image.
_MASK_BANDS = 3


def is_named_as_mask(path: Path) -> bool:
    """Tell whether the name of a file is that of a cloud mask."""
    return any(form.names.search(path.name) for form in MASK_FORMS)


def kind_of_raster(path: Path) -> RasterKind | None:
    """Tell what a raster may be of.

    Args:
        path: The raster; nothing but its header is read.

    Returns:
        What it may be of, None if nothing tells or it cannot be opened.
    """
    rasters = RasterFiles()
    try:
        header = rasters.header(str(path))
    except SceneError:
        # Polygons are no raster
        if is_named_as_mask(path):
            return 'cloud_mask'
        return 's1' if polarisation_of(path.name) else None
    finally:
        rasters.close()
    if header.truth:
        return 'truth'
    if is_named_as_mask(path) and header.count <= _MASK_BANDS:
        return 'cloud_mask'
    if any(map(polarisation_of, (path.name, *header.labels))) or header.count == 2:
        return 's1'
    if header.count == 1:
        if band_of_file(path.name):
            return 's2'
        return 'cloud_mask' if read_bands([path.stem])[0] in NO_BANDS else 'one_band'
    return 's2' if any(map(band_of_label, header.labels)) else None
