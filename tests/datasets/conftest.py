# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Fixtures for the tests of datasets."""

from pathlib import Path

import pytest
from osfcr_files import write_chip, write_strip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A place for a data set."""
    return tmp_path / 'LuojiaSET-OSFCR'


@pytest.fixture
def strip(root: Path) -> Path:
    """Four half-overlapping chips in one zone."""
    write_strip(root, 4)
    return root


@pytest.fixture
def world(root: Path) -> Path:
    """Chips of two covers in three zones, of both hemispheres and at 180°."""
    write_strip(root, 2)
    write_strip(root, 2, '60%-80%', 2, epsg=32633, offset=0)
    # The 180th meridian runs through zone 60 at x ≈ 778 km at this latitude
    write_chip(root, '60%-80%', 3, 7, epsg=32760, x=811000.0, y=8120000.0)
    return root
