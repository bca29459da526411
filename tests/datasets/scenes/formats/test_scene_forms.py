# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Each form of the tables, case by case: found by its table, and read right."""

from pathlib import Path

import numpy as np
import pytest
from optical_files import numbers, write, write_safe

from torchgeo_tdpcr.datasets.scenes.formats.form import Form
from torchgeo_tdpcr.datasets.scenes.formats.forms import forms_page
from torchgeo_tdpcr.datasets.scenes.formats.masks.forms import MASK_FORMS
from torchgeo_tdpcr.datasets.scenes.formats.polarisations import RADAR_FORMS
from torchgeo_tdpcr.datasets.scenes.formats.products import OPTICAL_FORMS, find_optical

ROOT = Path(__file__).parents[4]


def test_the_documentation_prints_the_tables():
    page = ROOT / 'docs' / 'results' / 'forms.md'
    assert page.read_text(encoding='utf-8') == forms_page(), (
        'Make it anew: python -m torchgeo_tdpcr.datasets.scenes.formats.forms > '
        'docs/results/forms.md'
    )


@pytest.mark.parametrize('forms', [OPTICAL_FORMS, RADAR_FORMS, MASK_FORMS])
def test_every_form_has_a_key_of_its_own_and_all_its_words(forms):
    assert len({form.key for form in forms}) == len(forms)
    for form in forms:
        cells = form.row() if isinstance(form, Form) else (form.title, form.told)
        assert all(cells)
        assert not any('|' in cell or '\n' in cell for cell in cells)


def safe(folder):
    return write_safe(folder)[0]


def bands(folder):
    for band in ('B02', 'B03'):
        write(folder / 'a' / f'x_{band}.tif', numbers(1))
    return folder / 'a'


def raster(folder):
    return write(folder / 'a.tif', numbers())


#: How to make one of each form whose test is here; of others there is a module of tests.
CASES = {'safe': safe, 'bands': bands, 'raster': raster}


@pytest.mark.parametrize('key', CASES)
def test_forms_are_told_apart(tmp_path, key):
    path = CASES[key](tmp_path)
    first = next(form for form in OPTICAL_FORMS if form.fits(path))
    assert first.key == key
    product = find_optical(path)
    assert product.form == key
    assert np.all([Path(band.path).exists() for band in product.bands.values()])
