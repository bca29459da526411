# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What is opened, and what only if it is trusted."""

import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.rasters import RasterFiles, reading
from torchgeo_tdpcr.datasets.sources import (
    DistrustError,
    fault_of_place,
    open_raster,
    trusting,
)

SECRET = 77


@pytest.fixture(
    autouse=True, params=[{}, {'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR'}]
)
def _settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """GDAL's own settings, and those of the command `torchgeo`."""
    monkeypatch.delenv('GDAL_DISABLE_READDIR_ON_OPEN', raising=False)
    with rasterio.Env(**request.param):
        yield


def write(
    path: Path,
    value: int = 5,
    size: int = 64,
    driver: str = 'GTiff',
    crs: str | None = 'EPSG:32632',
) -> Path:
    with (
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='FALSE'),
        rasterio.open(
            path,
            'w',
            driver=driver,
            width=size,
            height=size,
            count=1,
            dtype='uint8',
            crs=crs,
            transform=from_origin(6e5, 5e6, 640 / size, 640 / size),
        ) as file,
    ):
        file.write(np.full((1, size, size), value, np.uint8))
    return path


def vrt(source: Path | str, size: int = 64) -> str:
    """A VRT that shows another raster, and as a mask marks all as missing."""
    return (
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}">'
        '<Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>'
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand>'
        '</SimpleSource></VRTRasterBand></VRTDataset>'
    )


