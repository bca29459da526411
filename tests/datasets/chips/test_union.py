# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Unions of datasets of chips, and other coordinate systems for their index."""

from pathlib import Path

import pytest
import torch
from osfcr_files import X, write_chip
from pyproj import CRS
from torchgeo.datasets import (
    DatasetNotFoundError,
)

from torchgeo_tdpcr.datasets import (
    OSFCR,
)
from torchgeo_tdpcr.samplers import ChipSampler


class TestUnion:
    def test_answers_with_one_chip(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        union = dataset.subset([0, 2]) | dataset.subset([1, 3])
        assert len(union) == 4
        assert len(union | dataset) == 8
        for query in ChipSampler(union):
            sample = union[query]
            assert torch.equal(sample['image'], dataset[query]['image'])
        # In the middle of the second chip, which the first and third overlap, too
        left, lower, right, upper = dataset.index.geometry.iloc[1].bounds
        sample = union[left + 20 : right - 20, lower:upper]
        assert sample['bounds'][0] == left + 20
        sample = (union | dataset.subset([0]))[left + 20 : right - 20, lower:upper]
        assert sample['bounds'][0] == left + 20
        with pytest.raises(IndexError, match='overlaps no chip'):
            union[0:10, 0:10]

    def test_over_zones(self, root: Path, tmp_path: Path) -> None:
        write_chip(root)
        write_chip(tmp_path / 'other', epsg=32756, x=X + 100_000)
        first, second = OSFCR(root), OSFCR(tmp_path / 'other')
        own = second[0]
        union = first | second
        assert second.crs == first.crs
        assert second.res == (10, 10)
        queries = list(ChipSampler(union))
        assert union[queries[0]]['epsg'] == 32755
        assert torch.equal(union[queries[1]]['transform'], own['transform'])

    def test_transforms(self, strip: Path) -> None:
        dataset = OSFCR(strip)
        union = dataset | dataset
        union.transforms = lambda sample: {'epsg': sample['epsg'] + 1}
        x, y, _ = dataset.bounds
        assert union[x, y] == {'epsg': 32756}


def test_cover_without_chips(strip: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match='Of 0 chips'):
        OSFCR(strip, cover='20%-40%')


def test_crs_can_be_changed(strip: Path) -> None:
    dataset = OSFCR(strip)
    before = dataset[1]
    dataset.crs = CRS.from_epsg(4326)
    assert dataset.res[0] == pytest.approx(10 / 111_320)
    after = dataset[1]
    assert all(torch.equal(before[key], after[key]) for key in before)
