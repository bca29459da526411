# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""`verify`: what is wrong, though it is read all the same, and the real sample."""

import os
from pathlib import Path

import numpy as np
import pytest
from osfcr_files import X, arrays, path_of, write_chip, write_tif

from torchgeo_tdpcr.datasets import OSFCR
from torchgeo_tdpcr.datasets.chips.verify import Fault, verify

DATA = arrays()


class TestHarmless:
    def test_cloudy_equals_clear(self, root: Path) -> None:
        paths = write_chip(root)
        paths['s2_cloudy'].write_bytes(paths['s2'].read_bytes())
        (fault,) = verify(root)
        assert (fault.path, fault.kind) == (
            str(paths['s2_cloudy']),
            'cloudy equals clear',
        )
        assert fault.effect == 'read'
        assert len(OSFCR(root)) == 1

    def test_copy_of_another_layer(self, root: Path) -> None:
        paths = write_chip(root)
        paths['s1'].write_bytes(paths['land_cover_maps'].read_bytes())
        faults = verify(root)
        assert [fault.kind for fault in faults] == ['bands', 'copy']
        assert {fault.path for fault in faults} == {str(paths['s1'])}
        (copy,) = (fault for fault in faults if fault.kind == 'copy')
        assert str(paths['land_cover_maps']) in copy.message

    def test_the_same_file_for_two_chips_is_none(self, root: Path) -> None:
        write_chip(root)
        write_chip(root, '20%-40%')
        assert verify(root) == []

    def test_two_layers_of_zeros_are_none(self, root: Path) -> None:
        paths = write_chip(root, layers=(*DATA,))
        for layer in ('cloud_detection_results', 'cloud_thickness'):
            write_tif(paths[layer], np.zeros_like(DATA[layer]))
        assert verify(root) == []

    def test_names(self, root: Path) -> None:
        paths = write_chip(root)
        wrong = paths['s2_cloudy'].rename(
            paths['s2_cloudy'].with_name('ROIs_01_s2_p1.tif')
        )
        rival = paths['s1'].with_name('ROIs_01_s2_p1.tif')
        rival.write_bytes(b'')
        other = paths['s1'].with_name('readme.txt')
        other.write_text('')
        faults = verify(root)
        assert [(fault.path, fault.kind) for fault in faults] == [
            (str(path), 'name') for path in sorted((wrong, rival, other))
        ]
        assert all(fault.effect == 'read' for fault in faults)
        assert 'ROIs_01_s2_cloudy_p1.tif' in faults[-1].message

    def test_missing_optional_layer(self, root: Path) -> None:
        write_chip(root, layers=(*DATA,))
        write_chip(root, patch=2, x=X + 5000)
        (fault,) = verify(root)
        assert (fault.kind, fault.effect) == ('missing', 'read')
        assert 'cloud_thickness' in fault.path


def test_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='holds no data set'):
        verify(tmp_path)


def test_fault_says_what_happens(root: Path) -> None:
    fault = Fault('a.tif', 'grid', 'is shifted', 'error')
    assert str(fault) == 'a.tif: grid: is shifted [error on reading]'
    assert fault.as_dict()['kind'] == 'grid'


def test_distributors_sample() -> None:
    folder = Path(os.environ.get('TDPCR_SAMPLES', ''), 'osfcr_sample')
    if not os.environ.get('TDPCR_SAMPLES') or not folder.is_dir():
        pytest.skip('TDPCR_SAMPLES does not name the folder of real samples')
    root = folder / 'LuojiaSET-OSFCR'
    found = {
        (str(Path(fault.path).relative_to(root)), fault.kind)
        for fault in verify(folder)
    }
    equal = {
        ('0-20%/s2_cloudy/ROIs_01_s2_p4.tif', 'cloudy equals clear'),
        ('20%-40%/s2_cloudy/ROIs_01_s2_cloudy_p3.tif', 'cloudy equals clear'),
        ('40%-60%/s2_cloudy/ROIs_01_s2_p1.tif', 'cloudy equals clear'),
        ('60%-80%/s2_cloudy/ROIs_01_s2_p22.tif', 'cloudy equals clear'),
        ('80%-100%/s2_cloudy/ROIs_01_s2_p23.tif', 'cloudy equals clear'),
    }
    missing = {
        ('0-20%/cloud_detection_results/ROIs_01_s2_cloudy_p4.tif', 'missing'),
        ('80%-100%/cloud_detection_results/ROIs_01_s2_cloudy_p23.tif', 'missing'),
        *(
            (str(path_of(root, layer, '80%-100%', 1, 22).relative_to(root)), 'missing')
            for layer in ('s2_cloudy', 's2', 's1', 'land_cover_maps')
        ),
    }
    copies = {
        ('20%-40%/s2/ROIs_01_s2_cloudy_p3.tif', 'copy'),
        ('20%-40%/s1/ROIs_01_s2_cloudy_p3.tif', 'copy'),
        ('20%-40%/land_cover_maps/ROIs_01_s2_cloudy_p3.tif', 'copy'),
        ('40%-60%/s2/ROIs_01_s2_p1.tif', 'copy'),
        ('40%-60%/s1/ROIs_01_s2_p1.tif', 'copy'),
        ('80%-100%/cloud_detection_results/ROIs_01_s2_p22.tif', 'copy'),
    }
    bands = {
        ('20%-40%/s2_cloudy/ROIs_01_s2_cloudy_p3.tif', 'bands'),
        ('20%-40%/s2/ROIs_01_s2_cloudy_p3.tif', 'bands'),
        ('20%-40%/s1/ROIs_01_s2_cloudy_p3.tif', 'bands'),
        ('40%-60%/s2_cloudy/ROIs_01_s2_p1.tif', 'bands'),
        ('40%-60%/s2/ROIs_01_s2_p1.tif', 'bands'),
        ('40%-60%/s1/ROIs_01_s2_p1.tif', 'bands'),
        ('80%-100%/cloud_detection_results/ROIs_01_s2_p22.tif', 'bands'),
    }
    others = {
        ('20%-40%/land_cover_maps/ROIs_01_s2_cloudy_p3.tif', 'dtype'),
        ('40%-60%/s2_cloudy/ROIs_01_s2_p1.tif', 'unreadable'),
    }
    names = {
        ('0-20%/s2_cloudy/ROIs_01_s2_p4.tif', 'name'),
        ('20%-40%/s2/ROIs_01_s2_cloudy_p3.tif', 'name'),
        ('20%-40%/s1/ROIs_01_s2_cloudy_p3.tif', 'name'),
        ('20%-40%/land_cover_maps/ROIs_01_s2_cloudy_p3.tif', 'name'),
        ('40%-60%/s2_cloudy/ROIs_01_s2_p1.tif', 'name'),
        ('40%-60%/s1/ROIs_01_s2_p1.tif', 'name'),
        ('60%-80%/s2_cloudy/ROIs_01_s2_p22.tif', 'name'),
        ('80%-100%/s2_cloudy/ROIs_01_s2_p23.tif', 'name'),
        ('80%-100%/cloud_detection_results/ROIs_01_s2_p22.tif', 'name'),
    }
    assert found == equal | missing | copies | bands | others | names
