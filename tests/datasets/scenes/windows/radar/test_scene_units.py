# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Units, fills and the order of polarisations, as the numbers of a raster tell them."""

import warnings

import numpy as np
import pytest
import rasterio
from optical_files import numbers
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from scene_files import (
    GRID,
    LEFT,
    TOP,
    UTM33,
    around,
    decibels,
    interpolated,
    power,
    write,
)

from torchgeo_tdpcr.datasets.grids import Grid
from torchgeo_tdpcr.datasets.plausibility import DECIBELS
from torchgeo_tdpcr.datasets.scenes import pair_scenes
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import describe_radar
from torchgeo_tdpcr.datasets.scenes.windows.radar import RadarReader


def amplitude(array):
    return np.sqrt(power(array))


def labelled(path, array, *labels):
    return write(path, array, labels=labels)


class TestAmplitude:
    @pytest.mark.parametrize('told', ['labels', 'name', 'user'])
    @pytest.mark.parametrize('crs', [None, UTM33])
    def test_read(self, tmp_path, told, crs):
        transform, size = around(crs, 10) if crs else (GRID.transform, GRID.width)
        array = amplitude(decibels(size))
        array[0, 0, 0], array[1, 1, 1] = -9999, 0
        labels = ('Amplitude_VV', 'Amplitude_VH') if told == 'labels' else ()
        name = 's1_amplitude.tif' if told == 'name' else 'a.tif'
        path = write(tmp_path / name, array, transform, crs or GRID.crs, labels)
        reader = RadarReader(path, GRID, 'amplitude' if told == 'user' else 'auto')
        assert reader.scale == 'amplitude'
        image = reader.read(GRID.all)
        expected = decibels()
        if crs:
            # Warped as power
            squares = np.float64(array) ** 2
            expected = 10 * np.log10(interpolated(squares, transform, crs))
        else:
            expected[0, 0, 0] = expected[1, 1, 1] = np.nan
        np.testing.assert_allclose(image, expected, atol=0.01)
        there = np.isfinite(image).all(0)
        assert reader.coverage() == pytest.approx(there.mean(), abs=0.01)

    @pytest.mark.parametrize(
        'name', ['s1_VVVH_amp.tif', 's1_sqrt.tif', 'amp.tif', 'a_AMPLITUDES_VV_VH.tif']
    )
    def test_dark_and_told_by_the_name(self, tmp_path, name):
        # As power it would be possible
        array = decibels() - np.float32([[[4]], [[8]]])
        image = RadarReader(write(tmp_path / name, amplitude(array)), GRID).read(
            GRID.all
        )
        np.testing.assert_allclose(image, array, atol=0.01)

    @pytest.mark.parametrize('level', [0, 3, -6])
    def test_not_as_power(self, tmp_path, level):
        path = write(tmp_path / 'a.tif', amplitude(decibels() + np.float32(level)))
        with pytest.raises(
            SceneError,
            match=r"if it is power.*sar_scale='amplitude'.*sar_scale='linear'",
        ):
            RadarReader(path, GRID)
        halved = RadarReader(path, GRID, 'linear').read(GRID.all)
        np.testing.assert_allclose(halved, (decibels() + level) / 2, atol=1e-4)

    def test_a_city_is_as_bright_but_not_all_around_it(self, tmp_path):
        array = decibels(200)
        array[:, 20:80, 30:90] += 9
        transform = from_origin(LEFT - 300, TOP + 200, 10, 10)
        path = write(tmp_path / 'a.tif', power(array), transform)
        image = RadarReader(path, GRID).read(GRID.all)
        np.testing.assert_allclose(image, array[:, 20:80, 30:90], atol=1e-3)
        path = write(tmp_path / 'b.tif', power(array[:, 20:80, 30:90]))
        with pytest.raises(SceneError, match='no land is as bright'):
            RadarReader(path, GRID)

    @pytest.mark.parametrize('lowest', [-25, -30, -35, -50])
    def test_decibels_scaled_to_1(self, tmp_path, lowest):
        array = np.clip((decibels() - lowest) / -lowest, 0, 1)
        path = write(tmp_path / 'a.tif', array.astype(np.float32))
        with pytest.raises(SceneError, match=r'dB that was scaled to 0…1'):
            RadarReader(path, GRID)

    @pytest.mark.parametrize('level', [0, 3, -4])
    @pytest.mark.parametrize(
        ('part', 'message'),
        [(np.log(10) / 10, r'natural logarithm.*4\.343'), (0.5, r'10 × log10 of ampl')],
    )
    def test_other_logarithms(self, tmp_path, part, level, message):
        array = (decibels() + level).astype(np.float32)
        for name in ('a.tif', 'a_dB.tif'):
            path = write(tmp_path / name, (array * part).astype(np.float32))
            with pytest.raises(SceneError, match=rf"{message}.*sar_scale='db'"):
                RadarReader(path, GRID)
        vv, vh = np.median(array, axis=(1, 2))
        with pytest.raises(
            SceneError, match=rf'\({vv:.1f} and {vh:.1f} dB\): multiply'
        ):
            RadarReader(path, GRID)
        # Taken at its word
        image = RadarReader(path, GRID, 'db').read(GRID.all)
        np.testing.assert_allclose(image, array * part, atol=1e-4)
        # The factor as a tag
        with rasterio.open(path, 'r+') as file:
            file.scales = [1 / part] * 2
        image = RadarReader(path, GRID).read(GRID.all)
        np.testing.assert_allclose(image, array, atol=1e-4)

    def test_names_that_the_numbers_contradict(self, tmp_path):
        cases = {
            'a_amplitude.tif': (decibels(), 'means amplitude, .* which is dB'),
            'a_db.tif': (power(decibels()), 'means dB, .* which is not dB'),
            'S1A_IW_20200604T051422_DVP_RTC10_G_gpuned_1234.tif': (
                decibels(),
                "gpuned_1234.tif' means power, .* which is dB",
            ),
            'S1A_IW_20200604T051422_DVP_RTC10_G_gduned_1234.tif': (
                power(decibels()),
                'means dB, .* which is not dB',
            ),
            'S1B_IW_20200604T051422_DVP_RTC10_G_gpuned_1234.tif': (
                amplitude(decibels()),
                r'if it is power, as the name .* says',
            ),
            'b_amplitude.tif': (
                power(decibels()),
                r'As amplitude, which the name .*darker than any place; as power it is',
            ),
        }
        for name, (array, message) in cases.items():
            path = write(tmp_path / name, array)
            with pytest.raises(SceneError, match=f'{message}.*sar_scale'):
                RadarReader(path, GRID)
        path = write(tmp_path / 'a_amplitude.tif', power(decibels()))
        image = RadarReader(path, GRID, 'linear').read(GRID.all)
        np.testing.assert_allclose(image, decibels(), atol=1e-4)
        path = labelled(tmp_path / 'c.tif', decibels(), 'Amplitude_VV', 'Amplitude_VH')
        with pytest.raises(
            SceneError, match="the description 'Amplitude_VV' means ampl"
        ):
            RadarReader(path, GRID)
        np.testing.assert_array_equal(
            RadarReader(path, GRID, 'db').read(GRID.all), decibels()
        )

    def test_signs_are_stronger_than_words(self, tmp_path):
        for array, said in ((decibels(), 'amplitude'), (amplitude(decibels()), 'db')):
            path = write(tmp_path / 'a.tif', array)
            with pytest.raises(
                SceneError, match=f"sar_scale='{said}'` says .*Leave it"
            ):
                RadarReader(path, GRID, said)

    def test_uncalibrated(self, tmp_path):
        array = np.random.default_rng(0).uniform(100, 300, (2, 60, 60))
        for name, values in (('Amplitude', array), ('Intensity', array**2)):
            labels = f'{name}_VV', f'{name}_VH'
            path = labelled(
                tmp_path / f'{name}.tif', values.astype(np.float32), *labels
            )
            for scale in ('auto', 'amplitude'):
                with pytest.raises(SceneError, match=r'no backscatter.*Calibrate'):
                    RadarReader(path, GRID, scale)


