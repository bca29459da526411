# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of dates when pairing: where they stand, and what is done without them."""

import re
import warnings
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from optical_files import write_safe
from scene_files import GRID, write

from torchgeo_tdpcr.datamodules import SceneDataModule
from torchgeo_tdpcr.datasets.scenes import SceneError, pair_scenes, read_pairs
from torchgeo_tdpcr.datasets.scenes.common import SceneWarning
from torchgeo_tdpcr.datasets.scenes.declared import Declared
from torchgeo_tdpcr.datasets.scenes.opening import open_scene
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair

SIZE = GRID.width


def optical(path, count=13):
    array = np.full((count, SIZE, SIZE), 1500, np.uint16)
    return write(path, array)


def radar(path, count=2):
    array = np.full((count, SIZE, SIZE), -10, np.float32)
    array[1:] -= 6
    array[1:] = -16
    return write(path, array)


def dated(path, date):
    with rasterio.open(path, 'r+') as file:
        file.update_tags(ns='IMAGERY', ACQUISITIONDATETIME=date)
    return path


def quietly(*args, **options):
    """Pair; a warning would be an error."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        (pair,) = pair_scenes(*args, **options)
    return pair


class TestFolders:
    @pytest.mark.parametrize(
        ('s2', 's1'),
        [
            ('20200604/s2.tif', '20150604/s1.tif'),
            ('S2_2020-06-04/a/s2.tif', 'S1_2015_06_04/a/s1.tif'),
            ('2020156/s2.tif', 's1_20150604T052345.tif'),
            ('s2_2020156.tif', '20150604/s1/s1_vv.tif'),
            ('20200604/bands', '20150604/s1.tif'),
            ('20200604/bands', '20150604'),
        ],
    )
    def test_years_apart(self, tmp_path, s2, s1):
        s2, s1 = tmp_path / s2, tmp_path / s1
        if s2.suffix:
            optical(s2)
        else:
            for band in ('B02', 'B8A'):
                optical(s2 / f'{band}.tif', 1)
        if s1.name.endswith('_vv.tif'):
            radar(s1, 1)
            radar(s1.with_name('s1_vh.tif'), 1)
        else:
            radar(s1 if s1.suffix else s1 / 's1.tif')
        message = r'is 182[67]\.\d days from .*`max_days=15` allows fewer'
        with pytest.raises(SceneError, match=message):
            pair_scenes(s2, s1)
        pair = quietly(s2, s1, 2000)
        assert (pair.optical.date.year, pair.radar.date.year) == (2020, 2015)

    @pytest.mark.parametrize('below', ['', 'x/'])
    def test_one_that_holds_both_says_nothing(self, tmp_path, below):
        folder = tmp_path / '20200101_project'
        s2 = optical(folder / below / 's2.tif')
        s1 = radar(folder / 's1_20200604.tif')
        with pytest.warns(SceneWarning, match=rf"^Unknown date of '{s2}': "):
            (pair,) = pair_scenes(s2, s1)
        # Nor is it the date of the map
        files = open_scene(pair, None, Declared(), 0.9)
        assert files.info.date is None
        with pytest.raises(SceneError, match=r"s2\.tif': is of unknown date"):
            pair_scenes(s2, s1, 1000)

    def test_in_a_zip(self, tmp_path):
        band = optical(tmp_path / 'B02.tif', 1)
        folder = tmp_path / '20200604'
        folder.mkdir()
        with zipfile.ZipFile(folder / 'bands.zip', 'w') as file:
            file.write(band, 'B02.tif')
        s1 = radar(tmp_path / 's1_20200606.tif')
        pair = quietly(folder / 'bands.zip', s1, 2)
        assert pair.optical.date == datetime(2020, 6, 4, tzinfo=UTC)
        s1 = radar(folder / 's1_20200606.tif')
        with pytest.warns(SceneWarning, match=r"Unknown date of '.*bands\.zip'"):
            pair_scenes(folder / 'bands.zip', s1)

    def test_metadata_come_first(self, tmp_path):
        s2 = dated(optical(tmp_path / '20150101' / 's2.tif'), '2020-06-04 10:00:31')
        s1 = dated(radar(tmp_path / '20150101' / 's1.tif'), '2020-06-06T05:00:31Z')
        pair = quietly(s2, s1, 2)
        assert pair.radar.date == datetime(2020, 6, 6, 5, 0, 31, tzinfo=UTC)
        with pytest.raises(SceneError, match=r'is 1\.8 days from'):
            pair_scenes(s2, s1, 1.5)

    def test_of_safe(self, tmp_path):
        # Its metadata tell, whatever the folder is called that holds both
        safe, _ = write_safe(tmp_path / '20150101')
        s1 = dated(radar(tmp_path / '20150101' / 's1.tif'), '2020-06-06 10:00:31')
        assert quietly(safe, s1, 2).optical.date.year == 2020


HYP3 = 'S1A_IW_20200604T051422_DVP_RTC10_G_gdunem_1234'


class TestRenamed:
    """What holds the rasters of VV and VH is called anything."""

    @pytest.mark.parametrize(
        ('inside', 'hour'),
        [
            (f'{HYP3}_{{}}.tif', 5),
            (f'{HYP3}/{HYP3}_{{}}.tif', 5),
            (f'{HYP3}/{{}}.tif', 5),
            ('20200604/a_{}.tif', 0),
        ],
    )
    @pytest.mark.parametrize('zipped', [True, False])
    def test_rasters_tell(self, tmp_path, inside, hour, zipped):
        folder = tmp_path / 'dl'
        names = [inside.format(name) for name in ('vv', 'vh')]
        for name in names:
            radar(folder / name, 1)
        s1 = folder
        if zipped:
            s1 = tmp_path / 'dl.zip'
            with zipfile.ZipFile(s1, 'w') as file:
                for name in names:
                    file.write(folder / name, name)
        s2 = optical(tmp_path / 's2_20200604T100031.tif')
        pair = quietly(s2, s1, 1)
        assert pair.radar.date == datetime(
            2020, 6, 4, hour, *((14, 22) if hour else ()), tzinfo=UTC
        )

    def test_a_folder_of_both_tells_nothing(self, tmp_path):
        folder = tmp_path / '20200604_project'
        for name in ('vv', 'vh'):
            radar(folder / f'{name}.tif', 1)
        s2 = optical(folder / 's2_20200604.tif')
        with pytest.warns(SceneWarning, match=r'^Unknown date of .*vv\.tif'):
            pair_scenes(s2, folder / 'vv.tif')


class TestTimes:
    @pytest.mark.parametrize(
        's1',
        [
            's1_20200603_{}1422.tif',
            's1_20200603t{}1422.tif',
            's1_2020-06-03T{}:14:22.tif',
            's1_20200603{}1422.tif',
        ],
    )
    def test_two_passes_of_a_day_are_not_one(self, tmp_path, s1):
        s2 = optical(tmp_path / 's2_20200604T100031.tif')
        halves = np.full((2, 2, SIZE, SIZE), -10, np.float32)
        halves[:, 1] -= 6
        halves[0, :, :, : SIZE // 2] = halves[1, :, :, SIZE // 2 :] = np.nan
        for hour, half in zip(('05', '17'), halves, strict=True):
            write(tmp_path / 's1' / s1.format(hour), half)
        pair = quietly(s2, tmp_path / 's1')
        assert (pair.s1.name, pair.slices) == (s1.format('17'), ())
        assert pair.radar.date.hour == 17

    @pytest.mark.parametrize('s2', ['s2_20200604T100031.tif', 's2_20200604.tif'])
    @pytest.mark.parametrize('s1', ['s1_20200604.tif', 's1_20200604_051422.tif'])
    def test_a_day_is_compared_with_a_day(self, tmp_path, s2, s1):
        s2, s1 = optical(tmp_path / s2), radar(tmp_path / s1)
        if 'T' in s2.name and '_05' in s1.name:
            # 10:00:31 and 05:14:22 are 4 h 46 min apart
            with pytest.raises(SceneError, match=r'is 0\.2 days from'):
                pair_scenes(s2, s1, 0)
        else:
            assert quietly(s2, s1, 0).s1 == s1
        later = radar(tmp_path / 's1_20200605.tif')
        assert quietly(s2, later, 1).s1 == later
        with pytest.raises(SceneError, match=r'is 1\.0 days from'):
            pair_scenes(s2, later, 0.9)

    @pytest.mark.parametrize(
        ('s2', 's1'),
        [
            ('s2_20200604.tif', '2020-05-25_2020-12-31_S1.tif'),
            ('20210901_S2_20200604.tif', 's1_20200604.tif'),
            (
                '2020-01-01-00_00_2020-06-04-23_59_Sentinel-2_L2A.tif',
                's1_20200604.tif',
            ),
        ],
    )
    def test_ranges_are_of_unknown_date(self, tmp_path, s2, s1):
        s2, s1 = optical(tmp_path / s2), radar(tmp_path / s1)
        said = 'Unknown date of .* Its name tells several days; let it tell that of'
        with pytest.warns(SceneWarning, match=said):
            assert pair_scenes(s2, s1)[0].s1 == s1
        with pytest.raises(SceneError, match=r'is of unknown date.*Its name tells sev'):
            pair_scenes(s2, s1, 15)


class TestUnknown:
    @pytest.mark.parametrize(
        ('s2', 's1', 'unknown'),
        [
            ('s2.tif', 's1.tif', ['s2.tif', 's1.tif']),
            ('s2_20200604.tif', 's1.tif', ['s1.tif']),
            ('s2.tif', 's1_20200604.tif', ['s2.tif']),
            ('s2_04-06-2020.tif', 's1_20200604.tif', ['s2_04-06-2020.tif']),
        ],
    )
    def test_said_once_a_scene(self, tmp_path, s2, s1, unknown):
        s2, s1 = optical(tmp_path / s2), radar(tmp_path / s1)
        files = ' and '.join(f"'{tmp_path / name}'" for name in unknown)
        with pytest.warns(SceneWarning) as said:
            (pair,) = pair_scenes(s2, s1)
        assert pair.s1 == s1
        (text,) = (str(warning.message) for warning in said)
        assert text.startswith(f'Unknown date of {files}: ')
        stem, suffix = unknown[0].rsplit('.', 1)
        assert f'such as {stem}_20200604.{suffix}' in text
        with pytest.raises(
            SceneError,
            match=rf"{re.escape(unknown[0])}': is of unknown date.*`max_days=10000`.*CSV",
        ):
            pair_scenes(s2, s1, 10_000)

    def test_said_of_each_scene(self, tmp_path):
        paths = [optical(tmp_path / f'{name}.tif') for name in ('a', 'b', 'c_20200604')]
        s1 = radar(tmp_path / 's1_20200604.tif')
        with pytest.warns(SceneWarning) as said:
            pair_scenes(paths, s1)
        assert [str(item.message).split("'")[1] for item in said] == [
            str(path) for path in paths[:2]
        ]

    def test_known(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200604.tif')
        s1 = radar(tmp_path / 's1_20200606.tif')
        assert quietly(s2, s1).s1 == s1
        assert quietly(s2, s1, 2).s1 == s1

    def test_15_days_without_a_number(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200604.tif')
        s1 = radar(tmp_path / 's1_20200619.tif')
        assert quietly(s2, s1).s1 == s1
        s1 = radar(tmp_path / 's1_20200620.tif')
        with pytest.raises(SceneError, match=r'16\.0 days .*`max_days=15`'):
            pair_scenes(s2, s1)

    def test_a_dated_one_that_covers_less(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200604.tif')
        whole = radar(tmp_path / 's1' / 'a.tif')
        array = np.full((2, SIZE, SIZE), -10, np.float32)
        array[1:] -= 6
        array[:, :20] = np.nan
        part = write(tmp_path / 's1' / 'b_20200606.tif', array)
        with pytest.warns(SceneWarning):
            assert pair_scenes(s2, tmp_path / 's1')[0].s1 == whole
        assert quietly(s2, tmp_path / 's1', 15).s1 == part

    def test_one_of_several_scenes(self, tmp_path):
        s1 = radar(tmp_path / 's1_20200604.tif')
        paths = [optical(tmp_path / name) for name in ('a.tif', 'b_20200604.tif')]
        faults = {}
        pairs = pair_scenes(paths, s1, 3, faults)
        assert [pair.name for pair in pairs] == ['b_20200604']
        assert 'is of unknown date' in str(faults['a'])

    def test_tables_name_the_pairs(self, tmp_path):
        optical(tmp_path / 's2.tif')
        radar(tmp_path / 's1.tif')
        table = tmp_path / 'pairs.csv'
        table.write_text('s2,s1\ns2.tif,s1.tif\n')
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            assert len(read_pairs(table)) == 1

    def test_of_a_data_module(self, tmp_path):
        s2, s1 = optical(tmp_path / 's2.tif'), radar(tmp_path / 's1.tif')
        datamodule = SceneDataModule(s2=s2, s1=s1, max_days=0)
        assert SceneDataModule(s2=s2, s1=s1).max_days is None
        with pytest.raises(SceneError, match=r"s2\.tif': is of unknown date"):
            datamodule.setup('predict')


@pytest.mark.parametrize('kind', ['geotiff', 'bands', 'safe'])
def test_synthetic_scenes_tell_theirs(tmp_path, kind):
    paths = write_scene_pair(
        tmp_path, 'a', 48, kind=kind, sar_margin=6, date='2021-03-02'
    )
    pair = quietly(paths.s2, paths.s1, 1)
    assert pair.optical.date.replace(microsecond=0) == datetime(
        2021, 3, 2, 10, 10, 31, tzinfo=UTC
    )
    assert pair.radar.date.date() == pair.optical.date.date()
