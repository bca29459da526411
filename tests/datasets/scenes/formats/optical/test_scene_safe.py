# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of finding the bands of ESA's SAFE products, as a folder or a zip."""

import zipfile
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZipExtFile, ZipFile

import numpy as np
import pytest
from optical_files import (
    BANDS,
    DATE,
    full_size,
    write_safe,
    zipped,
)

from torchgeo_tdpcr.datasets.grids import PixelBox
from torchgeo_tdpcr.datasets.scenes.common import SceneError
from torchgeo_tdpcr.datasets.scenes.formats.listing import optical_in
from torchgeo_tdpcr.datasets.scenes.formats.optical import safe as reader
from torchgeo_tdpcr.datasets.scenes.formats.optical.safe import read_xml
from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.opening import size_fault
from torchgeo_tdpcr.datasets.scenes.windows.optical import OpticalReader
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS


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
        # The images alone are a product, too; the metadata around them tell the offset
        images = next(root.glob('GRANULE/*/IMG_DATA'))
        assert optical_in(images) == [images]
        assert find_optical(images).bands == product.bands
        assert find_optical(images).date == product.date
        assert OpticalReader(find_optical(images)).offset == 1000
        alone = images.rename(tmp_path / 'images')
        assert find_optical(alone).bands.keys() == product.bands.keys()
        assert find_optical(alone).offset is None

    @pytest.mark.parametrize('resolution', [10, 20, 60])
    def test_the_folder_of_a_resolution(self, tmp_path, resolution):
        root, _ = write_safe(tmp_path, '2A')
        folder = next(root.glob(f'GRANULE/*/IMG_DATA/R{resolution}m'))
        reader = OpticalReader(find_optical(folder))
        assert reader.grid.xres == resolution
        assert reader.offset == 1000
        assert bool(size_fault(reader.grid)) == (resolution != 10)

    @pytest.mark.parametrize(
        'name',
        [
            'MTD_MSIL1c.xml',
            'mtd_msil1c.xml',
            'S2A_USER_MTD_SAFL1C_PDMC_20160101T000000_R022_V20151231T100000.xml',
            'S2A_OPER_MTD_SAFL1C_PDMC_20160101T000000_R022_V20151231T100000.xml',
        ],
    )
    @pytest.mark.parametrize('given', ['folder', 'file', 'zip', 'renamed'])
    def test_names_of_metadata(self, tmp_path, name, given):
        root, stored = write_safe(tmp_path)
        (root / 'MTD_MSIL1C.xml').rename(root / name)
        path = {'folder': root, 'file': root / name, 'zip': root, 'renamed': root}[
            given
        ]
        if given == 'zip':
            path = zipped(root)
        elif given == 'renamed':
            path = root.rename(tmp_path / 'product')
        assert optical_in(tmp_path)
        product = find_optical(path)
        assert (product.form, product.offset) == ('safe', 1000)
        assert list(product.bands) == list(stored)

    def test_no_offset_before_baseline_4(self, tmp_path):
        old = DATE.replace('N0400', 'N0209')
        assert find_optical(write_safe(tmp_path, offset=None, name=old)[0]).offset == 0

    def test_other_quantification(self, tmp_path):
        root, _ = write_safe(tmp_path, quantification=1000)
        with pytest.raises(
            SceneError, match=r"MTD_MSIL1C\.xml': .*quantification value"
        ):
            find_optical(root)

    def test_offsets_that_differ(self, tmp_path):
        root, _ = write_safe(tmp_path)
        file = root / 'MTD_MSIL1C.xml'
        file.write_text(file.read_text().replace('id="3">-1000', 'id="3">-999'))
        with pytest.raises(SceneError, match=r'RADIO_ADD_OFFSET .*999 to 1000'):
            OpticalReader(find_optical(root))
        assert OpticalReader(find_optical(root), offset=1000).offset == 1000
        file.write_text(file.read_text().replace('id="3">-999', 'id="3">x'))
        with pytest.raises(SceneError, match='RADIO_ADD_OFFSET that is no number'):
            find_optical(root)
        file.write_text('<a>')
        with pytest.raises(SceneError, match='no valid XML'):
            find_optical(root)

    def test_no_product(self, tmp_path):
        root = tmp_path / 'x.SAFE'
        root.mkdir()
        with pytest.raises(SceneError, match=r"x\.SAFE': has no MTD_MSIL1C"):
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
        with pytest.raises(SceneError, match=r"x\.zip': cannot be read"):
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


class TestXML:
    """Files that are made to harm."""

    @pytest.mark.parametrize(
        ('start', 'message'),
        [
            ('<!DOCTYPE a [<!ENTITY b "c">]>', 'it has a document type'),
            ('<!DOCTYPE a SYSTEM "file:///etc/hostname">', 'it has a document type'),
            ('<?xml version="1.0" encoding="rot13"?>', 'rot13'),
            ('<?xml version="1.0" encoding="nope"?>', 'unknown encoding'),
        ],
    )
    def test_refused(self, tmp_path, start, message):
        path = tmp_path / 'a.xml'
        path.write_text(f'{start}<a>&b;</a>')
        with pytest.raises(SceneError, match=rf"a\.xml': is no valid XML .*{message}"):
            read_xml(str(path))

    def test_read(self, tmp_path):
        path = tmp_path / 'a.xml'
        text = '<?xml version="1.0" encoding="utf-16"?><a>ä</a>'
        path.write_bytes(text.encode('utf-16'))
        assert read_xml(str(path)).text == 'ä'

    def test_a_zip_bomb(self, tmp_path, monkeypatch):
        monkeypatch.setattr(reader, '_LARGEST_XML', 2**20)
        text = f'<a>{" " * 2**23}</a>'
        with ZipFile(tmp_path / 'a.zip', 'w', ZIP_DEFLATED) as archive:
            archive.writestr('a.xml', text)
            archive.writestr('b.xml', text[-(2**20) :])
        (tmp_path / 'a.xml').write_text(text)
        asked = []
        read = ZipExtFile.read

        def noted(self, n=-1):
            asked.append(n)
            return read(self, n)

        monkeypatch.setattr(ZipExtFile, 'read', noted)
        for path in (f'/vsizip/{{{tmp_path}/a.zip}}/a.xml', str(tmp_path / 'a.xml')):
            with pytest.raises(SceneError, match=r"a\.xml': is larger than 1 MB"):
                read_xml(path)
        # It is not unpacked as a whole
        assert asked == [2**20 + 1]
        # What is as large as may be is read
        with pytest.raises(SceneError, match='is no valid XML'):
            read_xml(f'/vsizip/{{{tmp_path}/a.zip}}/b.xml')

    def test_a_locked_zip(self, tmp_path):
        path = tmp_path / 'a.zip'
        with ZipFile(path, 'w') as archive:
            archive.writestr('a.xml', '<a/>')
        content = bytearray(path.read_bytes())
        for mark, place in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
            content[content.index(mark) + place] |= 1
        path.write_bytes(content)
        with pytest.raises(SceneError, match=r'cannot be read .*encrypted'):
            read_xml(f'/vsizip/{{{path}}}/a.xml')
