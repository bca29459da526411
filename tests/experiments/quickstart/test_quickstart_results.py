# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The table of the quick start, and where it stands."""

from pathlib import Path

import pandas as pd

from experiments.quickstart.job import results

ROOT = Path(__file__).parents[3]
PAGE = ROOT / 'docs' / 'results' / 'quickstart.md'


def test_results() -> None:
    phase1 = {'psnr': 26.549, 'psnr_cloudy': 23.46, 'ssim': 0.75, 'sam': 9.14}
    phase2 = {'psnr': 26.39, 'psnr_cloudy': 23.34, 'ssim': 0.746, 'sam': 9.32}
    floor = {'input_psnr': 16.23, 'input_psnr_cloudy': 12.12}
    floor |= {'input_ssim': 0.675, 'input_sam': 11.87}
    phase2 |= {'pa': 0.317, 'miou': 0.132, 'pa_majority': 0.274, 'miou_majority': 0.039}
    logged = (
        pd.Series(values).add_prefix('test_') for values in (phase1, phase2 | floor)
    )
    _, _, *rows = results(*logged).splitlines()
    assert rows == [
        '| cloudy input | 16.23 | 12.12 | 0.675 | 11.87 | – | – |',
        '| commonest class | – | – | – | – | 0.274 | 0.039 |',
        '| Phase 1 | 26.55 | 23.46 | 0.750 | 9.14 | – | – |',
        '| Phase 2 | 26.39 | 23.34 | 0.746 | 9.32 | 0.317 | 0.132 |',
    ]


def test_the_readme_has_the_table_of_the_page() -> None:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    _, _, *rows = PAGE.read_text(encoding='utf-8').splitlines()
    assert len(rows) == 4
    for row in rows:
        assert row in readme
