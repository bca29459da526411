# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter on real Sentinel-2 and Sentinel-1, where the samples are at hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from writer_models import predict, read


def test_terramind(tmp_path: Path, samples: Path) -> None:
    """Three places in as many zones, paired by place; two carry the offset."""
    root = samples / 'terramind'
    predict(tmp_path, {'s2': root / 'S2L1C', 's1': root / 'S1RTC'})
    offsets = {}
    for path in sorted((root / 'S2L1C').glob('*.tif')):
        item = json.loads((tmp_path / path.stem / f'{path.stem}.json').read_text())
        inputs = item['properties']['tdpcr:inputs']
        assert Path(inputs['s1']).name == path.name
        offset = offsets[path.stem] = item['properties']['tdpcr:offset']
        image = read(tmp_path / path.stem / f'{path.stem}_image.tif')
        observed = read(path).clip(max(offset, 1), offset + 10000)
        valid = image.any(0)
        # The radar lies on the same pixels, so none is missing
        assert valid.all()
        np.testing.assert_array_equal(image, observed)
    assert sorted(offsets.values()) == [0, 1000, 1000]


@pytest.mark.parametrize('kind', ['s2', 's2_cloudy'])
def test_sen12mscr(tmp_path: Path, samples: Path, kind: str) -> None:
    root = samples / 'sen12mscr'
    (s2,) = (root / f'ROIs2017_winter_{kind}').rglob('*.tif')
    (s1,) = (root / 'ROIs2017_winter_s1').rglob('*.tif')
    predict(tmp_path, {'s2': s2, 's1': s1})
    image = read(tmp_path / s2.stem / f'{s2.stem}_image.tif')
    np.testing.assert_array_equal(image, read(s2).clip(1, 10000))
