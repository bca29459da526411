# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A query for exactly one stored chip, which is a TorchGeo query all the same."""

from geopandas import GeoDataFrame


class ChipQuery(tuple[slice, slice, slice]):
    """A query for one stored chip: x, y and t as TorchGeo has them, and which chip.

    Several chips may lie at the same place, for instance with different cloud covers;
    x, y and t alone cannot tell them apart.

    Args:
        x: Extent in x, in the CRS of the index.
        y: Extent in y, in the CRS of the index.
        t: Extent in time.
        chip: Identity of the chip: the column ``filepath`` of the index.
    """

    chip: str

    def __new__(cls, x: slice, y: slice, t: slice, chip: str) -> 'ChipQuery':
        """Create a query."""
        query = super().__new__(cls, (x, y, t))
        query.chip = chip
        return query

    def __getnewargs__(self) -> tuple[slice, slice, slice, str]:
        """Survive the way to a worker process."""
        return (*self, self.chip)

    def __repr__(self) -> str:
        """Name the chip."""
        return f'ChipQuery({self[0]}, {self[1]}, {self[2]}, chip={self.chip!r})'


def chip_queries(index: GeoDataFrame) -> list[ChipQuery]:
    """Return one query for each row of an index.

    Args:
        index: Index of a :class:`~torchgeo_tdpcr.datasets.chips.dataset.ChipDataset`, or of a
            union of such.

    Returns:
        The queries in the order of the rows.

    Raises:
        ValueError: If the index is not of stored chips.
    """
    if 'filepath' not in index.columns:
        raise ValueError(
            "the index of `dataset` has no column 'filepath', so it does not tell one "
            'chip from another. Use a dataset of stored chips, such as OSFCR.'
        )
    bounds = index.geometry.bounds.to_numpy().tolist()
    times = zip(index.index.left, index.index.right, strict=True)
    return [
        ChipQuery(slice(xmin, xmax), slice(ymin, ymax), slice(start, stop), chip)
        for (xmin, ymin, xmax, ymax), (start, stop), chip in zip(
            bounds, times, index['filepath'], strict=True
        )
    ]