class TestIntegers:
    @pytest.mark.parametrize('factor', [10, 100, 1000])
    @pytest.mark.parametrize('dtype', ['int16', 'int32', 'float32'])
    @pytest.mark.parametrize('fill', [0, -9999, -32768])
    def test_multiples_of_decibels(self, tmp_path, factor, dtype, fill):
        array = (decibels() * factor).astype(dtype)
        array[:, :40] = fill
        path = write(tmp_path / 's1_20200604.tif', array)
        s2 = write(tmp_path / 's2_20200604.tif', numbers(size=GRID.width))
        message = rf'dB times {factor}\. .*scales = \({1 / factor:g}, '
        with pytest.raises(SceneError, match=message):
            RadarReader(path, GRID)
        # Before coverage is looked at
        with pytest.raises(SceneError, match=message):
            pair_scenes(s2, path)

    def test_whole_decibels(self, tmp_path):
        array = np.round(decibels()).astype(np.int16)
        path = write(tmp_path / 'a.tif', array)
        np.testing.assert_array_equal(RadarReader(path, GRID).read(GRID.all), array)

    @pytest.mark.parametrize(
        ('dtype', 'message'),
        [
            ('uint8', 'holds uint8 without a scale tag.*scaled to be looked at'),
            ('uint16', 'holds uint16 without a scale tag.*digital numbers as ESA'),
            ('int16', 'holds int16 without a scale tag.*digital numbers as ESA'),
        ],
    )
    def test_scaled_without_a_tag(self, tmp_path, dtype, message):
        most = 255 if dtype == 'uint8' else 30_000
        array = (np.clip((decibels() + 30) / 30, 0, 1) * most).astype(dtype)
        for scale in ('auto', 'linear'):
            with pytest.raises(SceneError, match=message):
                RadarReader(write(tmp_path / 'a.tif', array), GRID, scale)


