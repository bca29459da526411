# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of pairing Sentinel-2 products with Sentinel-1 rasters."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from torchgeo_tdpcr.datasets.scenes import (
    SceneError,
    ScenePair,
    pair_scenes,
    read_pairs,
)
from torchgeo_tdpcr.datasets.scenes.pairing.pairs import OtherProduct

SIZE = 32
X, Y = 6e5, 5e6


def write(path, array, x=X, y=Y, crs='EPSG:32632', resolution=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=len(array),
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=from_origin(x, y, resolution, resolution),
    ) as file:
        file.write(array)
    return path


def optical(path, **place):
    return write(path, np.full((13, SIZE, SIZE), 1500, np.uint16), **place)


def radar(path, size=SIZE, missing=0, count=2, **place):
    array = np.full((count, size, size), -10, np.float32)
    array[1:] -= 6
    array[:, :, :missing] = np.nan
    return write(path, array, **place)


class TestReadPairs:
    def table(self, folder, text, encoding='utf-8'):
        for name in ('a.tif', 's1.tif', 'mask.tif', 'sub/a.tif'):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        path = folder / 'pairs.csv'
        path.write_text(text, encoding)
        return path

    def test_columns(self, tmp_path):
        text = (
            's1, s2, name, cloud_mask\ns1.tif, a.tif, x, mask.tif\ns1.tif,sub/a.tif,,\n'
        )
        assert read_pairs(self.table(tmp_path, text, 'utf-8-sig')) == [
            ScenePair(
                'x', tmp_path / 'a.tif', tmp_path / 's1.tif', tmp_path / 'mask.tif'
            ),
            ScenePair('a', tmp_path / 'sub' / 'a.tif', tmp_path / 's1.tif', None),
        ]

    def test_other_dates(self, tmp_path):
        head = 's2,s1,other_dates,cloud_mask,name\n'
        rows = [
            'a.tif,s1.tif,sub/a.tif|a.tif,mask.tif||auto,x',
            'a.tif,s1.tif,sub/a.tif,auto,y',
            'a.tif,s1.tif,sub/a.tif,mask.tif,z',
        ]
        pairs = read_pairs(self.table(tmp_path, head + '\n'.join(rows)))
        again, own = tmp_path / 'sub' / 'a.tif', tmp_path / 'a.tif'
        assert [(pair.cloud_mask, pair.others) for pair in pairs] == [
            (
                tmp_path / 'mask.tif',
                (OtherProduct(again), OtherProduct(own, 'auto')),
            ),
            ('auto', (OtherProduct(again, 'auto'),)),
            (tmp_path / 'mask.tif', (OtherProduct(again),)),
        ]

    def test_many_long_names(self, tmp_path):
        names = [f'{"a" * 80}{i}.tif' for i in range(5)]
        for name in names:
            (tmp_path / name).touch()
        text = f's2,s1,other_dates\na.tif,s1.tif,{"|".join(names)}\n'
        (pair,) = read_pairs(self.table(tmp_path, text))
        assert [other.s2.name for other in pair.others] == names

    def test_words_for_masks(self, tmp_path):
        text = 's2,s1,cloud_mask,name\na.tif,s1.tif,auto,a\na.tif,s1.tif,Product,b\n'
        masks = [pair.cloud_mask for pair in read_pairs(self.table(tmp_path, text))]
        assert masks == ['auto', 'product']

    def test_two_columns_and_full_paths(self, tmp_path):
        text = f's2,s1\n{tmp_path}/a.tif,{tmp_path}/s1.tif\n'
        path = self.table(tmp_path, text)
        assert read_pairs(path) == [
            ScenePair('a', tmp_path / 'a.tif', tmp_path / 's1.tif')
        ]

    def test_names_that_are_not_unique(self, tmp_path):
        path = self.table(tmp_path, 's2,s1\na.tif,s1.tif\nsub/a.tif,s1.tif\n')
        names = [pair.name for pair in read_pairs(path)]
        assert names == [f'{tmp_path.name}_a', 'sub_a']
        path = self.table(tmp_path, 's2,s1\na.tif,s1.tif\na.tif,s1.tif\n')
        with pytest.raises(SceneError, match=r"pairs\.csv': 2 pairs have the name"):
            read_pairs(path)

    @pytest.mark.parametrize(
        'text',
        [
            's2;s1\na.tif;s1.tif\n',
            'S2,S1\na.tif,s1.tif\n',
            'S2;S1;Cloud Mask;Name\na.tif;s1.tif;;\n;;;\n',
            's2\ts1\na.tif\ts1.tif\n',
            'sep=;\r\ns2;s1\r\na.tif;s1.tif\r\n',
            'sep=|\ns2|s1\na.tif|s1.tif\n',
            '\n S2 , s1 \n\n"a.tif", s1.tif\n,\n',
        ],
    )
    def test_as_spreadsheets_write_it(self, tmp_path, text):
        assert read_pairs(self.table(tmp_path, text)) == [
            ScenePair('a', tmp_path / 'a.tif', tmp_path / 's1.tif')
        ]

    def test_a_semicolon_in_a_name(self, tmp_path):
        (tmp_path / 'a;b.tif').touch()
        (pair,) = read_pairs(self.table(tmp_path, 's2,s1\na;b.tif,s1.tif\n'))
        assert pair.s2 == tmp_path / 'a;b.tif'

    def test_a_home_folder(self, tmp_path, monkeypatch):
        path = self.table(tmp_path, 's2,s1\n~/b.tif,s1.tif\n')
        home = tmp_path / 'home'
        home.mkdir()
        (home / 'b.tif').touch()
        monkeypatch.setenv('HOME', str(home))
        (home / 'link.csv').symlink_to(path)
        (home / 's1.tif').touch()
        (pair,) = read_pairs('~/link.csv')
        assert (pair.s2, pair.s1) == (home / 'b.tif', home / 's1.tif')

    def test_no_utf8(self, tmp_path):
        with pytest.raises(
            SceneError, match=r'not in UTF-8. Save it as such, which Ex'
        ):
            read_pairs(self.table(tmp_path, 's2,s1\n', 'utf-16'))

    @pytest.mark.parametrize('name', ['a' * 200, 'ä' * 100, 'a$b<c>', '=1+1', 'a b'])
    def test_names(self, tmp_path, name):
        path = self.table(tmp_path, f's2,s1,name\na.tif,s1.tif,{name}\n')
        assert [pair.name for pair in read_pairs(path)] == [name]

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            (
                '',
                r'has no column s2: its first row is read as \[\]\. Columns are s2, s1, c',
            ),
            ('s2\na.tif\n', 'has no column s1'),
            ('s2,s1,mask\na.tif,s1.tif,\n', "has a column 'mask'"),
            ('s2,s1\n', 'has no rows'),
            ('s2,s1\na.tif,s1.tif\na.tif,\n', 'row 3 has no s1'),
            ('s2,s1\na.tif\n', 'row 2 has no s1'),
            ('s2,s1\na.tif,s1.tif,b,c\n', 'row 2 has more fields'),
            (
                's2,s1\na.tif,s1.tif\nb.tif,s1.tif\n',
                r"row 3: s2 '.*b\.tif' does not exist",
            ),
            ('s2,s1,name\na.tif,s1.tif,x/y\n', "row 2: the name 'x/y'"),
            ('s2,s1,name\na.tif,s1.tif,..\n', r"row 2: the name '\.\.'"),
            ('s2,s1,name\na.tif,s1.tif,a\0b\n', r"row 2: the name 'a\\x00b' cannot"),
            (
                f's2,s1,name\na.tif,s1.tif,{"a" * 245}\n',
                "row 2: the name 'a+…' has 245 bytes; 200 are allowed",
            ),
            (
                f's2,s1,name\na.tif,s1.tif,{"ä" * 101}\n',
                "row 2: the name 'ä+…' has 202 bytes",
            ),
            ('s2,s1\na.tif|sub/a.tif,s1.tif\n', 'row 2 has several s2; see other_da'),
            (
                's2,s1,other_dates,cloud_mask\na.tif,s1.tif,sub/a.tif,auto|auto|auto\n',
                'row 2 has 3 masks for 2 dates',
            ),
            ('s2:s1\na.tif:s1.tif\n', r"has no column s2: .* \['s2:s1'\]"),
            ('S2,s2,s1\na.tif,a.tif,s1.tif\n', 'has the column s2 twice'),
            ('s2,s1\n/vsicurl/http://h/a.tif,s1.tif\n', 'row 2: .* is no local file'),
        ],
    )
    def test_faults(self, tmp_path, text, message):
        with pytest.raises(SceneError, match=rf"pairs\.csv': {message}"):
            read_pairs(self.table(tmp_path, text))

    def test_no_table(self, tmp_path):
        with pytest.raises(SceneError, match=r"no\.csv': cannot be read"):
            read_pairs(tmp_path / 'no.csv')


