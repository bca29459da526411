# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest

from torchgeo_tdpcr.transforms import SENTINEL1_BANDS, SENTINEL2_BANDS, check_bands


def test_registry_is_in_file_order() -> None:
    assert list(SENTINEL2_BANDS) == [
        'B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A', 'B9', 'B10', 'B11', 'B12'
    ]  # fmt: skip
    wavelengths = [band.wavelength for band in SENTINEL2_BANDS.values()]
    assert wavelengths == sorted(wavelengths)
    assert list(SENTINEL1_BANDS) == ['VV', 'VH']


def test_check_bands() -> None:
    assert check_bands(None) == tuple(SENTINEL2_BANDS)
    assert check_bands(['B4', 'B2']) == ('B4', 'B2')


@pytest.mark.parametrize('bands', [[], ['B13'], ['B2', 'B2']])
def test_wrong_bands(bands: list[str]) -> None:
    with pytest.raises(ValueError, match='bands'):
        check_bands(bands)
