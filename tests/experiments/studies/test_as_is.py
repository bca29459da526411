# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Errors of restored images put right in parts, and the command on tiny runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from table_runs import write_run
from torch import Tensor

from experiments.studies import as_is
from experiments.studies.as_is import blur, components, matched, put_right


def images(seed: int, bands: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.rand(bands, bands, generator=generator, dtype=torch.float64)
    pixels = torch.rand(3, bands, 24, 20, generator=generator, dtype=torch.float64)
    return torch.einsum('cd,bdhw->bchw', mixing, pixels)


def test_components_are_those_of_the_spectra() -> None:
    clear = images(0)
    axes = components(clear)
    spectra = blur(clear).permute(0, 2, 3, 1).reshape(-1, 5).numpy()
    _, values, expected = np.linalg.svd(spectra - spectra.mean(0))
    assert (np.diff(values) < 0).all()
    aligned = np.abs(expected @ axes.numpy())
    np.testing.assert_allclose(aligned, np.eye(5), atol=1e-6)


def test_what_is_put_right_is_right() -> None:
    image, clear = images(0), images(1)
    axes = components(clear)
    torch.testing.assert_close(put_right(image, clear, axes), clear)
    first = put_right(image, clear, axes[:, :1])
    along = torch.einsum('bchw,ck->bkhw', first - clear, axes)
    assert along[:, 0].abs().max() < 1e-9
    left = torch.einsum('bchw,ck->bkhw', image - clear, axes)
    torch.testing.assert_close(along[:, 1:], left[:, 1:])


@pytest.mark.parametrize('dims', [(0, 2, 3), (2, 3)])
def test_matched(dims: tuple[int, ...]) -> None:
    clear = images(1)
    found, wanted = (
        torch.stack(torch.std_mean(x, dims))
        for x in (matched(images(0), clear, dims), clear)
    )
    torch.testing.assert_close(found, wanted)


def test_command(
    tmp_path: Path, synthetic_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / 'runs'
    arguments = {'training': 'cr', 'num_classes': None}
    write_run(runs, 'cr-tdpcr', 0, synthetic_root, **arguments)
    command = [str(runs), '--runs', 'cr-tdpcr', '--out', str(tmp_path / 'as_is.md')]
    with pytest.raises(
        FileNotFoundError, match=r'experiments\.tables 2 --rows lcs-clear --seeds 0'
    ):
        as_is.main(command)
    write_run(
        runs, 'lcs-clear', 0, synthetic_root, training='lcs', lcs_input='clear',
        model='segformer', model_kwargs={'encoder': 'mit_b0'},
    )  # fmt: skip
    as_is.main(command)
    page = (tmp_path / 'as_is.md').read_text()
    assert page.startswith(capsys.readouterr().out.rstrip())
    assert page.count('\n| ') == len(as_is.SCORES) + 1
    (scores,) = json.loads((tmp_path / 'as_is.json').read_text())['cr-tdpcr']
    assert f'| PSNR (dB) | {scores["psnr"]:.2f} |' in page
    assert 0 <= scores['as_is'] <= 100
    assert scores['psnr_of_clear'] != scores['psnr']
