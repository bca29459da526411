# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""M3M-CR: what can be wrong with a file, and that the error names it."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from m3mcr_files import COARSE, COARSE_X, COARSE_Y, OPTICAL, X, Y, write_m3mcr
from osfcr_files import write_tif

from torchgeo_tdpcr import M3MCR
from torchgeo_tdpcr.datasets import CorruptChipError


def write_mask(path: Path, value: object) -> None:
    np.save(path, value, allow_pickle=True)  # type: ignore[arg-type]


SPECKLE = np.full((2, COARSE, COARSE), -10.0)
HOLE = SPECKLE.copy()
HOLE[0, 3, 3] = np.nan
COVER = np.full((1, COARSE, COARSE), 10, 'uint8')
GROUND = np.full((4, OPTICAL, OPTICAL), 500, 'uint16')
COARSE_GRID = {'crs': 'EPSG:32646', 'x': COARSE_X, 'y': COARSE_Y, 'res': 10.0}
FAULTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    'NaN': ('S1', lambda p: write_tif(p, HOLE, **COARSE_GRID), '1 NaN'),
    'bands': ('S1', lambda p: write_tif(p, SPECKLE[:1], **COARSE_GRID), 'has 1 band'),
    'type': (
        'S1', lambda p: write_tif(p, SPECKLE.astype('int16'), **COARSE_GRID), 'int16',
    ),
    'size': (
        'S1', lambda p: write_tif(p, SPECKLE[:, :9], **COARSE_GRID), 'uncovered',
    ),
    'place': (
        'landcover',
        lambda p: write_tif(p, COVER, **{**COARSE_GRID, 'x': COARSE_X + 20}),
        'uncovered',
    ),
    'zone': (
        'landcover',
        lambda p: write_tif(p, COVER, **{**COARSE_GRID, 'crs': 'EPSG:32633'}),
        'EPSG:32633, its chip in EPSG:32646',
    ),
    'code': ('landcover', lambda p: write_tif(p, COVER + 1, **COARSE_GRID), r'\[11\]'),
    'garbage': ('landcover', lambda p: p.write_bytes(b'no map'), 'cannot be read'),
    'clear size': (
        'planet_cloudfree',
        lambda p: write_tif(p, GROUND[:, 9:], 'EPSG:32646', X, Y, 3.0),
        'uncovered',
    ),
    'truncated': (
        'planet_cloudfree',
        lambda p: p.write_bytes(p.read_bytes()[:9000]),
        'cannot be read',
    ),
    'mask shape': (
        'cloudmask', lambda p: write_mask(p, np.zeros((9, 9), bool)), r'\(9, 9\)',
    ),
    'mask values': (
        'cloudmask',
        lambda p: write_mask(p, np.full((OPTICAL, OPTICAL), 7)),
        'cloud masks hold 0 and 1',
    ),
    'mask of objects': (
        'cloudmask', lambda p: write_mask(p, np.array({})), 'cannot be read',
    ),
    'empty mask': ('cloudmask', lambda p: p.write_bytes(b''), 'cannot be read'),
}  # fmt: skip


@pytest.mark.parametrize('name', FAULTS)
def test_faults_name_the_file(tmp_path: Path, name: str) -> None:
    layer, break_it, match = FAULTS[name]
    paths = write_m3mcr(tmp_path)
    break_it(paths[layer])
    dataset = M3MCR(tmp_path)
    with pytest.raises(CorruptChipError, match=match) as error:
        dataset[0]
    assert str(paths[layer]) in str(error.value)
    assert 'verify' not in str(error.value)
    copied = pickle.loads(pickle.dumps(error.value))
    assert (type(copied), str(copied)) == (type(error.value), str(error.value))
