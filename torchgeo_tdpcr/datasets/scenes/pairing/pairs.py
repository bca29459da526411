# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A pair of files that make a scene, and what was found of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ....kinds import MaskWord
from ..common import SceneError
from ..formats.naming import name_fault
from ..formats.parts import OpticalProduct
from ..formats.polarisations import RadarProduct, describe_radar
from ..formats.products import find_optical
from ..formats.rasters import RasterFiles


@dataclass(frozen=True, slots=True)
class OtherProduct:
    """A Sentinel-2 product of another date of a scene.

    Args:
        s2: The product, see :func:`~.products.find_optical`.
        cloud_mask: A cloud mask, see :class:`ScenePair`.
    """

    s2: Path
    cloud_mask: Path | MaskWord | None = None


@dataclass(frozen=True, slots=True)
class ScenePair:
    """A Sentinel-2 product, its Sentinel-1 raster, and perhaps a cloud mask.

    Pairs of the same files are equal, whatever is known of the files.

    Args:
        name: Name, unique among the pairs; results are named after it.
        s2: The product, see :func:`~.products.find_optical`.
        s1: The raster, see :func:`~.polarisations.find_radar`; of two files that of VV.
        cloud_mask: A cloud mask, in place of the product's own; or ``'product'`` for
            that, which must be there then; or ``'auto'`` for one that is found, see
            :class:`~.detection.DetectedClouds`. None for the product's own, if there
            is one.
        slices: Further rasters of Sentinel-1, which have pixels that *s1* misses.
        others: Products of other dates, whose clear pixels stand for cloudy ones.
        optical: What was found at *s2*; None if nobody has looked.
        radar: What was found at *s1*; None if nobody has looked.
        radar_slices: What was found at *slices*, as far as somebody has looked.
    """

    name: str
    s2: Path
    s1: Path
    cloud_mask: Path | MaskWord | None = None
    slices: tuple[Path, ...] = ()
    others: tuple[OtherProduct, ...] = ()
    optical: OpticalProduct | None = field(default=None, compare=False, repr=False)
    radar: RadarProduct | None = field(default=None, compare=False, repr=False)
    radar_slices: tuple[RadarProduct, ...] = field(
        default=(), compare=False, repr=False
    )

    def find_optical(self, all_bands: Sequence[str] | None = None) -> OpticalProduct:
        """Return the product; its files are opened only if nobody has looked yet.

        Args:
            all_bands: Order of the bands of a raster, see :class:`.Declared`.

        Raises:
            SceneError: If *s2* is no product.
        """
        # Of a pair with another file put in, what was found is of no use
        if self.optical is not None and self.optical.path == self.s2:
            return self.optical
        return find_optical(self.s2, all_bands)

    def find_radars(
        self, rasters: RasterFiles, polarisations: Sequence[str] | None = None
    ) -> list[RadarProduct]:
        """Return the raster and its slices; files are opened only if nobody has looked yet.

        Args:
            rasters: To open them with.
            polarisations: Order of the bands of a raster, see :class:`.Declared`.

        Returns:
            What is at *s1*, and at each of *slices*.

        Raises:
            SceneError: If one is no raster with VV and VH.
        """
        known = {product.path: product for product in self.radar_slices}
        if self.radar is not None:
            known[self.radar.path] = self.radar
        return [
            known.get(path) or describe_radar(path, rasters, polarisations)
            for path in (self.s1, *self.slices)
        ]


def uniquely_named(place: Path, pairs: list[ScenePair]) -> list[ScenePair]:
    """Put the names of the parent folders in front of names that are not unique.

    Args:
        place: The file or folder that errors name.
        pairs: The pairs.

    Returns:
        The pairs in the same order.

    Raises:
        SceneError: If the names are not unique even so, or one cannot be a folder's.
    """
    names = Counter(pair.name for pair in pairs)
    pairs = [
        pair
        if names[pair.name] == 1
        else replace(pair, name=f'{pair.s2.absolute().parent.name}_{pair.name}')
        for pair in pairs
    ]
    for pair in pairs:
        if fault := name_fault(pair.name):
            raise SceneError(pair.s2, fault)
    (name, count), *_ = Counter(pair.name for pair in pairs).most_common(1)
    if count > 1:
        raise SceneError(
            place,
            f'{count} pairs have the name {name!r}. Give each a name of its own, in the '
            'column `name` of a CSV file.',
        )
    return pairs
