# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of finding and reading Sentinel-2 products."""

import multiprocessing
import pickle
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes import rasters
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.optical import OpticalReader
from torchgeo_tdpcr.datasets.scenes.products import BandFile, find_optical
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

BANDS = list(SENTINEL2_BANDS)
SIZE = 72
DATE = 'S2A_MSIL1C_20200604T100031_N0400_R122_T32TQM_20200604T121222'


def write(path, array, resolution=10, crs='EPSG:32632', labels=(), x=6e5, **options):
    """Write a raster whose upper-left corner is that of the scene."""
    array = array if array.ndim == 3 else array[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.jp2':
        options |= {'driver': 'JP2OpenJPEG', 'QUALITY': '100', 'REVERSIBLE': 'YES'}
    with rasterio.open(
        path,
        'w',
        count=len(array),
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=from_origin(x, 5e6, resolution, resolution),
        **options,
    ) as file:
        file.write(array)
        if labels:
            file.descriptions = labels
    return path


def numbers(count=13, size=SIZE, low=1000, high=9000, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(low, high, (count, size, size), dtype=np.uint16)


def full_size(array, resolution):
    """A band repeated to the fine grid, the whole image at once."""
    return np.kron(array, np.ones((resolution // 10,) * 2, array.dtype))


METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2020-06-04T10:00:31.024Z</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
    </Product_Info>
    <Product_Image_Characteristics>
      <{scale}>{quantification}</{scale}>{offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level_User_Product>"""


def write_safe(folder, level='1C', offset=-1000, quantification=10000, name=DATE):
    """A SAFE folder; returns it and its bands, each as stored."""
    root = folder / f'{name}.SAFE'
    kind = 'RADIO' if level == '1C' else 'BOA'
    offsets = (
        ''.join(
            f'\n<{kind}_ADD_OFFSET band_id="{i}">{offset}</{kind}_ADD_OFFSET>'
            for i in range(13)
        )
        if offset is not None
        else ''
    )
    scale = 'QUANTIFICATION_VALUE' if level == '1C' else 'BOA_QUANTIFICATION_VALUE'
    granule = root / 'GRANULE' / f'L{level}_T32TQM'
    stored = {}
    for i, band in enumerate(SENTINEL2_BANDS.values()):
        if level == '2A' and band.name == 'B10':
            continue
        array = numbers(1, SIZE * 10 // band.resolution, seed=i)[0]
        stored[band.name] = array
        padded = f'B{band.name[1:]:0>2}'
        image = granule / 'IMG_DATA'
        if level == '1C':
            file = image / f'T32TQM_20200604T100031_{padded}.jp2'
            write(file, array, band.resolution)
            continue
        for resolution in (10, 20, 60):
            if resolution >= band.resolution:
                step = resolution // band.resolution
                file = f'T32TQM_20200604T100031_{padded}_{resolution}m.jp2'
                folder = image / f'R{resolution}m'
                write(folder / file, array[::step, ::step].copy(), resolution)
    write(granule / 'IMG_DATA' / 'T32TQM_20200604T100031_TCI.jp2', numbers(1)[0])
    (root / f'MTD_MSIL{level}.xml').write_text(
        METADATA.format(
            name=name, scale=scale, quantification=quantification, offsets=offsets
        )
    )
    (granule / 'MTD_TL.xml').write_text('<x/>')
    return root, stored


def zipped(root):
    archive = root.with_suffix('.SAFE.zip')
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob('*')):
            file.write(path, path.relative_to(root.parent))
    return archive


@pytest.fixture(scope='module')
def safe(tmp_path_factory):
    return write_safe(tmp_path_factory.mktemp('safe'))


@pytest.fixture(scope='module')
def stack(tmp_path_factory):
    """A 13-band GeoTIFF and its numbers."""
    array = numbers()
    path = tmp_path_factory.mktemp('stack') / 'roi_20200604.tif'
    return write(path, array, tiled=True, blockxsize=16, blockysize=16), array


class TestFind:
    def test_thirteen_bands_in_order(self, stack):
        product = find_optical(stack[0])
        assert list(product.bands) == BANDS
        assert product.bands['B8A'] == BandFile(str(stack[0]), 9)
        assert product.name == 'roi_20200604'
        assert product.date == datetime(2020, 6, 4, tzinfo=UTC)
        assert product.offset is None
        assert product.nodata == 0
        assert product.clouds is None

    def test_twelve_bands_lack_b10(self, tmp_path):
        product = find_optical(write(tmp_path / 'l2a.tif', numbers(12)))
        assert list(product.bands) == [band for band in BANDS if band != 'B10']
        assert product.bands['B11'].index == 11
        assert product.date is None

    def test_descriptions_win_over_the_order(self, tmp_path):
        labels = [
            band.replace('B', 'B0', 1) if len(band) == 2 else band for band in BANDS
        ]
        path = write(tmp_path / 'a.tif', numbers(), labels=labels[::-1])
        product = find_optical(path)
        assert list(product.bands) == BANDS
        assert product.bands['B1'].index == 13

    def test_descriptions_allow_any_number(self, tmp_path):
        labels = ('B4', 'NDVI', 'B08, central wavelength 842 nm')
        product = find_optical(write(tmp_path / 'a.tif', numbers(3), labels=labels))
        assert {band: file.index for band, file in product.bands.items()} == {
            'B4': 1,
            'B8': 3,
        }

    def test_other_numbers_need_descriptions(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(4))
        with pytest.raises(SceneError, match=r'a\.tif: has 4 bands.*descriptions'):
            find_optical(path)

    def test_a_band_described_twice(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(2), labels=('B02', 'B2'))
        with pytest.raises(SceneError, match='has a band twice'):
            find_optical(path)

    def test_offset_and_nodata_of_tags(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(), nodata=65535)
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = [1e-4] * 13, [-0.1] * 13
        product = find_optical(path)
        assert (product.offset, product.nodata) == (1000, 65535)
        assert OpticalReader(product).offset == 1000

    def test_a_scale_without_offset_tells_that_there_is_none(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        with rasterio.open(path, 'r+') as file:
            file.scales = [1e-4] * 13
        assert find_optical(path).offset == 0

    def test_other_scales(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        with rasterio.open(path, 'r+') as file:
            file.scales = [2.75e-5] * 13
        with pytest.raises(SceneError, match=r'scale 2\.75e-05'):
            find_optical(path)
        with rasterio.open(path, 'r+') as file:
            file.scales = [1e-4] * 12 + [1]
        with pytest.raises(SceneError, match='different scale or offset'):
            find_optical(path)

    def test_folder_of_bands(self, tmp_path):
        folder = tmp_path / 'scene'
        for name in ('x_B01.tif', 'x_b2.TIF', 'x_B03_10m.jp2', 'x_B8a.tiff', 'B12.tif'):
            write(folder / name.replace('.TIF', '.tif'), numbers(1))
        write(folder / 'MSK_QUALIT_B04.jp2', numbers(1))
        write(folder / 'x_B05_20m_ndvi.tif', numbers(1))
        write(folder / 'x_SCL_20m.tif', numbers(1))
        product = find_optical(folder)
        assert list(product.bands) == ['B1', 'B2', 'B3', 'B8A', 'B12']
        assert product.name == 'scene'
        assert product.path == folder
        assert product.clouds is not None
        assert product.clouds.kind == 'scl'

    def test_the_finest_of_several_resolutions(self, tmp_path):
        write(tmp_path / 'x_B02_20m.tif', numbers(1, 36), 20)
        write(tmp_path / 'x_B02_10m.tif', numbers(1))
        write(tmp_path / 'x_B02_60m.tif', numbers(1, 12), 60)
        assert find_optical(tmp_path).bands['B2'].path.endswith('x_B02_10m.tif')

    def test_a_band_twice_with_one_resolution(self, tmp_path):
        write(tmp_path / 'x_B02.tif', numbers(1))
        write(tmp_path / 'y_B02.tif', numbers(1))
        with pytest.raises(SceneError, match=r'x_B02.*y_B02.*both hold B2'):
            find_optical(tmp_path)

    def test_list_of_bands(self, tmp_path):
        files = [
            write(tmp_path / f'T32_20200604T100031_{band}.tif', numbers(1), nodata=9)
            for band in ('B04', 'B03')
        ]
        product = find_optical(files)
        assert list(product.bands) == ['B3', 'B4']
        assert product.name == 'T32_20200604T100031'
        assert product.date == datetime(2020, 6, 4, 10, 0, 31, tzinfo=UTC)
        assert product.nodata == 9

    def test_files_that_contradict_each_other(self, tmp_path):
        write(tmp_path / 'x_B02.tif', numbers(1), nodata=1)
        write(tmp_path / 'x_B03.tif', numbers(1), nodata=2)
        with pytest.raises(SceneError, match='different nodata'):
            find_optical(tmp_path)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(SceneError, match=r'no\.tif: does not exist'):
            find_optical(tmp_path / 'no.tif')
        with pytest.raises(SceneError, match='holds no band files'):
            find_optical(tmp_path)
        with pytest.raises(ValueError, match='at least one'):
            find_optical([])

    def test_no_raster(self, tmp_path):
        path = tmp_path / 'a.tif'
        path.write_text('text')
        with pytest.raises(SceneError, match=r'a\.tif: cannot be read'):
            find_optical(path)

    def test_band_file_of_several_bands(self, tmp_path):
        path = write(tmp_path / 'x_B02.tif', numbers(3))
        with pytest.raises(SceneError, match=r'x_B02\.tif: has 3 bands; its name'):
            find_optical([path])


class TestSafe:
    @pytest.mark.parametrize('form', ['folder', 'zip', 'metadata'])
    def test_level_1c(self, safe, form):
        root, stored = safe
        path = {'folder': root, 'zip': None, 'metadata': root / 'MTD_MSIL1C.xml'}[form]
        product = find_optical(path or zipped(root))
        assert list(product.bands) == BANDS
        assert product.name == DATE
        assert product.offset == 1000
        assert product.date == datetime(2020, 6, 4, 10, 0, 31, 24000, tzinfo=UTC)
        assert product.nodata == 0
        reader = OpticalReader(product)
        image, valid = reader.read(reader.grid.all)
        assert image.dtype == np.uint16
        assert valid.all()
        for name, band in zip(reader.bands, image, strict=True):
            expected = full_size(stored[name], SENTINEL2_BANDS[name].resolution)
            np.testing.assert_array_equal(band, expected)

    def test_level_2a_takes_the_finest(self, tmp_path):
        root, stored = write_safe(tmp_path, '2A')
        product = find_optical(root)
        assert 'B10' not in product.bands
        assert product.bands['B2'].path.endswith('_B02_10m.jp2')
        assert product.bands['B1'].path.endswith('_B01_60m.jp2')
        assert product.offset == 1000
        reader = OpticalReader(product, ['B5', 'B4'])
        np.testing.assert_array_equal(
            reader.read(PixelBox(1, 3, 6, 5))[0][0],
            full_size(stored['B5'], 20)[3:5, 1:6],
        )
        # The images alone are a product, too, but tell no offset
        images = next(root.glob('GRANULE/*/IMG_DATA'))
        assert find_optical(images).bands == product.bands
        assert find_optical(images).offset is None

    def test_no_offset_before_baseline_4(self, tmp_path):
        assert find_optical(write_safe(tmp_path, offset=None)[0]).offset == 0

    def test_other_quantification(self, tmp_path):
        root, _ = write_safe(tmp_path, quantification=1000)
        with pytest.raises(
            SceneError, match=r'MTD_MSIL1C\.xml: .*quantification value'
        ):
            find_optical(root)

    def test_offsets_that_differ(self, tmp_path):
        root, _ = write_safe(tmp_path)
        file = root / 'MTD_MSIL1C.xml'
        file.write_text(file.read_text().replace('id="3">-1000', 'id="3">-999'))
        with pytest.raises(SceneError, match='different offset'):
            find_optical(root)
        file.write_text(file.read_text().replace('id="3">-999', 'id="3">x'))
        with pytest.raises(SceneError, match='RADIO_ADD_OFFSET that is no number'):
            find_optical(root)
        file.write_text('<a>')
        with pytest.raises(SceneError, match='no valid XML'):
            find_optical(root)

    def test_no_product(self, tmp_path):
        root = tmp_path / 'x.SAFE'
        root.mkdir()
        with pytest.raises(SceneError, match=r'x\.SAFE: has no MTD_MSIL1C'):
            find_optical(root)
        (root / 'MTD_MSIL1C.xml').write_text('<a/>')
        with pytest.raises(SceneError, match='holds 0 tiles'):
            find_optical(root)
        (root / 'GRANULE' / 'a').mkdir(parents=True)
        (root / 'GRANULE' / 'a' / 'b').write_text('')
        with pytest.raises(SceneError, match='no band files'):
            find_optical(root)
        archive = tmp_path / 'x.zip'
        archive.write_bytes(b'no zip')
        with pytest.raises(SceneError, match=r'x\.zip: cannot be read'):
            find_optical(archive)

    def test_two_products_in_a_zip(self, tmp_path):
        archive = tmp_path / 'two.zip'
        with zipfile.ZipFile(archive, 'w') as file:
            file.writestr('a.SAFE/MTD_MSIL1C.xml', '<a/>')
            file.writestr('b.SAFE/MTD_MSIL1C.xml', '<a/>')
        with pytest.raises(SceneError, match='holds 2 products'):
            find_optical(archive)

    def test_date_of_the_name_where_metadata_has_none(self, tmp_path):
        root, _ = write_safe(tmp_path)
        file = root / 'MTD_MSIL1C.xml'
        file.write_text(file.read_text().replace('2020-06-04T10:00:31.024Z', 'unknown'))
        date = find_optical(root).date
        assert date == datetime(2020, 6, 4, 10, 0, 31, tzinfo=UTC)


class TestRead:
    def test_windows_of_coarse_bands_are_those_of_the_repeated_image(self, safe):
        root, stored = safe
        bands = ['B9', 'B2', 'B11']
        reader = OpticalReader(find_optical(root), bands)
        whole = np.stack(
            [
                full_size(stored[band], SENTINEL2_BANDS[band].resolution)
                for band in bands
            ]
        )
        generator = np.random.default_rng(0)
        for _ in range(40):
            left, right = sorted(generator.choice(SIZE + 1, 2, replace=False))
            top, bottom = sorted(generator.choice(SIZE + 1, 2, replace=False))
            image, valid = reader.read(PixelBox(left, top, right, bottom))
            np.testing.assert_array_equal(image, whole[:, top:bottom, left:right])
            assert valid.shape == image.shape[1:]

    def test_the_grid_is_that_of_the_finest_selected_band(self, safe):
        reader = OpticalReader(find_optical(safe[0]), ['B9', 'B11'])
        assert (reader.grid.width, reader.grid.transform.a) == (SIZE // 2, 20)
        assert reader.grid.crs.to_epsg() == 32632
        assert reader.grid.bounds == (6e5, 5e6 - SIZE * 10, 6e5 + SIZE * 10, 5e6)

    def test_a_crop_may_cut_coarse_pixels(self, tmp_path):
        coarse, fine = numbers(1, 3)[0], numbers(1, 16)[0]
        write(tmp_path / 'x_B01.tif', coarse, 60)
        write(tmp_path / 'x_B02.tif', fine)
        reader = OpticalReader(find_optical(tmp_path), offset=0)
        image, _ = reader.read(PixelBox(11, 3, 16, 16))
        np.testing.assert_array_equal(image[0], full_size(coarse, 60)[3:16, 11:16])
        np.testing.assert_array_equal(image[1], fine[3:16, 11:16])

    def test_bands_of_one_file_in_any_order(self, stack):
        path, array = stack
        reader = OpticalReader(find_optical(path), ['B12', 'B1', 'B8A'], offset=0)
        image, valid = reader.read(PixelBox(3, 5, 40, 41))
        np.testing.assert_array_equal(image, array[[12, 0, 8], 5:41, 3:40])
        assert valid.all()

    def test_all_bands_of_the_product_by_default(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        assert OpticalReader(product, offset=0).bands == tuple(product.bands)

    def test_missing_pixels(self, tmp_path):
        array = numbers()
        array[:, 0, 0] = 0
        array[3, 1, 1] = 0
        array[BANDS.index('B10'), 2, 2] = 0
        reader = OpticalReader(find_optical(write(tmp_path / 'a.tif', array)))
        _, valid = reader.read(reader.grid.all)
        assert np.argwhere(~valid).tolist() == [[0, 0], [1, 1]]

    def test_missing_pixels_of_b10_count_alone_or_if_declared(self, tmp_path):
        array = numbers()
        array[BANDS.index('B10'), 2, 2] = 0
        array[BANDS.index('B10'), 3, 3] = 65535
        path = write(tmp_path / 'a.tif', array)
        only = OpticalReader(find_optical(path), ['B10'], offset=0)
        assert np.argwhere(~only.read(only.grid.all)[1]).tolist() == [[2, 2]]
        with rasterio.open(path, 'r+') as file:
            file.nodata = 65535
        every = OpticalReader(find_optical(path), offset=0)
        assert np.argwhere(~every.read(every.grid.all)[1]).tolist() == [[3, 3]]

    @pytest.mark.parametrize('nodata', [None, np.nan])
    def test_missing_pixels_of_floats(self, tmp_path, nodata):
        array = numbers().astype(np.float32)
        array[2, 4, 5] = np.nan
        path = write(tmp_path / 'a.tif', array, nodata=nodata)
        reader = OpticalReader(find_optical(path), offset=0)
        image, valid = reader.read(reader.grid.all)
        assert image.dtype == np.float32
        assert np.argwhere(~valid).tolist() == [[4, 5]]

    @pytest.mark.parametrize(('low', 'offset'), [(1004, 1000), (3, 0)])
    def test_b10_tells_the_offset(self, tmp_path, low, offset):
        array = numbers()
        array[BANDS.index('B10')] = low
        array[:, :, :9] = 0
        # A few pixels as averaged overviews mix them with missing ones
        array[BANDS.index('B10'), 0, 9:20] = 400
        path = write(tmp_path / 'a.tif', array)
        assert OpticalReader(find_optical(path)).offset == offset
        # Though B10 is not selected
        assert OpticalReader(find_optical(path), ['B2']).offset == offset
        assert OpticalReader(find_optical(path), offset=7).offset == 7

    def test_no_b10_and_no_offset(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        with pytest.raises(
            SceneError, match=r'a\.tif: has no B10.*Give `offset`: 1000'
        ):
            OpticalReader(product)

    def test_empty_b10(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers() * np.uint16(0)))
        with pytest.raises(SceneError, match='missing everywhere'):
            OpticalReader(product)

    def test_reflectances(self, tmp_path):
        array = (numbers() / 1e4).astype(np.float32)
        with pytest.raises(SceneError, match=r'a\.tif: holds reflectances.*10000'):
            OpticalReader(find_optical(write(tmp_path / 'a.tif', array)))

    def test_missing_band(self, tmp_path):
        product = find_optical(write(tmp_path / 'a.tif', numbers(12)))
        with pytest.raises(SceneError, match=r'a\.tif: has no B10\. Choose.*B8A'):
            OpticalReader(product, ['B10', 'B2'], offset=0)
        with pytest.raises(ValueError, match='B13'):
            OpticalReader(product, ['B13'], offset=0)

    @pytest.mark.parametrize(
        ('size', 'options', 'message'),
        [
            (36, {'resolution': 20, 'crs': 'EPSG:32633'}, r'is in EPSG:32633'),
            (36, {'resolution': 20, 'x': 600_020}, r'upper-left corner'),
            (48, {'resolution': 15}, r'multiple'),
            (35, {'resolution': 20}, r'is 35×35 pixels large.*36×36'),
        ],
    )
    def test_bands_that_do_not_lie_on_each_other(
        self, tmp_path, size, options, message
    ):
        write(tmp_path / 'x_B02.tif', numbers(1))
        write(tmp_path / 'x_B05.tif', numbers(1, size), **options)
        product = find_optical(tmp_path)
        with pytest.raises(SceneError, match=rf'x_B05\.tif: .*{message}'):
            OpticalReader(product, offset=0)
        assert OpticalReader(product, ['B5'], offset=0).grid.width == size

    def test_no_place_and_no_numbers(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(), crs=None)
        with pytest.raises(SceneError, match='no coordinate reference system'):
            OpticalReader(find_optical(path), offset=0)
        path = write(tmp_path / 'b.tif', numbers().astype(np.complex64))
        with pytest.raises(SceneError, match='holds complex64'):
            OpticalReader(find_optical(path), offset=0)

    def test_windows_beyond_the_scene(self, stack):
        reader = OpticalReader(find_optical(stack[0]), offset=0)
        for window in ((0, 0, SIZE + 1, 1), (-1, 0, 1, 1), (5, 5, 5, 6)):
            with pytest.raises(ValueError, match='empty or reaches beyond'):
                reader.read(PixelBox(*window))

    def test_a_damaged_file(self, tmp_path):
        array = numbers(1)
        for band in ('B02', 'B03'):
            write(tmp_path / f'x_{band}.tif', array, compress='deflate')
        reader = OpticalReader(find_optical(tmp_path), offset=0)
        path = tmp_path / 'x_B03.tif'
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(SceneError, match=r'x_B03\.tif: cannot be read'):
            reader.read(reader.grid.all)
        path.unlink()
        reader.close()
        with pytest.raises(SceneError, match=r'x_B03\.tif: cannot be read'):
            reader.read(reader.grid.all)


def _read_in_child(reader, window, queue):
    queue.put(reader.read(window)[0])


class TestProcesses:
    def test_pickling(self, safe):
        reader = OpticalReader(find_optical(safe[0]), ['B2', 'B1'])
        window = PixelBox(5, 6, 20, 30)
        image, _ = reader.read(window)
        copy = pickle.loads(pickle.dumps(reader))
        assert (copy.offset, copy.bands, copy.grid) == (1000, ('B2', 'B1'), reader.grid)
        np.testing.assert_array_equal(copy.read(window)[0], image)

    def test_few_readers_have_files_open(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers())
        readers = [OpticalReader(find_optical(path), offset=0) for _ in range(20)]
        for _ in range(2):
            images = [reader.read(reader.grid.all)[0] for reader in readers]
        assert all((image == images[0]).all() for image in images)
        assert len(rasters._recent) == rasters._READERS
        assert [bool(reader._files._open) for reader in readers] == (
            [False] * 4 + [True] * 16
        )

    def test_forked_after_reading(self, stack):
        reader = OpticalReader(find_optical(stack[0]), offset=0)
        image, _ = reader.read(reader.grid.all)
        context = multiprocessing.get_context('fork')
        queue = context.Queue()
        child = context.Process(
            target=_read_in_child, args=(reader, reader.grid.all, queue)
        )
        child.start()
        try:
            np.testing.assert_array_equal(queue.get(timeout=20), image)
        finally:
            child.kill()
            child.join()