def value(path: str | Path, size: int = 64) -> int:
    """The value of a raster, perhaps of its overview."""
    with open_raster(path) as file:
        return int(file.read(1, out_shape=(size, size)).max())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An address that serves a secret, and the file with what it was asked for."""
    folder = tmp_path / 'served'
    folder.mkdir()
    write(folder / 'secret.tif', SECRET)
    log = tmp_path / 'log'
    # Not a thread, which would wait for GDAL to let go of Python
    command = [sys.executable, '-u', '-m', 'http.server', '0', '--bind', '127.0.0.1']
    with (
        log.open('w') as asked,
        Popen(command, cwd=folder, stdout=PIPE, stderr=asked, text=True) as running,
    ):
        assert running.stdout is not None
        port = re.search(r'port (\d+)', running.stdout.readline())
        assert port is not None
        yield f'http://127.0.0.1:{port[1]}', log
        running.terminate()


def as_text(folder: Path, secret: Path) -> None:
    (folder / 'a.tif').write_text(vrt(secret))


def after_spaces(folder: Path, secret: Path) -> None:
    (folder / 'a.tif').write_text('\n ' + vrt(secret))


def as_overview(folder: Path, secret: Path) -> None:
    write(folder / 'a.tif')
    (folder / 'a.tif.ovr').write_text(vrt(secret, 32))


def as_mask(folder: Path, secret: Path) -> None:
    write(folder / 'a.tif')
    (folder / 'A.TIF.MSK').write_text(vrt(secret))


def as_overview_of_the_overview(folder: Path, secret: Path) -> None:
    write(folder / 'a.tif')
    write(folder / 'b.tif', 5, 32).rename(folder / 'a.tif.ovr')
    (folder / 'a.tif.ovr.ovr').write_text(vrt(secret, 16))


def named_within(folder: Path, secret: Path) -> None:
    write(folder / 'a.tif')
    with rasterio.open(folder / 'a.tif', 'r+') as file:
        file.update_tags(ns='OVERVIEWS', OVERVIEW_FILE=str(secret))


def named_within_the_overview(folder: Path, secret: Path) -> None:
    named_within(folder, secret)
    (folder / 'a.tif').rename(folder / 'a.tif.ovr')
    write(folder / 'a.tif', 5, 128)


def named_beside(folder: Path, secret: Path) -> None:
    write(folder / 'a.tif')
    (folder / 'a.tif.aux.xml').write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS">'
        f'<MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata></PAMDataset>'
    )


@pytest.mark.parametrize(
    'lead',
    [
        as_text,
        after_spaces,
        as_overview,
        as_mask,
        as_overview_of_the_overview,
        named_within,
        named_within_the_overview,
        named_beside,
    ],
)
def test_what_leads_elsewhere(
    tmp_path: Path, lead: Callable[[Path, Path], None]
) -> None:
    secret = write(tmp_path / 'secret.tif', SECRET)
    folder = tmp_path / 'data'
    folder.mkdir()
    lead(folder, secret)
    with pytest.raises(DistrustError, match='`trusted`'):
        open_raster(folder / 'a.tif')
    with trusting(), open_raster(folder / 'a.tif') as file:
        assert file.count == 1


def test_no_address_is_asked(tmp_path: Path, server: tuple[str, Path]) -> None:
    address, log = server
    remote = f'/vsicurl/{address}/secret.tif'
    (tmp_path / 'a.tif').write_text(vrt(remote))
    write(tmp_path / 'b.tif')
    (tmp_path / 'b.tif.ovr').write_text(vrt(remote, 32))
    wms = f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/</ServerUrl></Service>'
    (tmp_path / 'c.tif').write_text(wms)
    paths = [tmp_path / 'a.tif', tmp_path / 'b.tif', tmp_path / 'c.tif', Path(remote)]
    for path in paths:
        with pytest.raises(DistrustError):
            open_raster(path)
    with pytest.raises(DistrustError):
        open_raster(f'/vsizip/{{{remote}}}/a.tif')
    assert not log.read_text()
    with trusting():
        assert value(tmp_path / 'a.tif') == SECRET
        # As pathlib has it: with one slash
        assert '//' not in str(Path(remote))
        assert value(Path(remote)) == SECRET
    assert 'GET /secret.tif' in log.read_text()


@pytest.mark.parametrize('driver', ['GTiff', 'JP2OpenJPEG', 'ENVI', 'HFA', 'COG'])
def test_formats(tmp_path: Path, driver: str) -> None:
    path = tmp_path / 'a.img'
    if driver == 'COG':
        copy(write(tmp_path / 'b.tif'), path, driver='COG')
    else:
        write(path, driver=driver)
    assert value(path) == 5


def test_overviews_beside_and_links(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif')
    write(tmp_path / 'b.tif', 6, 32).rename(tmp_path / 'a.tif.ovr')
    assert (value(path), value(path, 32)) == (5, 6)
    (tmp_path / 'c.tif').symlink_to(path)
    assert value(tmp_path / 'c.tif') == 5
    # A place that is told beside the file
    write(tmp_path / 'd.tif', crs=None)
    with rasterio.open(path) as file:
        aux = f'<PAMDataset><SRS>{file.crs.to_wkt()}</SRS></PAMDataset>'
    (tmp_path / 'd.tif.aux.xml').write_text(aux)
    with open_raster(tmp_path / 'd.tif') as file:
        assert file.crs.to_epsg() == 32632


def test_in_a_zip(tmp_path: Path) -> None:
    secret = write(tmp_path / 'secret.tif', SECRET)
    path = write(tmp_path / 'a.tif')
    with ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.write(path, 'in/a.tif')
        archive.writestr('in/a.tif.ovr', vrt(secret, 32))
        archive.writestr('in/v.tif', vrt(secret))
        archive.writestr('in/v.vrt', vrt(secret))
    start = f'/vsizip/{{{tmp_path}/a.zip}}/in'
    # What lies beside it in the zip is not looked at
    assert value(f'{start}/a.tif', 32) == 5
    with pytest.raises(rasterio.RasterioIOError):
        open_raster(f'{start}/v.tif')
    with pytest.raises(DistrustError):
        open_raster(f'{start}/v.vrt')


def test_names_that_gdal_would_take_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = write(tmp_path / 'secret.tif', SECRET)
    monkeypatch.chdir(tmp_path)
    for name in ('GTIFF_DIR:1:secret.tif', vrt('secret.tif'), 'zip+file:secret.tif'):
        with pytest.raises(OSError, match=r'No such file|too long'):
            open_raster(name)
    # As names of files they are good
    shutil.copy(secret, tmp_path / 'GTIFF_DIR:2:a.tif')
    assert value('GTIFF_DIR:2:a.tif') == SECRET


def test_places() -> None:
    assert fault_of_place('https:/host/a.tif').startswith('is no local file. Write')
    assert '`trusted`' in fault_of_place('/vsicurl/http:/host/a.tif')
    assert fault_of_place('missing') == 'does not exist.'
    assert not fault_of_place(os.getcwd())
    with trusting():
        assert not fault_of_place('/vsicurl/http:/host/a.tif')


def test_readers_keep_the_trust(tmp_path: Path) -> None:
    write(tmp_path / 'secret.tif', SECRET)
    path = tmp_path / 'a.vrt'
    path.write_text(vrt(tmp_path / 'secret.tif'))
    with trusting():
        files = RasterFiles()
        # Within, no less
        with trusting(False):
            assert RasterFiles().header(str(path)).count == 1
    # As in the worker of a loader
    for reader in (files, pickle.loads(pickle.dumps(files))):
        with reading(path):
            assert reader[str(path)].read().max() == SECRET
    with pytest.raises(SceneError, match=r"a\.vrt': is a VRT, which leads to other"):
        RasterFiles().header(str(path))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', r'cannot be read \(the file is empty\)'),
        (b'<html>404</html>', 'cannot be read: it is damaged, or of another format'),
        (b'II*\0', 'cannot be read'),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / 'a.tif'
    path.write_bytes(content)
    with pytest.raises(SceneError, match=rf"a\.tif': {message}"):
        RasterFiles().header(str(path))


def test_names_that_are_none(tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b'/\xff.tif')
    shutil.copy(write(tmp_path / 'a.tif'), path)
    with pytest.raises(SceneError, match=r'its name is not in UTF-8: rename it'):
        RasterFiles().header(path)
    with pytest.raises(SceneError, match='null byte'):
        RasterFiles().header(f'{tmp_path}/a\0.tif')


@pytest.mark.parametrize(
    ('crs', 'message'),
    [
        ('EPSG:4326', 'has pixels of 10×10°; .* Give it the CRS'),
        ('LOCAL_CS["plan",UNIT["metre",1]]', 'nowhere in its .* system, plan'),
        (None, 'has no coordinate reference system'),
    ],
)
def test_no_place(tmp_path: Path, crs: str | None, message: str) -> None:
    path = write(tmp_path / 'a.tif', crs=crs)
    with pytest.raises(SceneError, match=message):
        RasterFiles().grid(str(path))
