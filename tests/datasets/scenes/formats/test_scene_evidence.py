# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What tells the offset of a product is compared, and the digital numbers come out."""

import numpy as np
import pytest
import rasterio
from optical_files import BANDS, DATE, numbers, write, write_safe, zipped

from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader

OLD, NEW = DATE.replace('N0400', 'N0209'), DATE.replace('N0400', 'N0509')


def offset_of(path, **options):
    return OpticalReader(find_optical(path), **options).offset


def refused(path, *messages):
    """The offset cannot be told, whatever else can; saying it decides."""
    with pytest.raises(SceneError) as error:
        offset_of(path)
    for message in (*messages, 'Give `offset`: 1000'):
        assert message in str(error.value)
    for offset in (0, 1000):
        assert offset_of(path, offset=offset) == offset


def edited(root, old, new, level='1C'):
    file = root / f'MTD_MSIL{level}.xml'
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return root


def tagged(path, scales, offsets):
    with rasterio.open(path, 'r+') as file:
        file.scales, file.offsets = scales, offsets
    return path


def stack(path, b10, low=1000, **options):
    array = numbers(low=low, **options)
    array[BANDS.index('B10')] = b10
    return write(path, array)


class TestSafe:
    def test_name_against_the_lack_of_offsets(self, tmp_path):
        root, _ = write_safe(tmp_path, offset=None, name=NEW)
        words = 'contradicts itself', 'baseline 05.09', NEW, 'lack of RADIO_ADD_OFFSET'
        refused(root, *words)
        refused(zipped(root), *words)
        refused(root / 'MTD_MSIL1C.xml', *words)

    def test_the_zip_may_have_another_name(self, tmp_path):
        root, _ = write_safe(tmp_path, offset=None, name=NEW)
        refused(zipped(root).rename(tmp_path / 'download.zip'), 'baseline 05.09')

    @pytest.mark.parametrize('text', ['<a/>', '<a><b>1</b></a>'])
    @pytest.mark.parametrize('name', [OLD, NEW, 'x'])
    def test_metadata_that_are_none(self, tmp_path, text, name):
        root, _ = write_safe(tmp_path, name=name)
        (root / 'MTD_MSIL1C.xml').write_text(text)
        refused(root, 'no quantification value: damaged')

    def test_name_against_offsets(self, tmp_path):
        refused(write_safe(tmp_path, name=OLD)[0], 'baseline 02.09', 'RADIO_ADD_OFFSET')

    def test_baseline_in_the_metadata(self, tmp_path):
        root, _ = write_safe(tmp_path, offset=None, name='x')
        tag = '<PROCESSING_BASELINE>{}</PROCESSING_BASELINE></Product_Info>'
        edited(root, '</Product_Info>', tag.format('05.10'))
        refused(root, "baseline 05.10 in 'MTD_MSIL1C.xml' means offset 1000")
        # That of products which people process themselves tells nothing
        bands = ['B2', 'B3']
        assert offset_of(edited(root, '05.10', '99.99'), bands=bands) == 0
        assert offset_of(edited(root, '99.99', '02.04'), bands=bands) == 0

    def test_name_in_the_metadata(self, tmp_path):
        root, _ = write_safe(tmp_path, name=NEW)
        edited(root, NEW, OLD)
        refused(root, 'baseline 02.09', 'baseline 05.09')

    @pytest.mark.parametrize('level', ['1C', '2A'])
    def test_a_list_that_is_partly_there(self, tmp_path, level):
        root, _ = write_safe(tmp_path, level)
        kind = 'RADIO' if level == '1C' else 'BOA'
        item = f'<{kind}_ADD_OFFSET band_id="{{}}">-1000</{kind}_ADD_OFFSET>'
        # Level 2A has 12 bands, and 13 or 12 in the list
        for i in range(2):
            edited(root, item.format(i), '', level)
        refused(root, f'{kind}_ADD_OFFSET', 'for 11 of 1')

    @pytest.mark.parametrize('offset', [-500, 1000, -100, 'inf', 'nan', -1e300])
    def test_offsets_that_no_baseline_has(self, tmp_path, offset):
        refused(write_safe(tmp_path, offset=offset)[0], 'no offset that there is')

    @pytest.mark.parametrize(
        ('name', 'offset', 'expected'),
        [
            (OLD, None, 0),
            (DATE.replace('N0400', 'N0301'), None, 0),
            (OLD, 0, 0),
            (DATE, -1000, 1000),
            (NEW, -1000.0, 1000),
            (DATE.replace('N0400', 'N9999'), None, 0),
            (DATE.replace('N0400', 'N9999'), -1000, 1000),
            ('renamed', None, 0),
            ('renamed', -1000, 1000),
        ],
    )
    @pytest.mark.parametrize('level', ['1C', '2A'])
    def test_what_agrees(self, tmp_path, level, name, offset, expected):
        root, _ = write_safe(tmp_path, level, offset, name=name)
        assert offset_of(root, bands=['B2', 'B3']) == expected

    @pytest.mark.parametrize('year', ['0001', '9999', '1970'])
    def test_years_without_sentinel(self, tmp_path, year):
        root, _ = write_safe(tmp_path)
        edited(root, '2020-06-04T10:00:31', f'{year}-01-01T00:00:00')
        with pytest.raises(SceneError, match=rf"MTD_MSIL1C\.xml': tells {year}-01-01"):
            find_optical(root)


