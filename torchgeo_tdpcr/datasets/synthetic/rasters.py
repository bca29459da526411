# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Rasters written whole or not at all."""

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from ...files import replacing
from ...kinds import TRUTH


def write_array(
    path: Path,
    array: np.ndarray,
    descriptions: Sequence[str] = (),
    acquired: datetime | None = None,
    truth: bool = False,
    **profile: Any,
) -> None:
    """Write a raster.

    It is made in memory: GDAL itself tells nobody where a file that it closes does not
    fit on the disk.

    Args:
        path: Where to.
        array: C×H×W.
        descriptions: Names of the bands.
        acquired: When it was acquired, in UTC, which goes to GDAL's domain of imagery
            metadata.
        truth: Whether it is no input, but the truth, which a tag tells.
        **profile: What else :func:`rasterio.open` is to know.

    Raises:
        OSError: If it cannot be written, for instance since the disk is full.
    """
    count, height, width = array.shape
    shape = {'count': count, 'height': height, 'width': width, 'dtype': array.dtype}
    with (
        replacing(path) as part,
        MemoryFile(ext=path.suffix) as memory,
        warnings.catch_warnings(),
    ):
        # Whoever gives no transform knows that there is none
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with memory.open(**shape, **profile) as file:
            file.write(array)
            for number, text in enumerate(descriptions, 1):
                file.set_band_description(number, text)
            if acquired is not None:
                time = acquired.isoformat(sep=' ', timespec='seconds')
                file.update_tags(ns='IMAGERY', ACQUISITIONDATETIME=time)
            if truth:
                file.update_tags(**{TRUTH: 'yes'})
        part.write_bytes(memory.getbuffer())
