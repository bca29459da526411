# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""OSFCR: which chips and layers it takes, what it does not find, and its pictures."""

import os
import warnings
from pathlib import Path

import pytest
import rasterio
import torch
from matplotlib import pyplot as plt
from osfcr_files import SIZE, arrays, path_of, write_chip, write_strip, write_tif
from torchgeo.datasets import DatasetNotFoundError, RGBBandsMissingError

from torchgeo_tdpcr.datasets import OSFCR, CorruptChipError

PLACE = {'bounds', 'transform', 'epsg'}


class TestSelection:
    def test_layers(self, strip: Path) -> None:
        dataset = OSFCR(strip, layers=('s1', 's2_cloudy'))
        assert set(dataset[0]) == {'image', 'image_sar'} | PLACE
        assert len(dataset.files) == 8
        with pytest.raises(ValueError, match='clear'):
            OSFCR(strip, layers=('clear',))

    def test_prediction_needs_no_truth(self, root: Path) -> None:
        write_strip(root, 2, layers=('s2_cloudy', 's1'))
        assert set(OSFCR(root)[1]) == {'image', 'image_sar'} | PLACE

    def test_cover(self, world: Path) -> None:
        assert len(OSFCR(world, cover='60%-80%')) == 3
        assert len(OSFCR(world, cover=['0-20%', '60%-80%'])) == 5
        with pytest.raises(ValueError, match='`cover='):
            OSFCR(world, cover='100%')

    def test_paths(self, strip: Path, tmp_path: Path) -> None:
        other = tmp_path / 'other' / 'data'
        write_chip(other, '20%-40%')
        assert len(OSFCR(strip.parent)) == 4
        both = OSFCR([strip, other])
        assert len(both) == 5
        assert set(both.index['root']) == {str(strip), str(other)}
        assert both[4]['image'].shape == (13, SIZE, SIZE)

    @pytest.mark.parametrize('argument', ['split', 'split_by', 'missing'])
    def test_choices(self, strip: Path, argument: str) -> None:
        with pytest.raises(ValueError, match=f'`{argument}='):
            OSFCR(strip, **{argument: 'other'})  # type: ignore[arg-type]

    def test_class_names(self, strip: Path) -> None:
        assert OSFCR(strip).class_names[6] == 'class 6'
        with pytest.raises(ValueError, match='`class_names`'):
            OSFCR(strip, class_names=['water'])
        with pytest.raises(ValueError, match='`num_classes='):
            OSFCR(strip, num_classes=0)

    def test_unknown_band(self, strip: Path) -> None:
        with pytest.raises(ValueError, match='B13'):
            OSFCR(strip, bands=['B13'])


class TestNames:
    def test_irregular_names_are_read(self, root: Path) -> None:
        paths = write_chip(root, patch=4)
        paths['s2_cloudy'].rename(paths['s2_cloudy'].with_name('ROIs_01_s2_p4.tif'))
        paths['s1'].rename(paths['s1'].with_name('ROIs_1_S1_p4.TIF'))
        dataset = OSFCR(root)
        assert len(dataset) == 1
        assert dataset[0]['image'].mean() > dataset[0]['image_clear'].mean()

    @pytest.mark.parametrize('name', ['ROIs_01_s2_p4.tif', 'ROIs_01_zz_p4.tif'])
    def test_rightly_named_file_wins(self, root: Path, name: str) -> None:
        paths = write_chip(root, patch=4)
        rival = paths['s2_cloudy'].with_name(name)
        rival.write_bytes(paths['s2'].read_bytes())
        dataset = OSFCR(root)
        assert len(dataset) == 1
        assert dataset.index['s2_cloudy'].iloc[0] == str(paths['s2_cloudy'])

    def test_land_cover_crs_is_that_of_sentinel_2(self, strip: Path) -> None:
        with rasterio.open(path_of(strip, 'land_cover_maps')) as file:
            assert file.crs.to_epsg() is None
        assert OSFCR(strip)[0]['epsg'] == 32755


