# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A synthetic scene pair: one place in several forms, aligned with its truth."""

import argparse
import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from torchgeo_tdpcr.commands import synthesize_scene
from torchgeo_tdpcr.datasets.synthetic import scene_pair
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

SIZE = (96, 120)
SAFE = 'S2A_MSIL1C_20200604T101031_N0500_R022_T32UPU_20200604T121212.SAFE'


def write(root: Path, **kwargs: Any) -> ScenePaths:
    return write_scene_pair(root, **({'size': SIZE, 'sar_margin': 20} | kwargs))


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob('*')
        if path.is_file()
    }


def radar_on(optical: Path, radar: Path) -> np.ndarray:
    """The radar as the optical grid sees it."""
    with rasterio.open(optical) as grid, rasterio.open(radar) as file:
        kwargs = {'crs': grid.crs, 'transform': grid.transform}
        with WarpedVRT(
            file,
            **kwargs,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.bilinear,
        ) as warped:
            return warped.read()


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write(tmp_path_factory.mktemp('scene'))


def test_files_say_what_they_hold(scene: ScenePaths) -> None:
    grids = set()
    for path, dtype, nodata, names in (
        (scene.s2, 'uint16', 0, tuple(SENTINEL2_BANDS)),
        (scene.clear, 'uint16', 0, tuple(SENTINEL2_BANDS)),
        (scene.labels, 'uint8', 255, (None,)),
        (scene.clouds, 'uint8', None, (None,)),
    ):
        with rasterio.open(path) as file:
            assert set(file.dtypes) == {dtype}
            assert file.nodata == nodata
            assert file.descriptions == names
            assert file.shape == SIZE
            grids.add((file.crs.to_epsg(), file.transform))
    assert len(grids) == 1
    with rasterio.open(scene.s1) as file:
        assert file.descriptions == ('VV', 'VH')
        assert file.dtypes == ('float32', 'float32')
        assert np.isnan(file.nodata)
        assert file.shape == (SIZE[0] + 40, SIZE[1] + 40)
        assert file.crs.to_epsg() == 32632
        assert -20 < np.nanmean(file.read(1)) < -5
    labels, clouds = read(scene.labels), read(scene.clouds)
    assert set(np.unique(labels)) <= {*range(7), 255}
    assert set(np.unique(clouds)) == {0, 1}
    assert clouds.mean() == pytest.approx(0.4, abs=0.02)
    assert read(scene.s2).min() > 0


def test_the_seed_decides(scene: ScenePaths, tmp_path: Path) -> None:
    write(tmp_path / 'again')
    assert digests(tmp_path / 'again') == digests(scene.s2.parent)
    other = write(tmp_path / 'other', seed=1)
    assert (read(other.clear) != read(scene.clear)).mean() > 0.9
    # how the radar is stored changes neither the optical image nor the truth
    warped = write(tmp_path / 'warped', sar_epsg=4326, sar_scale='linear')
    for path, same in zip(warped, scene, strict=True):
        assert (digests(path.parent)[path.name] == digests(same.parent)[same.name]) is (
            path != warped.s1
        )


@pytest.mark.parametrize('kind', ['safe', 'zip'])
def test_archives_repeat(tmp_path: Path, kind: Any) -> None:
    for name in 'ab':
        write(tmp_path / name, kind=kind)
    assert digests(tmp_path / 'a') == digests(tmp_path / 'b')