class TestFills:
    @pytest.mark.parametrize('scale', ['db', 'linear', 'amplitude'])
    @pytest.mark.parametrize('part', [20, 59])
    @pytest.mark.parametrize(
        'fill', [1e9, 3.4028235e38, -99, -999, -9999, -32768, 0, -3.4e38, 1e20, np.inf]
    )
    def test_are_never_data(self, tmp_path, scale, part, fill):
        array = {'db': decibels, 'linear': power, 'amplitude': amplitude}[scale](
            *(() if scale == 'db' else (decibels(),))
        )
        array[:, :part] = fill
        array[0, 59, 0] = fill if fill else np.nan
        path = write(tmp_path / 'a.tif', array)
        reader = RadarReader(path, GRID, scale if scale == 'amplitude' else 'auto')
        assert reader.scale == scale
        expected = decibels()
        expected[:, :part] = expected[0, 59, 0] = np.nan
        np.testing.assert_allclose(reader.read(GRID.all), expected, atol=1e-4)
        assert reader.coverage() == pytest.approx(1 - part / 60, abs=0.01)

    def test_warped_without_a_halo(self, tmp_path):
        transform, size = around(UTM33, 10)
        array = decibels(size)
        array[:, 50:60, 50:90] = -99
        plain = array.copy()
        plain[array == -99] = np.nan
        images = [
            RadarReader(write(tmp_path / name, values, transform, UTM33), GRID).read(
                GRID.all
            )
            for name, values in (('a.tif', array), ('b.tif', plain))
        ]
        np.testing.assert_array_equal(*images)
        assert 0 < np.isnan(images[0]).mean() < 0.5

    def test_what_is_added_before_a_logarithm(self, tmp_path):
        array = power(decibels())
        array[:, :40] = 1e-10
        reader = RadarReader(write(tmp_path / 'a.tif', array), GRID)
        expected = decibels()
        expected[:, :40] = np.nan
        np.testing.assert_allclose(reader.read(GRID.all), expected, atol=1e-4)

    def test_two_fills_that_outnumber_data(self, tmp_path):
        array = decibels()
        array[:, :29], array[:, 29:56] = -9999, 3.4e38
        assert RadarReader(write(tmp_path / 'a.tif', array), GRID).scale == 'db'


