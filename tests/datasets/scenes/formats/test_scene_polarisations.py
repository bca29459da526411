# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of finding VV and VH."""

import zipfile

import numpy as np
import pytest
from scene_files import (
    decibels,
    write,
)

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import find_radar
from torchgeo_tdpcr.datasets.scenes.formats.products import BandFile


class TestFindRadar:
    def test_two_bands(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels())
        assert find_radar(path) == (BandFile(str(path), 1), BandFile(str(path), 2))

    def test_descriptions(self, tmp_path):
        array = np.concatenate([decibels(), decibels()[:1]])
        labels = ('Sigma0_VH_db', 'angle', 'Sigma0_VV_db')
        path = write(tmp_path / 'a.tif', array, labels=labels)
        assert [band.index for band in find_radar(path)] == [3, 1]
        path = write(tmp_path / 'b.tif', array, labels=('VH', 'VV', 'VV_smooth'))
        assert [band.index for band in find_radar(path)] == [2, 1]

    @pytest.mark.parametrize(
        'labels', [(), ('VV', 'VV', 'VH'), ('HH', 'VV', ''), ('VV', 'x', 'y')]
    )
    def test_unclear_descriptions(self, tmp_path, labels):
        path = write(
            tmp_path / 'a.tif', np.tile(decibels()[:1], (3, 1, 1)), labels=labels
        )
        with pytest.raises(SceneError, match=r"a\.tif': has 3 bands.*one must be VV"):
            find_radar(path)

    def test_other_polarisations(self, tmp_path):
        path = write(tmp_path / 'a.tif', decibels(), labels=('HH', 'HV'))
        with pytest.raises(SceneError, match=r"\['HH', 'HV'\]"):
            find_radar(path)

    def test_pairs_of_files(self, tmp_path):
        vv = write(tmp_path / 'a_VV.tif', decibels()[0])
        vh = write(tmp_path / 'a_VH.tif', decibels()[1])
        expected = BandFile(str(vv)), BandFile(str(vh))
        for path in ([vv, vh], [vh, vv], tmp_path, vv, vh):
            assert find_radar(path) == expected
        with pytest.raises(ValueError, match='has 1 files'):
            find_radar([vv])

    def test_incomplete(self, tmp_path):
        vv = write(tmp_path / 'a_vv.tif', decibels()[0])
        with pytest.raises(SceneError, match='has one band; give VV and VH'):
            find_radar(vv)
        with pytest.raises(SceneError, match='1 rasters of VV and 0 of VH'):
            find_radar(tmp_path)
        with pytest.raises(SceneError, match='has one band'):
            find_radar(write(tmp_path / 'b.tif', decibels()[0]))
        with pytest.raises(SceneError, match='does not exist'):
            find_radar(tmp_path / 'c.tif')

    def test_products_as_delivered(self, tmp_path):
        (tmp_path / 'S1A.SAFE').mkdir()
        with zipfile.ZipFile(tmp_path / 'S1A.zip', 'w') as archive:
            archive.writestr('S1A.SAFE/manifest.safe', '')
        for name in ('S1A.SAFE', 'S1A.zip'):
            with pytest.raises(SceneError, match='terrain-correct'):
                find_radar(tmp_path / name)
