# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of pairing where one of several files cannot be used."""

import warnings

import numpy as np
import pytest
from scene_files import GRID, write

from torchgeo_tdpcr.datasets.scenes import SceneError, pair_scenes
from torchgeo_tdpcr.datasets.scenes.common import SceneWarning

SIZE = GRID.width


def optical(path, labels=(), **place):
    return write(
        path, np.full((13, SIZE, SIZE), 1500, np.uint16), labels=labels, **place
    )


def radar(path, labels=(), count=2, **place):
    array = np.full((count, SIZE, SIZE), -10, np.float32)
    array[1:] -= 6
    array[1:] = -16
    return write(path, array, labels=labels, **place)


def horizontal(path):
    radar(path, ('HH', 'HV'))


def far_away(path):
    radar(path, ('HH', 'HV'), transform=GRID.transform.translation(9e5, 5e6))


def one_band(path):
    radar(path.with_name('s1_20200604_more.tif'), count=1)


def broken(path):
    path.write_text('x')


def numbers(path):
    # All the same and large: no backscatter, which only reading tells
    write(path, np.full((2, SIZE, SIZE), 1234.5, np.float32))


FAULTS = [horizontal, far_away, one_band, broken, numbers]


class TestRadar:
    @pytest.mark.parametrize('fault', FAULTS)
    def test_is_left_out(self, tmp_path, fault):
        s2 = optical(tmp_path / 's2_20200604.tif')
        s1 = radar(tmp_path / 's1' / 's1_20200604.tif')
        fault(s1.with_name('a_20200604.tif'))
        with pytest.warns(SceneWarning) as said:
            (pair,) = pair_scenes(s2, s1.parent)
        assert (pair.s1, pair.slices) == (s1, ())
        (text,) = (str(warning.message) for warning in said)
        (bad,) = set(s1.parent.iterdir()) - {s1}
        assert text.startswith(f"Sentinel-1 is left out: '{bad}': ")
        assert '\n' not in text

    @pytest.mark.parametrize('fault', FAULTS)
    def test_is_the_error_where_it_is_the_only_one(self, tmp_path, fault):
        s2 = optical(tmp_path / 's2_20200604.tif')
        path = tmp_path / 's1' / 's1_20200604.tif'
        path.parent.mkdir()
        fault(path)
        (path,) = path.parent.iterdir()
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            with pytest.raises(SceneError) as error:
                pair_scenes(s2, path.parent)
        assert error.value.path == str(path)

    @pytest.mark.parametrize('fault', FAULTS)
    @pytest.mark.parametrize(
        ('name', 'place', 'message'),
        [
            (
                'b_20200604.tif',
                3e5,
                'has Sentinel-1 nowhere: it and .* different places',
            ),
            ('b_20190604.tif', 0, r'is 366\.0 days from'),
        ],
    )
    def test_is_the_cause_where_others_do_not_fit(
        self, tmp_path, fault, name, place, message
    ):
        s2 = optical(tmp_path / 's2_20200604.tif')
        other = radar(
            tmp_path / 's1' / name,
            transform=GRID.transform.translation(place, 0) @ GRID.transform,
        )
        fault(other.with_name('s1_20200604.tif'))
        (bad,) = set(other.parent.iterdir()) - {other}
        with pytest.raises(SceneError, match=message) as error:
            pair_scenes(s2, other.parent)
        assert f"Left out was '{bad}': " in str(error.value)
        assert f"'{other}'" in str(error.value)


class TestOptical:
    def test_others_are_paired(self, tmp_path):
        good = optical(tmp_path / 's2' / 'good_20200604.tif')
        optical(good.with_name('bad_20200604.tif'), ['foo'] * 13)
        (good.parent / 'worse.zip').write_text('x')
        s1 = radar(tmp_path / 's1_20200604.tif')
        faults = {}
        (pair,) = pair_scenes(good.parent, s1, faults=faults)
        assert (pair.name, pair.s2) == ('good_20200604', good)
        assert list(faults) == ['bad_20200604', 'worse']
        assert "bad_20200604.tif': " in str(faults['bad_20200604'])
        with pytest.raises(SceneError, match='bad_20200604'):
            pair_scenes(good.parent, s1)

    def test_of_one_name(self, tmp_path):
        paths = [optical(tmp_path / name / 'x.tif', ['foo'] * 13) for name in 'ab']
        paths.append(optical(tmp_path / 'good_20200604.tif'))
        faults = {}
        pair_scenes(paths, radar(tmp_path / 's1_20200604.tif'), faults=faults)
        assert list(faults) == ['x', 'b_x']

    def test_none_is_right(self, tmp_path):
        path = optical(tmp_path / 's2' / 'a.tif', ['foo'] * 13)
        faults = {}
        with pytest.raises(SceneError, match=r"a\.tif': "):
            pair_scenes(path.parent, radar(tmp_path / 's1.tif'), faults=faults)
