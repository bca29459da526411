# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Broken data: the datasets name the file, and `verify` finds it beforehand."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from osfcr_files import X, Y, arrays, write_chip, write_strip, write_tif
from torchgeo.datasets import DatasetNotFoundError

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
HUGE, FILL = DATA['s1'].copy(), DATA['s1'].copy()
HUGE[0, 2, 2], FILL[:, :9] = 1e30, -9999
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
    'huge backscatter': (replaced('s1', HUGE), 'values', r'1 values such as 1e\+30'),
    'fills': (replaced('s1', FILL), 'values', r'such as -9999; .* within -80 to 45'),
    'power': (replaced('s1', 10 ** (DATA['s1'] / 10)), 'values', 'perhaps power'),
    'huge numbers': (
        replaced('s2', DATA['s2'].astype('int32') * 10**5),
        'values',
        r'a digital number is within -2000 to 65535',
    ),
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


def test_a_place_beyond_its_zone_is_told(root: Path) -> None:
    write_chip(root)
    lost = write_chip(root, patch=2, x=9e7, epsg=32633)['s2_cloudy']
    with pytest.warns(UserWarning, match=rf"1 of 2 chips are left out.*'{lost}'"):
        assert OSFCR(root).index['patch'].tolist() == [1]


class TestCorrupt:
    def broken(self, root: Path) -> list[Paths]:
        chips = write_strip(root, 5)
        replaced('s1', NAN, x=X + 160)(chips[1])
        truncated('land_cover_maps')(chips[3])
        return chips

    def test_skipped_and_counted(self, root: Path, tmp_path: Path) -> None:
        chips = self.broken(root)
        assert len(OSFCR(root)) == 5
        with pytest.warns(UserWarning, match='2 of 5 chips are left out') as warned:
            dataset = OSFCR(root, corrupt='skip', cache=tmp_path)
        (message,) = (str(warning.message) for warning in warned)
        assert f"'{chips[1]['s1']}' holds 1 NaN" in message
        assert f"'{chips[3]['land_cover_maps']}' cannot be read" in message
        assert dataset.index['patch'].tolist() == [0, 2, 4]
        assert all(dataset[i]['image_sar'].isfinite().all() for i in range(3))

    def test_layers_that_are_not_asked_for_do_not_count(
        self, root: Path, tmp_path: Path
    ) -> None:
        self.broken(root)
        with pytest.warns(UserWarning, match='1 of 5 chips'):
            dataset = OSFCR(
                root, layers=['s2_cloudy', 's1'], corrupt='skip', cache=tmp_path
            )
        assert dataset.index['patch'].tolist() == [0, 2, 3, 4]

    def test_read_once_until_a_file_changes(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chips = self.broken(root)
        rows = []
        read = OSFCR._read_layers

        def counting(self: OSFCR, row: int, *args: object) -> object:
            rows.append(row)
            return read(self, row, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(OSFCR, '_read_layers', counting)
        for expected in (5, 0):
            rows.clear()
            with pytest.warns(UserWarning, match='2 of 5'):
                OSFCR(root, corrupt='skip', cache=tmp_path)
            assert len(rows) == expected
        rows.clear()
        write_tif(chips[1]['s1'], DATA['s1'], x=X + 160 + 3.688, y=Y - 4.128)
        with pytest.warns(UserWarning, match='1 of 5'):
            OSFCR(root, corrupt='skip', cache=tmp_path)
        assert rows == [1]

    def test_none_left(self, root: Path, tmp_path: Path) -> None:
        replaced('s1', NAN)(write_chip(root))
        with (
            pytest.warns(UserWarning, match='1 of 1'),
            pytest.raises(DatasetNotFoundError),
        ):
            OSFCR(root, corrupt='skip', cache=tmp_path)
        with pytest.raises(ValueError, match='`corrupt='):
            OSFCR(root, corrupt='drop')  # type: ignore[arg-type]


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
            (
                replaced('s2_cloudy', DATA['s2_cloudy'], res=1e-30),
                'unreadable',
                'has pixels of 1e-30×1e-30 m',
            ),
            (
                replaced('s2_cloudy', DATA['s2_cloudy'], x=1e30),
                'unreadable',
                'nowhere on the Earth',
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
