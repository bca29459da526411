# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Products that several tests read and none changes."""

import pytest
from optical_files import numbers, write, write_safe


@pytest.fixture(scope='session')
def safe(tmp_path_factory):
    return write_safe(tmp_path_factory.mktemp('safe'))


@pytest.fixture(scope='session')
def stack(tmp_path_factory):
    """A 13-band GeoTIFF and its numbers."""
    array = numbers()
    path = tmp_path_factory.mktemp('stack') / 'roi_20200604.tif'
    return write(path, array, tiled=True, blockxsize=16, blockysize=16), array