class TestOrder:
    @pytest.mark.parametrize('scale', ['db', 'linear', 'amplitude'])
    @pytest.mark.parametrize('level', [-18, -10, -6, 0, 3])
    def test_swapped(self, tmp_path, scale, level):
        convert = {'db': np.asarray, 'linear': power, 'amplitude': amplitude}[scale]
        array = convert(decibels() + np.float32(level))[::-1]
        path = write(tmp_path / 'a.tif', array)
        asked = 'amplitude' if scale == 'amplitude' else 'auto'
        with pytest.raises(SceneError) as caught:
            RadarReader(path, GRID, asked)
        vv, vh = np.median(decibels() + level, axis=(1, 2))
        assert f'{vv:.1f} dB in what is taken for VH, and of {vh:.1f} dB' in str(
            caught.value
        )
        assert "`polarisations=['VH', 'VV']`" in str(caught.value)
        product = describe_radar(path, polarisations=('VH', 'VV'))
        np.testing.assert_allclose(
            RadarReader(product, GRID, asked).read(GRID.all),
            decibels() + level,
            atol=1e-4,
        )

    def test_names_may_be_wrong(self, tmp_path):
        array = np.concatenate([decibels()[::-1], decibels()[:1]])
        path = labelled(tmp_path / 'a.tif', array, 'VV', 'VH', 'angle')
        with pytest.raises(
            SceneError, match=r"descriptions.*polarisations=\['VH', 'VV', 'other'\]"
        ):
            RadarReader(path, GRID)
        pair = tmp_path / 'pair'
        vv, vh = decibels()
        write(pair / 'a_VV.tif', vh)
        write(pair / 'a_VH.tif', vv)
        with pytest.raises(SceneError, match=r"a_VH\.tif': .*names are swapped"):
            RadarReader(pair, GRID)

    @pytest.mark.parametrize('scale', ['db', 'linear'])
    @pytest.mark.parametrize('level', [-20, -5, 0, 3])
    def test_declared_is_not_doubted(self, tmp_path, scale, level):
        array = decibels()[::-1] + np.float32(level)
        stored = array if scale == 'db' else power(array)
        path = write(tmp_path / 'a.tif', stored)
        pair = [
            write(tmp_path / f'a_{name}.tif', band)
            for name, band in zip(('VV', 'VH'), stored, strict=True)
        ]
        for source in (path, pair):
            product = describe_radar(source, polarisations=('VV', 'VH'))
            np.testing.assert_allclose(
                RadarReader(product, GRID).read(GRID.all), array, atol=1e-4
            )

    def test_noise_over_calm_water(self, tmp_path):
        array = np.random.default_rng(0).normal(-25, 2, (2, 60, 60)).astype(np.float32)
        array[1] += 1
        assert RadarReader(write(tmp_path / 'a.tif', array), GRID).scale == 'db'

    def test_an_angle_is_no_polarisation(self, tmp_path):
        array = decibels()
        array[1] = 38
        with pytest.raises(SceneError, match='median of 38 in VH, which is no backsc'):
            RadarReader(write(tmp_path / 'a.tif', array), GRID)


#: Real backscatter in dB, VV and VH, of many makers.
PATTERNS = (
    'sen12mscr_pairs/*_s1.tif',
    'sen12mscr/*_s1/*/*.tif',
    'sen1floods11/*_S1Hand.tif',
    'terramind/S1RTC/*.tif',
    'm3mcr/train/S1*/*/*.tif',
    'biomassters/*_S1_*.tif',
    'bigearthnet/*/*/*_VV.tif',
    'osfcr_sample/*/*/s1/ROIs_01_s1_*.tif',
)


def read_dates(path):
    """VV and VH of a sample, of each date that it has."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            array = file.read().astype(np.float32)
        if len(array) > 1:
            return np.split(array, len(array) // 2)
        with rasterio.open(str(path).replace('_VV.', '_VH.')) as file:
            return [np.concatenate([array, file.read()])]


@pytest.mark.parametrize('pattern', PATTERNS)
def test_real_samples_are_told(samples, tmp_path, pattern):
    paths = sorted(samples.glob(pattern))
    assert paths
    for pair in (pair for path in paths for pair in read_dates(path)):
        known = pair[np.isfinite(pair)]
        assert known.min() > DECIBELS[0] + 20
        assert known.max() < DECIBELS[1] - 15
        grid = Grid(GRID.crs, GRID.transform, *pair.shape[:0:-1])
        path = tmp_path / 'a.tif'
        for name, values in (('db', pair), ('linear', power(pair))):
            assert RadarReader(write(path, values), grid).scale == name
        for values, fault in (
            (pair[::-1], 'taken for VH'),
            (power(pair)[::-1], 'taken for VH'),
            (amplitude(pair), 'It may be amplitude'),
            (np.clip((pair + 25) / 25, 0, 1), 'It may be amplitude'),
        ):
            write(path, values.astype(np.float32))
            with pytest.raises(SceneError, match=fault):
                RadarReader(path, grid)