class TestNotFound:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetNotFoundError, match=r'nowhere.*0-20%'):
            OSFCR(tmp_path / 'nowhere')

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetNotFoundError, match=r'is empty.*s2_cloudy'):
            OSFCR(tmp_path)

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / 'x.zip').write_bytes(b'')
        with pytest.raises(DatasetNotFoundError, match='not a folder'):
            OSFCR(tmp_path / 'x.zip')

    def test_wrong_layout(self, tmp_path: Path) -> None:
        write_tif(tmp_path / 'images' / 'a.tif', arrays()['s2'])
        with pytest.raises(DatasetNotFoundError, match=r"holds \['images'\].*Looked"):
            OSFCR(tmp_path)

    def test_no_files_in_the_folders(self, root: Path) -> None:
        (root / '0-20%' / 's2').mkdir(parents=True)
        with pytest.raises(DatasetNotFoundError, match='no files'):
            OSFCR(root)

    def test_no_paths(self) -> None:
        with pytest.raises(DatasetNotFoundError, match='`paths` is empty'):
            OSFCR([])

    def test_nothing_complete(self, root: Path) -> None:
        write_chip(root, patch=1, layers=('s2_cloudy',))
        write_chip(root, patch=2, layers=('s2',))
        with (
            pytest.warns(UserWarning, match='2 of 2 chips'),
            pytest.raises(DatasetNotFoundError, match='none has all'),
        ):
            OSFCR(root)


class TestPlot:
    def test_every_panel(self, strip: Path) -> None:
        dataset = OSFCR(strip, bands=['B2', 'B3', 'B4'])
        sample = dataset[0]
        sample['reconstruction'] = sample['image_clear']
        sample['prediction'] = sample['mask']
        sample['mask'] = torch.full_like(sample['mask'], 255)
        sample['prompt'] = torch.randn(8, SIZE, SIZE)
        figure = dataset.plot(sample, suptitle='Chip')
        titles = [ax.get_title() for ax in figure.axes]
        assert len(titles) == 8
        assert 'Prompt (principal components)' in titles
        assert figure.get_suptitle() == 'Chip'
        assert not any(
            ax.get_title() for ax in dataset.plot(sample, show_titles=False).axes
        )
        plt.close('all')

    def test_needs_rgb_and_something_to_draw(self, strip: Path) -> None:
        with pytest.raises(RGBBandsMissingError):
            OSFCR(strip, bands=['B8']).plot({})
        with pytest.raises(ValueError, match='nothing to draw'):
            OSFCR(strip).plot({})


def test_str_and_len(strip: Path) -> None:
    dataset = OSFCR(strip)
    assert len(dataset) == 4
    assert 'OSFCR Dataset' in str(dataset)
    assert 'size: 4' in str(dataset)


def test_distributors_sample() -> None:
    folder = Path(os.environ.get('TDPCR_SAMPLES', ''), 'osfcr_sample')
    if not os.environ.get('TDPCR_SAMPLES') or not folder.is_dir():
        pytest.skip('TDPCR_SAMPLES does not name the folder of real samples')
    with pytest.warns(UserWarning, match='5 of 6 chips are left out'):
        dataset = OSFCR(folder, cache=False)
    assert dataset.index[['cover', 'roi', 'patch']].to_numpy().tolist() == [
        ['60%-80%', 1, 22]
    ]
    sample = dataset[0]
    assert sample['epsg'] == 32755
    assert 0 <= sample['image'][10].min() < 20  # the offset is gone
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        dataset = OSFCR(folder, layers=('s2', 's1', 'land_cover_maps'), cache=False)
    assert dataset.index['patch'].tolist() == [4, 3, 22, 23]
    with pytest.raises(CorruptChipError, match='p3'):
        dataset[1]
    for row in (0, 2, 3):
        assert set(dataset[row]['mask'].unique().tolist()) <= {2, 3, 4, 5, 6}
