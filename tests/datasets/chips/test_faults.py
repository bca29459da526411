# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Broken data: the datasets name the file, and `verify` finds it beforehand."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from osfcr_files import X, Y, arrays, write_chip, write_strip, write_tif

from torchgeo_tdpcr.datasets import OSFCR, CorruptChipError
from torchgeo_tdpcr.datasets.chips.verify import verify

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
        replaced('land_cover_maps', DATA['land_cover_maps'].astype('float32')),
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