class TestPairScenes:
    def test_one_of_each(self, tmp_path):
        s2, s1 = optical(tmp_path / 's2.tif'), radar(tmp_path / 's1.tif')
        assert pair_scenes(s2, str(s1)) == [ScenePair('s2', s2, s1)]

    def test_folders(self, tmp_path):
        for i, day in enumerate(('04', '14')):
            optical(tmp_path / 's2' / f'{i}_202006{day}.tif', x=X + 1e4 * i)
            radar(tmp_path / 's1' / f'{i}_202006{day}.tif', x=X + 1e4 * i)
        (tmp_path / 's2' / 'notes.txt').touch()
        (tmp_path / 's1' / '0_20200604.tif.aux.xml').touch()
        pairs = pair_scenes(tmp_path / 's2', tmp_path / 's1')
        assert [(pair.name, pair.s1.name) for pair in pairs] == [
            ('0_20200604', '0_20200604.tif'),
            ('1_20200614', '1_20200614.tif'),
        ]

    def test_folders_of_bands_and_polarisations(self, tmp_path):
        for band in ('B02', 'B03'):
            array = np.full((1, SIZE, SIZE), 1500, np.uint16)
            write(tmp_path / 's2' / 'scene' / f'x_{band}.tif', array)
        for name in (
            's1/a_vv.tif',
            's1/a_vh.tif',
            's1/far/b_VV.tif',
            's1/far/b_VH.tif',
        ):
            radar(tmp_path / name, count=1, x=X + 1e5 * ('far' in name))
        expected = ScenePair(
            'scene', tmp_path / 's2' / 'scene', tmp_path / 's1' / 'a_vv.tif'
        )
        assert pair_scenes(tmp_path / 's2', tmp_path / 's1') == [expected]
        assert pair_scenes(tmp_path / 's2' / 'scene', tmp_path / 's1') == [expected]
        assert pair_scenes([tmp_path / 's2'], [tmp_path / 's1']) == [expected]

    def test_most_of_the_scene_before_the_nearest_date(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200610.tif')
        radar(tmp_path / 's1' / 'half_20200610.tif', x=X + SIZE * 5)
        # Its outline covers the scene, but its pixels are missing there
        radar(tmp_path / 's1' / 'gaps_20200610.tif', missing=20)
        whole = radar(tmp_path / 's1' / 'whole_20200601.tif')
        assert pair_scenes(s2, tmp_path / 's1')[0].s1 == whole

    def test_the_nearest_date_of_those_that_cover_as_much(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200610.tif')
        for day in ('01', '08', '13'):
            radar(tmp_path / 's1' / f'{day}_202006{day}T052345.tif')
        radar(tmp_path / 's1' / 'unknown.tif')
        assert pair_scenes(s2, tmp_path / 's1')[0].s1.name == '08_20200608T052345.tif'

    def test_too_many_days(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200610.tif')
        radar(tmp_path / 's1' / 's1_20200501.tif')
        radar(tmp_path / 's1' / 's1_20200629.tif')
        message = (
            r"s2_20200610\.tif': is 19\.0 days from '.*s1_20200629\.tif', .*"
            '`max_days=15` allows fewer'
        )
        with pytest.raises(SceneError, match=message):
            pair_scenes(s2, tmp_path / 's1')
        assert pair_scenes(s2, tmp_path / 's1', 19)[0].s1.name == 's1_20200629.tif'
        # Nearer in date, though it covers less
        near = radar(tmp_path / 's1' / 's1_20200612.tif', x=X + 100)
        assert pair_scenes(s2, tmp_path / 's1')[0].s1 == near

    def test_unknown_dates(self, tmp_path):
        s2 = optical(tmp_path / 's2_20200610.tif')
        only = radar(tmp_path / 's1' / 'a.tif')
        assert pair_scenes(s2, tmp_path / 's1')[0].s1 == only
        radar(tmp_path / 's1' / 'b.tif')
        with pytest.raises(
            SceneError, match=r"alike by '.*a\.tif' and '.*b\.tif'.*CSV"
        ):
            pair_scenes(s2, tmp_path / 's1')

    def test_another_zone(self, tmp_path):
        zone = CRS.from_epsg(32633)
        s2 = optical(tmp_path / 's2.tif')
        bounds = X, Y - SIZE * 10, X + SIZE * 10, Y
        left, _, _, top = transform_bounds('EPSG:32632', zone, *bounds)
        place = {'x': left - 100, 'y': top + 100, 'crs': zone}
        s1 = radar(tmp_path / 's1.tif', SIZE + 40, **place)
        assert pair_scenes(s2, s1)[0].s1 == s1

    @pytest.mark.parametrize('place', [{'x': X + 1e5}, {'crs': 'EPSG:32760'}])
    def test_different_places(self, tmp_path, place):
        s2, s1 = optical(tmp_path / 's2.tif'), radar(tmp_path / 's1.tif', **place)
        with pytest.raises(
            SceneError,
            match=r"s2\.tif': has Sentinel-1 nowhere: .*s1\.tif' are at different",
        ):
            pair_scenes(s2, s1)

    def test_names_that_are_not_unique(self, tmp_path):
        s1 = radar(tmp_path / 's1.tif')
        paths = [optical(tmp_path / name / 'scene.tif') for name in ('a', 'b')]
        assert [pair.name for pair in pair_scenes(paths, s1)] == ['a_scene', 'b_scene']
        paths.append(optical(tmp_path / 'c' / 'a' / 'scene.tif'))
        with pytest.raises(SceneError, match="2 pairs have the name 'a_scene'"):
            pair_scenes(paths, s1)

    def test_nothing_to_pair(self, tmp_path):
        s2, s1 = optical(tmp_path / 's2.tif'), radar(tmp_path / 's1.tif')
        empty = tmp_path / 'empty'
        empty.mkdir()
        with pytest.raises(SceneError, match="empty': holds no Sentinel-2"):
            pair_scenes(empty, s1)
        with pytest.raises(SceneError, match="empty': holds no Sentinel-1"):
            pair_scenes(s2, empty)
        with pytest.raises(ValueError, match=r'`s1=\[\]`'):
            pair_scenes(s2, [])
        with pytest.raises(ValueError, match='max_days=-1'):
            pair_scenes(s2, s1, -1)
        with pytest.raises(SceneError, match='does not exist'):
            pair_scenes(tmp_path / 'no', s1)

    def test_radar_as_delivered(self, tmp_path):
        s2 = optical(tmp_path / 's2.tif')
        folder = tmp_path / 's1' / 'S1A.SAFE'
        folder.mkdir(parents=True)
        (folder / 'manifest.safe').touch()
        for path in (tmp_path / 's1', folder):
            with pytest.raises(SceneError, match=r"S1A\.SAFE': .*terrain-correct"):
                pair_scenes(s2, path)

    def test_relative_paths_stay_relative(self, tmp_path, monkeypatch):
        optical(tmp_path / 's2.tif')
        radar(tmp_path / 's1.tif')
        monkeypatch.chdir(tmp_path)
        assert pair_scenes('s2.tif', 's1.tif') == [
            ScenePair('s2', Path('s2.tif'), Path('s1.tif'))
        ]