class TestTags:
    @pytest.mark.parametrize('b10', [13, 0])
    def test_tags_against_the_numbers(self, tmp_path, b10):
        # Harmonised numbers, tags as of the product that they were made from
        path = stack(tmp_path / 'a.tif', b10, low=40)
        tagged(path, [1e-4] * 13, [-0.1] * 13)
        refused(path, 'scale and offset tags', 'means offset 0')

    def test_tags_against_the_numbers_of_level_2a(self, tmp_path):
        path = write(tmp_path / 'a.tif', numbers(12, low=40, high=1800))
        tagged(path, [1e-4] * 12, [-0.1] * 12)
        refused(path, 'scale and offset tags', '25% of it at most')

    def test_tags_without_offset_against_b10(self, tmp_path):
        path = stack(tmp_path / 'a.tif', 1013)
        refused(tagged(path, [1e-4] * 13, [0] * 13), 'band B10 (not below 1013)')

    def test_tags_that_agree(self, tmp_path):
        path = stack(tmp_path / 'a.tif', 1013)
        assert offset_of(tagged(path, [1e-4] * 13, [-0.1] * 13)) == 1000
        path = stack(tmp_path / 'b.tif', 13, low=40)
        assert offset_of(tagged(path, [1e-4] * 13, [0] * 13)) == 0
        # Dark water of level 2A, corrected too far: below 0 in a fifth
        array = numbers(12, low=1000, high=3000)
        array[:, :14] = 880
        path = write(tmp_path / 'c.tif', array)
        assert offset_of(tagged(path, [1e-4] * 12, [-0.1] * 12)) == 1000

    @pytest.mark.parametrize('offset', [-0.05, -1, 0.1, float('inf'), float('nan')])
    def test_offsets_that_no_baseline_has(self, tmp_path, offset):
        path = stack(tmp_path / 'a.tif', 1013)
        refused(tagged(path, [1e-4] * 13, [offset] * 13), 'no offset that there is')

    def test_single_bands_with_different_tags(self, tmp_path):
        for band in ('B02', 'B03', 'B04'):
            write(tmp_path / f'x_{band}.tif', numbers(1))
        tagged(tmp_path / 'x_B02.tif', [1e-4], [-0.1])
        refused(tmp_path, 'tags of 1 of 3 bands only')
        tagged(tmp_path / 'x_B03.tif', [1e-4], [0])
        tagged(tmp_path / 'x_B04.tif', [1e-4], [-0.1])
        refused(tmp_path, 'tags of its bands (0 to 1000)')
        tagged(tmp_path / 'x_B03.tif', [1e-4], [-0.1])
        assert offset_of(tmp_path) == 1000

    def test_tags_of_what_is_no_band_do_not_count(self, tmp_path):
        labels = ('B2', 'B3', 'NDVI')
        path = write(tmp_path / 'a.tif', numbers(3), labels=labels)
        assert offset_of(tagged(path, [1e-4, 1e-4, 2.5], [-0.1, -0.1, -7])) == 1000


class TestNames:
    def test_name_against_b10(self, tmp_path):
        refused(stack(tmp_path / f'{NEW}.tif', 13, low=40), 'baseline 05.09', 'B10')
        refused(stack(tmp_path / f'{OLD}.tif', 1013), 'baseline 02.09', 'B10')
        assert offset_of(stack(tmp_path / f'{NEW}_x.tif', 1013)) == 1000
        assert offset_of(stack(tmp_path / f'{OLD}_x.tif', 13, low=40)) == 0

    def test_a_name_does_not_suffice(self, tmp_path):
        path = write(tmp_path / f'{NEW.replace("1C", "2A")}.tif', numbers(12))
        refused(path, 'has no B10')

    def test_coordinates_are_no_baseline(self, tmp_path):
        assert offset_of(stack(tmp_path / 'S2_N4821_E1130.tif', 13, low=40)) == 0

    def test_cirrus_on_numbers_without_offset(self, tmp_path):
        # Dark ground tells what cirrus hides in B10
        assert offset_of(stack(tmp_path / 'a.tif', 960, low=300, high=4000)) == 0
        refused(
            stack(tmp_path / 'b.tif', 960, low=1100), 'cirrus lifts B10', '`offset`'
        )
        refused(stack(tmp_path / 'c.tif', 1013, low=300), 'B10', 'means offset 0')

    def test_thick_cirrus(self, tmp_path):
        # Cirrus lifts B11 and B12 more than B10, so an offset must be in B10
        assert offset_of(stack(tmp_path / 'a.tif', 1500, low=1700)) == 1000
        refused(
            stack(tmp_path / 'b.tif', 1500, low=2200, high=6000), 'cirrus lifts B10'
        )


@pytest.mark.parametrize('offset', [500, 100, -1000, float('inf'), float('nan'), 'x'])
def test_given_offsets_that_no_baseline_has(tmp_path, offset):
    product = find_optical(stack(tmp_path / 'a.tif', 13, low=40))
    with pytest.raises(
        ValueError, match=rf'`offset={offset!r}`: no processing baseline'
    ):
        OpticalReader(product, offset=offset)


def test_the_numbers_that_come_out(tmp_path):
    """Reflectance of 0.0500 is 500, whatever the product carries and however it says so."""
    for offset, name in ((0, OLD), (1000, NEW)):
        array = np.full((13, 16, 16), 500 + offset, np.uint16)
        array[BANDS.index('B10')] = 8 + offset
        path = write(tmp_path / f'{name}.tif', array)
        reader = OpticalReader(find_optical(path), ['B4'])
        image, valid = reader.read(reader.grid.all)
        assert valid.all()
        assert (image - reader.offset == 500).all()
