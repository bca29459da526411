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
            ('20200604T93020', DAY),
            ('2020156', DAY),
            ('S2A.2020156.tif', DAY),
            ('HLS.S30.T32TQM.2020156T100031.v2.0.B02.tif', TIME),
            ('2020366', datetime(2020, 12, 31, tzinfo=UTC)),
            ('2020.06.04.tif', DAY),
            # However the time is written
            ('20200604t100031', TIME),
            ('s1_20200604_100031.tif', TIME),
            ('S1_20200604-100031_VV.tif', TIME),
            ('SENTINEL2A_20200604-100031-123_L2A_T32TQM_D', TIME),
            ('20200604 100031', TIME),
            ('20200604100031', TIME),
            ('2020-06-04T10:00:31', TIME),
            ('2020-06-04T10:00:31.024Z', TIME),
            ('2020-06-04T10_00_31Z', TIME),
            ('2020-06-04t10-00-31', TIME),
            ('2020-06-04_10-00-31', TIME),
            ('2020-06-04 10:00:31', TIME),
            ('2020.06.04T10.00.31', TIME),
            ('2020_06_04_100031', TIME),
            ('2020-06-04T10:00', TIME.replace(second=0)),
            ('20200604T1000', TIME.replace(second=0)),
            ('202006041000', TIME.replace(second=0)),
            # What is none
            ('s1_20200604_990000.tif', DAY),
            ('s1_20200604_1000.tif', DAY),
            ('S2_20200604_12_30_B02.tif', DAY),
            ('20200604_1234567', DAY),
            # Mentioned twice
            ('2020-06-04-00:00_2020-06-04-23:59_Sentinel-2_L2A_B02_(Raw).tiff', DAY),
            ('2020-06-04-00_00_2020-06-04-23_59_Sentinel-2_L2A_B02_(Raw).tiff', DAY),
            ('20200604_S2_20200604T100031.tif', TIME),
            ('S1_20200604T100031_20200604T100056.tif', TIME),
            # The start, before the end or when it was made
            ('S2A_MSIL1C_20200604T100031_N0209_R122_T32TQM_20210101T121222.SAFE', TIME),
            ('S1A_IW_GRDH_1SDV_20200604T100031_20200605T000002_032866_03CEF5', TIME),
            ('s1a-iw-grd-vv-20200604t100031-20200605t000002-032866-03.tiff', TIME),
            ('20210901_S2B_MSIL2A_20200604T100031_N0214_R122_T32TQM_20200605', TIME),
            ('subset_0_of_S1B_IW_GRDH_1SDV_20200604T100031_20200605T000002', TIME),
            ('OPERA_L2_RTC-S1_T144-308024-IW1_20200604T100031Z_20220610T1Z_S1A', TIME),
            ('20200604T100031_20210622T080000_T32TQM.tif', TIME),
            ('s2a_msil2a_20200604t100031_n0214_r122_t32tqm_20200605t121222', TIME),
            ('s1a-iw1-slc-vv-20200604t100031-20200605t000002-032866-03.tiff', TIME),
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
            '20200604993100',
            '20200604100031123',
            # Different days
            '2020-06-04-00:00_2020-06-14-23:59_Sentinel-2_L2A_B02_(Raw).tiff',
            '2020-05-25_2020-12-31_S1.tif',
            '20210901_S2_20200604.tif',
            'S1A_IW_2020-05-25_2020-12-31.tif',
            'S2A_MSIL2A_20200604_20201231.tif',
            '20200604_20210101T121222',
            '20200604T100031_20210622T080000.tif',
            '2020156_20210101',
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
            ('/data/20200604/s2_20200604_20200610.tif', None),
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
