# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a Sentinel-2 product is made of: files of bands, a cloud mask, evidence."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from ....kinds import LEVELS, CloudMaskKind, Level
from .evidence import Evidence, settle
from .rasters import Headers

#: How a cloud mask is coded: as a user may say; as ESA's MSK_CLASSI (opaque, cirrus,
#: snow); as ESA's polygons.
type MaskKind = CloudMaskKind | Literal['classi', 'gml']


@dataclass(frozen=True, slots=True)
class BandFile:
    """One band of a raster file.

    Args:
        path: Anything that rasterio opens, a file in a zip included.
        index: The band, counted from 1.
    """

    path: str
    index: int = 1


@dataclass(frozen=True, slots=True)
class CloudMask:
    """A file that tells where clouds are.

    Args:
        path: The file, perhaps in a zip.
        kind: How it is coded; None if its name and its numbers are to tell.
        index: The band, counted from 1.
    """

    path: str
    kind: MaskKind | None = None
    index: int = 1


@dataclass(frozen=True, slots=True)
class OpticalProduct:
    """A Sentinel-2 product: where its bands are, and what its numbers mean.

    Args:
        path: The file or folder that was given.
        name: Its name without endings.
        bands: File of each band that there is, in the order of ``SENTINEL2_BANDS``.
        evidence: What tells what was added to reflectance × 10⁴, before any pixel is read.
        date: Start of the acquisition in UTC; None if nothing tells.
        nodata: Number of missing pixels that some of its files declare, may be NaN; else 0.
        clouds: The product's own cloud mask; None if it has none.
        form: Key of its form, see :data:`~.products.OPTICAL_FORMS`.
        assumed: Whether nothing but the usual order says which band is which.
        others: What else its rasters hold, by file and index.
        headers: What those of its files say about themselves that have been opened;
            takes that of others when they are.
    """

    path: Path
    name: str
    bands: dict[str, BandFile]
    evidence: tuple[Evidence, ...]
    date: datetime | None
    nodata: float
    clouds: CloudMask | None = None
    form: str = ''
    assumed: bool = False
    others: dict[str, BandFile] = field(default_factory=dict)
    headers: Headers = field(default_factory=dict, compare=False, repr=False)

    @property
    def offset(self) -> int | None:
        """What was added to reflectance × 10⁴; None if only pixels may tell.

        Raises:
            SceneError: If the product contradicts itself.
        """
        return settle(self.path, self.evidence)

    @property
    def level(self) -> Level:
        """What its name says, or else 1C if it has B10, which level 2A does not have."""
        name = self.name.upper()
        for level in LEVELS:
            if f'L{level}' in name:
                return level
        return '1C' if 'B10' in self.bands else '2A'
