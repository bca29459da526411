# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The union of datasets of stored chips."""

from torchgeo.datasets import GeoDataset, UnionDataset
from torchgeo.datasets.utils import GeoSlice, Sample

from .locating import ChipQuery


class ChipUnion(UnionDataset):
    """Union of datasets of stored chips: a query is answered by one chip of one.

    TorchGeo's own union merges the answers of both, which is right for mosaics only.
    """

    def locate(self, query: GeoSlice) -> tuple[float, int]:
        """Find the dataset whose chip overlaps a query most.

        Args:
            query: A TorchGeo query.

        Returns:
            The area of the overlap, and which dataset it is, 0 or 1.

        Raises:
            IndexError: If no chip overlaps the query.
        """
        found = []
        for number, dataset in enumerate(self.datasets):
            try:
                found.append((dataset.locate(query)[0], -number))  # type: ignore[attr-defined]
            except IndexError:
                continue
        if not found:
            raise IndexError(
                f'`index={query}` overlaps no chip of the dataset, whose bounds are '
                f'{self.bounds}.'
            )
        area, number = max(found)
        return area, -number

    def __or__(self, other: GeoDataset) -> UnionDataset:
        """Return the union with another dataset."""
        if hasattr(other, 'locate'):
            return ChipUnion(self, other)
        return super().__or__(other)

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a sample of the dataset that answers the query best."""
        if isinstance(index, ChipQuery):
            return super().__getitem__(index)
        sample = self.datasets[self.locate(index)[1]][index]
        return sample if self.transforms is None else self.transforms(sample)
