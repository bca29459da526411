# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Cells, tables and pages in Markdown."""

import json
from pathlib import Path

from experiments.markdown import cell, table, write_page


def test_cell() -> None:
    assert cell([1.0, 2.0, 3.0]) == '2.00 ± 1.00'
    assert cell([1.26, None], 1) == '1.3'
    assert cell([None]) == '–'


def test_table() -> None:
    text = table(['run', 'PSNR'], [['a', '1']])
    assert text.splitlines() == ['| run | PSNR |', '| --- | ---: |', '| a | 1 |']
    assert table(['file', 'fault'], [], 2).splitlines()[1] == '| --- | --- |'


def test_page(tmp_path: Path) -> None:
    out = tmp_path / 'made' / 'page.md'
    write_page(out, 'text\n', {'a': [1.5]})
    assert out.read_text() == 'text\n'
    assert json.loads(out.with_suffix('.json').read_text()) == {'a': [1.5]}
    assert len(list(out.parent.iterdir())) == 2
