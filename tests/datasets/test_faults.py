# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Broken data: the datasets name the file, and `verify` finds it beforehand."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from osfcr_files import X, Y, arrays, path_of, write_chip, write_strip, write_tif

from torchgeo_tdpcr.datasets import OSFCR, CorruptChipError
from torchgeo_tdpcr.datasets.verify import Fault, verify

Paths = dict[str, Path]


def truncated(layer: str) -> Callable[[Paths], Path]:
    def break_it(paths: Paths) -> Path:
        data = paths[layer].read_bytes()
        paths[layer].write_bytes(data[: len(data) * 2 // 3])
        return paths[layer]

    return break_it


def replaced(layer: str, array: np.ndarray, **options: object) -> Callable:
    def break_it(paths: Paths) -> Path:
        return write_tif(paths[layer], array, **options)  # type: ignore[arg-type]

    return break_it


def garbage(paths: Paths) -> Path:
    paths['s2'].write_bytes(b'no picture')
    return paths['s2']


DATA = arrays()
NAN, INF, LABEL = DATA['s1'].copy(), DATA['s1'].copy(), DATA['land_cover_maps'].copy()
NAN[1, 3, 4], INF[0, 0, 0], LABEL[0, 5, 5] = np.nan, -np.inf, 9
NEGATIVE = DATA['land_cover_maps'].astype('int16')
NEGATIVE[0, 0, 0] = -1
CLOUD = DATA['cloud_detection_results'] * 255

ON_READING = {
    'unreadable': (garbage, 'unreadable', 'cannot be read'),
    'truncated optical': (truncated('s2'), 'truncated', 'cannot be read'),
    'truncated reference': (truncated('s2_cloudy'), 'truncated', 'cannot be read'),
    'truncated radar': (truncated('s1'), 'truncated', 'cannot be read'),
    'bands': (replaced('s2', DATA['s2'][:12]), 'bands', 'has 12 bands'),
    'radar bands': (replaced('s1', DATA['s1'][:1]), 'bands', 'has 1 band, .* has 2'),
    'type': (replaced('s1', DATA['s2'][:2]), 'dtype', 'holds uint16'),
    'labels of another type': (
        replaced('land_cover_maps', DATA['cloud_detection_results']),
        'dtype',
        'holds float32',
    ),
    'NaN': (replaced('s1', NAN), 'values', '1 NaN or infinite'),
    'infinite': (replaced('s1', INF), 'values', '1 NaN or infinite'),
    'labels': (replaced('land_cover_maps', LABEL), 'values', r'labels \[9\]'),
    'negative label': (replaced('land_cover_maps', NEGATIVE), 'values', r'\[-1\]'),
    'cloud values': (replaced('cloud_detection_results', CLOUD), 'values', r'\[255'),
    'size': (replaced('s2', DATA['s2'][:, :16]), 'grid', '32×16 pixels'),
    'shift': (replaced('s1', DATA['s1'], x=X + 5), 'grid', r'\+5\.00 m east'),
    'pixel size': (replaced('s1', DATA['s1'], res=20), 'grid', '20×20'),
    'zone': (replaced('s1', DATA['s1'], crs='EPSG:32633'), 'grid', 'EPSG:32633'),
}


@pytest.mark.parametrize('name', ON_READING)
def test_reading_names_the_file_and_verify_finds_it(root: Path, name: str) -> None:
    break_it, kind, message = ON_READING[name]
    paths = write_chip(root)
    write_chip(root, patch=2, x=X + 5000)
    path = break_it(paths)
    dataset = OSFCR(root)
    assert len(dataset) == 2
    with pytest.raises(CorruptChipError, match=message) as error:
        dataset[0]
    assert str(path) in str(error.value)
    assert 'torchgeo-tdpcr verify' in str(error.value)
    assert dataset[1]['epsg'] == 32755

    faults = [fault for fault in verify(root) if fault.path == str(path)]
    assert [fault.kind for fault in faults] == [kind]
    assert faults[0].effect == 'error'
    assert not faults[0].skipped
    assert len(verify(root)) == 1


def test_window_without_the_fault_is_read(root: Path) -> None:
    paths = write_chip(root)
    replaced('land_cover_maps', LABEL)(paths)
    dataset = OSFCR(root)
    assert dataset[X + 160 : X + 320, Y - 320 : Y - 160]['mask'].max() < 7
    assert OSFCR(root, num_classes=10)[0]['mask'].max() == 9
    assert verify(root, num_classes=10) == []


def test_file_that_vanished(root: Path) -> None:
    paths = write_chip(root)
    dataset = OSFCR(root)
    paths['s1'].unlink()
    with pytest.raises(CorruptChipError, match=r'ROIs_01_s1_p1\.tif'):
        dataset[0]


def test_error_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(CorruptChipError('a.tif', 'is bad')))
    assert isinstance(error, CorruptChipError)
    assert str(error).startswith("'a.tif': is bad.")


def test_ignored_labels_are_no_fault(root: Path) -> None:
    paths = write_chip(root)
    labels = DATA['land_cover_maps'].copy()
    labels[0, :3] = 255
    write_tif(paths['land_cover_maps'], labels)
    assert OSFCR(root)[0]['mask'].max() == 255
    assert verify(root) == []


def test_sound_data_have_no_faults(world: Path) -> None:
    assert verify(world) == []


class TestSkipped:
    @pytest.mark.parametrize('layer', ['s2', 's1', 'cloud_detection_results'])
    def test_missing_layer(self, root: Path, layer: str) -> None:
        chips = write_strip(root, 3)
        chips[1][layer].unlink()
        with pytest.warns(UserWarning, match=f"1 of 3 .*p1.* no twin in '{layer}'"):
            dataset = OSFCR(root)
        assert dataset.index['patch'].tolist() == [0, 2]
        with pytest.raises(CorruptChipError, match=rf"p1\.tif.*'{layer}'"):
            OSFCR(root, missing='error')
        (fault,) = verify(root)
        assert (fault.path, fault.kind) == (str(chips[1][layer]), 'missing')
        assert fault.skipped

    def test_chip_without_optical_layers(self, root: Path) -> None:
        write_strip(root, 2)
        write_chip(root, patch=7, layers=['s1'])
        with pytest.warns(UserWarning, match=r's1_p7.*s2_cloudy'):
            assert len(OSFCR(root)) == 2
        faults = verify(root)
        assert {fault.kind for fault in faults} == {'missing'}
        assert len(faults) == 4

    @pytest.mark.parametrize(
        ('break_it', 'kind', 'message'),
        [
            (
                lambda paths: paths['s2_cloudy'].write_bytes(b''),
                'unreadable',
                'cannot be opened',
            ),
            (
                replaced('s2_cloudy', DATA['land_cover_maps']),
                'bands',
                'has 1 band',
            ),
            (
                replaced('s2_cloudy', DATA['s2_cloudy'].astype('float32')),
                'dtype',
                'holds float32',
            ),
            (
                replaced('s2_cloudy', DATA['s2_cloudy'], crs=None),
                'unreadable',
                'no CRS',
            ),
        ],
    )
    def test_broken_reference(
        self, root: Path, break_it: Callable, kind: str, message: str
    ) -> None:
        paths = write_chip(root)
        write_chip(root, patch=2, x=X + 5000)
        break_it(paths)
        with pytest.warns(UserWarning, match=f'1 of 2 .*{message}'):
            assert OSFCR(root).index['patch'].tolist() == [2]
        with pytest.raises(CorruptChipError, match=message) as error:
            OSFCR(root, missing='error')
        assert str(paths['s2_cloudy']) in str(error.value)
        (fault,) = verify(root)
        assert (fault.path, fault.kind) == (str(paths['s2_cloudy']), kind)
        assert fault.skipped
        assert message in fault.message


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
        assert {fault.kind for fault in faults} == {'copy', 'bands', 'dtype'} - {
            'dtype'
        }
        assert {fault.path for fault in faults} == {str(paths['s1'])}
        (copy,) = (fault for fault in faults if fault.kind == 'copy')
        assert str(paths['land_cover_maps']) in copy.message

    def test_the_same_file_for_two_chips_is_none(self, root: Path) -> None:
        write_chip(root)
        write_chip(root, '20%-40%')
        assert verify(root) == []

    def test_two_layers_of_zeros_are_none(self, root: Path) -> None:
        paths = write_chip(
            root,
            layers=(*DATA,),
        )
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