@pytest.mark.parametrize('corner', [False, True])
def test_forms_hold_the_same_pixels(tmp_path: Path, corner: bool) -> None:
    made = {
        kind: write(tmp_path / kind, kind=kind, nodata_corner=corner)
        for kind in ('geotiff', 'bands', 'safe', 'zip')
    }
    assert made['bands'].s2.name == 'scene_s2'
    assert made['safe'].s2.name == SAFE
    assert made['zip'].s2.name == f'{SAFE}.zip'
    with ZipFile(made['zip'].s2) as archive:
        entries = archive.namelist()
    whole = read(made['geotiff'].s2)
    with rasterio.open(made['geotiff'].s2) as file:
        left, top = file.transform.c, file.transform.f
    for i, band in enumerate(SENTINEL2_BANDS.values()):
        code = f'B{band.name[1:].zfill(2)}'
        file_name = f'T32UPU_20200604T101031_{code}'
        (jp2,) = made['safe'].s2.glob(f'GRANULE/*/IMG_DATA/{file_name}.jp2')
        (entry,) = [name for name in entries if name.endswith(f'{file_name}.jp2')]
        assert entry.startswith(f'{SAFE}/GRANULE/L1C_T32UPU_')
        step = band.resolution // 10
        for path in (
            made['bands'].s2 / f'{file_name}.tif',
            jp2,
            f'/vsizip/{made["zip"].s2}/{entry}',
        ):
            with rasterio.open(path) as file:
                native = file.read(1)
                assert file.res == (band.resolution, band.resolution)
                assert (file.transform.c, file.transform.f) == (left, top)
                assert file.crs == CRS.from_epsg(32632)
            repeated = native.repeat(step, 0).repeat(step, 1)
            np.testing.assert_array_equal(repeated, whole[i])
    assert (whole == 0).all(0).mean() == pytest.approx(0.1 if corner else 0, abs=0.05)
    assert ((whole == 0).all(0) == (whole == 0).any(0)).all()
    for key in ('clear', 'labels', 'clouds', 's1'):
        sums = {digests(p.s1.parent)[f'scene_{key}.tif'] for p in made.values()}
        assert len(sums) == 1


@pytest.mark.parametrize(
    ('offset', 'baseline', 'listed'),
    [(1000, 'N0500', ['-1000'] * 13), (0, 'N0209', [])],
)
def test_metadata_of_a_product(
    tmp_path: Path, offset: int, baseline: str, listed: list[str]
) -> None:
    paths = write(tmp_path, kind='safe', offset=offset, date='2021-11-03')
    assert f'_20211103T101031_{baseline}_' in paths.s2.name
    tree = ET.parse(paths.s2 / 'MTD_MSIL1C.xml')
    assert tree.findtext('.//PRODUCT_URI') == paths.s2.name
    assert tree.findtext('.//PRODUCT_START_TIME') == '2021-11-03T10:10:31.024Z'
    assert tree.findtext('.//QUANTIFICATION_VALUE') == '10000'
    assert [item.text for item in tree.iterfind('.//RADIO_ADD_OFFSET')] == listed
    files = [item.text or '' for item in tree.iterfind('.//IMAGE_FILE')]
    assert len(files) == 13
    assert all((paths.s2 / f'{name}.jp2').is_file() for name in files)
    ET.parse(next(paths.s2.glob('GRANULE/*/MTD_TL.xml')))


