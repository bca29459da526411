# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of what the names of files and folders tell: dates, and masks."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from torchgeo_tdpcr.datasets.scenes.formats.naming import (
    classification_among,
    date_near,
    date_of,
    dating,
)

DAY = datetime(2020, 6, 4, tzinfo=UTC)
TIME = datetime(2020, 6, 4, 10, 0, 31, tzinfo=UTC)


class TestDateOf:
    @pytest.mark.parametrize(
        ('name', 'date'),
        [
            ('s2_20200604.tif', DAY),
            ('s2_2020-06-04.tif', DAY),
            ('S2_2020_06_04_B02.tif', DAY),
            ('R122_2020_06_04', DAY),
            ('T32TQM_20200604T100031_B02.jp2', TIME),
            ('s1_20200604T990000.tif', DAY),
            ('20200604t100031', DAY),
            ('2020156', DAY),
            ('S2A.2020156.tif', DAY),
            ('HLS.S30.T32TQM.2020156T100031.v2.0.B02.tif', TIME),
            ('2020366', datetime(2020, 12, 31, tzinfo=UTC)),
            # The first of two
            ('2020-06-04-00:00_2020-06-14-23:59_Sentinel-2_L2A_B02_(Raw).tiff', DAY),
            ('S2A_MSIL1C_20200604T100031_N0209_R122_T32TQM_20210101T121222.SAFE', TIME),
            ('20200604_20210101T121222', DAY),
            ('2020156_20210101', DAY),
            # The first that there is
            ('20209999_20200604', DAY),
            ('2020400_20200604', DAY),
            ('19990101_20200604', DAY),
        ],
    )
    def test_found(self, name, date):
        assert date_of(name) == date

    @pytest.mark.parametrize(
        'name',
        [
            's2.tif',
            '04-06-2020.tif',
            '04_06_2020_12_30.tif',
            '04.06.2020-12-30.tif',
            '2020-06_04',
            '202006041',
            '120200604',
            '2019366',
            '2020000',
            '20200604123',
            '2012-06-04',
            '2020-6-4',
        ],
    )
    def test_not_guessed(self, name):
        assert date_of(name) is None


class TestDateNear:
    @pytest.mark.parametrize(
        ('path', 'told'),
        [
            ('/data/20200604/s2.tif', '/data/20200604'),
            ('/data/S2_2020-06-04/bands/B02.tif', '/data/S2_2020-06-04'),
            ('/data/20150101/s2_20200604.tif', '/data/20150101/s2_20200604.tif'),
            ('/20150101/20200604/s2.tif', '/20150101/20200604'),
            ('/data/20200604/x/../s2.tif', '/data/20200604'),
            ('/20200604_project/a/b/s2.tif', None),
            ('/data/s2.tif', None),
        ],
    )
    def test_two_folders(self, path, told):
        found = dating(Path(path))
        assert found == (told and Path(told))
        assert date_near(Path(path)) == (told and DAY)

    def test_the_folder_where_a_command_is_given(self, tmp_path, monkeypatch):
        (tmp_path / '20200604').mkdir()
        monkeypatch.chdir(tmp_path / '20200604')
        assert date_near(Path('s2.tif')) == DAY
        assert date_near(Path('a/b/s2.tif')) is None


@pytest.mark.parametrize(
    'name',
    [
        'T32TQM_20200604T100031_SCL_20m.jp2',
        '2020-06-04-00_00_2020-06-04-23_59_Sentinel-2_L2A_SCL_(Raw).tiff',
        'scl.tif',
        'a.SCL.TIF',
        'SCL_crop.tif',
    ],
)
def test_classification(name):
    assert classification_among(['B02.jp2', name, 'muscle.tif', 'scl.xml']) == name


def test_the_finest_classification():
    names = ['SCL_60m_v2.tif', 'x_SCL_20m_v2.tif', 'MASCL_10m.tif']
    assert classification_among(names) == 'x_SCL_20m_v2.tif'
    assert classification_among(['SCLX.tif', 'B02.tif']) is None
