# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The table of the quick start."""

from pathlib import Path

import pandas as pd

from experiments.quickstart.job import results

PAGE = Path(__file__).parents[3] / 'docs' / 'results' / 'quickstart.md'


def test_results_as_the_page_has_them() -> None:
    phase1 = {'psnr': 26.55, 'psnr_cloudy': 23.46, 'ssim': 0.75, 'sam': 9.14}
    phase2 = {'psnr': 26.39, 'psnr_cloudy': 23.34, 'ssim': 0.746, 'sam': 9.32}
    floor = {'input_psnr': 16.23, 'input_psnr_cloudy': 12.12}
    floor |= {'input_ssim': 0.675, 'input_sam': 11.87}
    phase2 |= {'pa': 0.317, 'miou': 0.132, 'pa_majority': 0.274, 'miou_majority': 0.039}
    logged = (
        pd.Series(values).add_prefix('test_') for values in (phase1, phase2 | floor)
    )
    assert results(*logged) == PAGE.read_text(encoding='utf-8')