def test_mask_of_a_product(tmp_path: Path) -> None:
    paths = write(tmp_path, kind='safe', seed=3)
    (mask,) = paths.s2.glob('GRANULE/*/QI_DATA/MSK_CLASSI_B00.jp2')
    with rasterio.open(mask) as file:
        assert file.res == (60, 60)
        assert file.dtypes == ('uint8',) * 3
        classes = file.read()
    opaque, cirrus, snow = classes.astype(bool)
    assert opaque.any()
    assert not (opaque & cirrus).any()
    assert not snow.any()
    truth = read(paths.clouds)[0].reshape(SIZE[0] // 6, 6, SIZE[1] // 6, 6)
    # shadows are in the truth alone
    assert (truth.mean((1, 3)) >= 0.5)[opaque | cirrus].all()


def test_offset_is_added_to_the_same_scene(scene: ScenePaths, tmp_path: Path) -> None:
    paths = write(tmp_path, offset=0)
    for key in ('s2', 'clear'):
        with_offset, without = read(getattr(scene, key)), read(getattr(paths, key))
        inside = without > 1
        assert inside.mean() > 0.99
        assert (with_offset[inside] - without[inside] == 1000).all()


def test_level_2a_has_no_air(scene: ScenePaths, tmp_path: Path) -> None:
    """Nor B10, and is the same place under the same clouds."""
    paths = write(tmp_path / 'a', level='2A')
    names = [name for name in SENTINEL2_BANDS if name != 'B10']
    with rasterio.open(paths.s2) as file:
        assert list(file.descriptions) == names
    kept = [list(SENTINEL2_BANDS).index(name) for name in names]
    for key in ('s2', 'clear'):
        above, surface = read(getattr(scene, key))[kept], read(getattr(paths, key))
        # The air's light is blue
        lost = np.median(above.astype(float) - surface, axis=(1, 2))
        assert lost[0] > lost[1] > lost[2] > lost[3] > 0, key
    for key in ('s1', 'labels', 'clouds'):
        np.testing.assert_array_equal(
            read(getattr(scene, key)), read(getattr(paths, key))
        )
    apart = write(tmp_path / 'b', level='2A', kind='bands')
    assert len(list(apart.s2.glob('*.tif'))) == 12


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_truth_is_of_the_same_place(tmp_path: Path, seed: int) -> None:
    paths = write(tmp_path, seed=seed, size=192)
    cloudy, clear = read(paths.s2), read(paths.clear)
    clouds = read(paths.clouds)[0].astype(bool)
    for band in (3, 7, 11):
        pair = cloudy[band][~clouds], clear[band][~clouds]
        here = np.corrcoef(*pair)[0, 1]
        moved = np.roll(clear[band], 12, 0)[~clouds]
        elsewhere = np.corrcoef(pair[0], moved)[0, 1]
        # Haze hides some of what little contrast there is in the red
        assert here > (0.6 if band == 3 else 0.8)
        assert elsewhere < min(0.7, here - 0.2)
    difference = np.abs(cloudy[1].astype(float) - clear[1])
    assert difference[clouds].mean() > 2 * difference[~clouds].mean()


@pytest.mark.parametrize(
    ('epsg', 'res'), [(32633, 10.0), (4326, 10.0), (3035, 20.0), (None, 20.0)]
)
def test_warped_radar_covers_the_scene(
    scene: ScenePaths, tmp_path: Path, epsg: int | None, res: float
) -> None:
    paths = write(tmp_path, sar_epsg=epsg, sar_res=res)
    with rasterio.open(paths.s1) as file:
        assert file.crs.to_epsg() == (epsg or 32632)
        assert file.res[0] == pytest.approx(res / 111_320 if epsg == 4326 else res)
    plain, warped = (radar_on(scene.s2, path) for path in (scene.s1, paths.s1))
    assert not np.isnan(plain).any()
    assert not np.isnan(warped).any()
    # resampling smooths the speckle; a shift by one pixel would give 0.95
    assert np.corrcoef(plain[0].ravel(), warped[0].ravel())[0, 1] > 0.965
    assert abs(plain.mean() - warped.mean()) < 1


def test_linear_radar_is_power(scene: ScenePaths, tmp_path: Path) -> None:
    power = read(write(tmp_path, sar_scale='linear').s1)
    assert power.min() > 0
    np.testing.assert_allclose(10 * np.log10(power), read(scene.s1), atol=1e-3)


@pytest.mark.parametrize('margin', [0, 5])
def test_margin_moves_the_radar_only_outwards(tmp_path: Path, margin: int) -> None:
    paths = write(tmp_path, sar_margin=margin, size=50)
    with rasterio.open(paths.s1) as radar, rasterio.open(paths.s2) as optical:
        assert radar.shape == (50 + 2 * margin, 50 + 2 * margin)
        assert radar.transform.c - optical.transform.c == pytest.approx(
            3.688 - 10 * margin
        )
        assert radar.transform.f - optical.transform.f == pytest.approx(
            -4.128 + 10 * margin
        )


@pytest.mark.parametrize('kind', ['geotiff', 'bands', 'safe', 'zip'])
def test_nothing_is_overwritten(tmp_path: Path, kind: Any) -> None:
    paths = write(tmp_path, kind=kind)
    before = digests(tmp_path)
    with pytest.raises(FileExistsError, match=f"{paths.s2.name}' is there already"):
        write(tmp_path, kind=kind, seed=1)
    assert digests(tmp_path) == before


def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError('disk full')

    monkeypatch.setattr(scene_pair, '_write_radar', fail)
    with pytest.raises(OSError, match='disk full'):
        write(tmp_path, kind='safe')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ({'name': 'a/b'}, r"`name='a/b'`"),
        ({'name': ''}, r"`name=''`"),
        ({'kind': 'cog'}, r"`kind='cog'`: give one of \['geotiff'"),
        ({'sar_scale': 'dB'}, r"`sar_scale='dB'`"),
        ({'size': 16}, r'`size=16` is not within 32 to 10980'),
        ({'size': 100, 'kind': 'safe'}, 'Give multiples of 6'),
        ({'cover': 1.5}, r'`cover=1.5`'),
        ({'level': '3'}, r"`level='3'`: give one of \['1C', '2A'\]"),
        ({'level': '2A', 'kind': 'zip'}, 'SAFE is written of level 1C alone'),
        ({'offset': -1}, r'`offset=-1`'),
        ({'seed': -1}, r'`seed=-1`'),
        ({'sar_res': 0}, r'`sar_res=0`'),
        ({'sar_margin': -1}, r'`sar_margin=-1`'),
        ({'sar_epsg': 1}, r'`sar_epsg=1` is no known'),
        ({'date': '4 June'}, r"`date='4 June'`: give a day as YYYY-MM-DD"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, argument: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path, **argument)
    assert list(tmp_path.iterdir()) == []


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    synthesize_scene.add_arguments(parser)
    return parser.parse_args(argv)


def test_command(
    scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ('--size', '96', '120', '--sar-margin', '20')
    assert synthesize_scene.run(parse(str(tmp_path), *argv)) == 0
    assert digests(tmp_path) == digests(scene.s2.parent)
    out = capsys.readouterr().out
    assert f's2: {tmp_path / "scene_s2.tif"}\n' in out
    assert f'--s1 {tmp_path / "scene_s1.tif"} --mask' in out


def test_command_passes_everything_on(tmp_path: Path) -> None:
    argv = (
        '--name n --size 48 --seed 2 --kind safe --cover 0 --offset 0 --sar-epsg 4326'
    )
    argv += ' --sar-res 20 --sar-scale linear --sar-margin 12 --nodata-corner'
    argv += ' --date 2019-01-02'
    assert synthesize_scene.run(parse(str(tmp_path / 'a'), *argv.split())) == 0
    write_scene_pair(
        tmp_path / 'b',
        'n',
        48,
        2,
        'safe',
        0,
        0,
        4326,
        20,
        'linear',
        12,
        True,
        '2019-01-02',
    )
    assert digests(tmp_path / 'a') == digests(tmp_path / 'b')


def test_command_passes_the_level_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ['--size', '48', '--sar-margin', '12', '--level', '2A', '--other-days', '9']
    assert synthesize_scene.run(parse(str(tmp_path), *argv)) == 0
    found = sorted(tmp_path.glob('*_s2.tif'))
    assert len(found) == 2
    for path in found:
        with rasterio.open(path) as file:
            assert 'B10' not in file.descriptions
            assert file.count == 12
    # Without B10 nothing tells the offset, so the commands do
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if 'torchgeo-tdpcr map' in line]
    assert len(told) == 2
    assert all(' --offset 1000' in line for line in told)


def test_command_passes_soft_clouds_on(tmp_path: Path) -> None:
    argv = ['--size', '48', '--sar-margin', '12', '--other-days', '9']
    for name in 'hard', 'soft':
        more = [] if name == 'hard' else ['--soft-clouds']
        assert synthesize_scene.run(parse(str(tmp_path / name), *argv, *more)) == 0
    hard, soft = (
        {path.name: read(path) for path in (tmp_path / name).iterdir()}
        for name in ('hard', 'soft')
    )
    changed = {name for name in hard if not np.array_equal(hard[name], soft[name])}
    days = 'scene', 'scene_20200613'
    assert changed == {f'{day}_{end}.tif' for day in days for end in ('s2', 'clouds')}


def test_command_takes_two_sizes_at_most(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='`--size` has 3 numbers'):
        synthesize_scene.check(parse(str(tmp_path), '--size', '64', '64', '64'))
