# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Measuring weights on real samples, and packing them."""

import json
from pathlib import Path

import pytest
import torch
from table_runs import tiny_task, write_run

from experiments.weights import measuring
from experiments.weights.packing import pack, page, summary
from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.datasets.synthetic.biomes import CLASSES

FIGURES = {
    'PSNR of 8 real pairs above 30 % cover, cloudy pixels (dB)': 24.26,
    'PSNR of 8 real pairs above 30 % cover, all pixels (dB)': 24.46,
    'PSNR of 8 real pairs above 30 % cover, cloudy pixels, cloudy input (dB)': 11.62,
}


def test_pack(tmp_path: Path, synthetic_root: Path) -> None:
    folder = write_run(tmp_path / 'runs', 'a', 0, synthetic_root, training='peft')
    checkpoint = folder / 'checkpoints' / 'last.ckpt'
    meta = pack(checkpoint, 'TINY', FIGURES, 'torchgeo fit …', tmp_path)
    assert meta == json.loads((tmp_path / 'tiny.json').read_text())
    assert (meta['level'], meta['in_chans'], meta['sar_clip']) == ('1C', 13, 'joint')
    assert meta['figures'] == FIGURES
    assert '24.3 dB, where the cloudy image has 11.6 dB' in meta['summary']
    task = TDPCRTask.load_from_weights(tmp_path / 'tiny.safetensors')
    assert meta['parameters'] == sum(p.numel() for p in task.model.parameters())
    text = page(tmp_path)
    assert '### `TINY`' in text
    assert '| By | `torchgeo fit …` |' in text
    assert '| PSNR of 8 real pairs above 30 % cover, all pixels (dB) | 24.46 |' in text


def test_classes_that_are_not_told_apart_are_added() -> None:
    probabilities = torch.rand(1, 7, 4, 4)
    found = measuring.common(probabilities)
    assert found.shape == (1, 6, 4, 4)
    torch.testing.assert_close(found.sum(1), probabilities.sum(1))
    crops = CLASSES.index('crops')
    assert torch.equal(
        found[:, measuring.COMMON.index('crops')], probabilities[:, crops]
    )


def test_pairs_above_thirty_percent_count() -> None:
    part = {'psnr': 30.0, 'input_psnr': 10.0, 'psnr_cloudy': 20.0}
    thin = dict.fromkeys((*part, 'input_psnr_cloudy'), 0.0)
    rows = [
        {**part, 'input_psnr_cloudy': 5.0, 'cover': 0.4},
        {**part, 'input_psnr_cloudy': 7.0, 'cover': 0.9},
        {**thin, 'cover': 0.1},
    ]
    found = measuring.restored_pairs(rows)
    assert list(found.values()) == [20.0, 30.0, 6.0, 10.0]
    assert all('of 2 real pairs' in name for name in found)
    assert summary(found).endswith('to 20.0 dB, where the cloudy image has 6.0 dB.')


def test_real_samples(samples: Path) -> None:
    task = tiny_task(training='cr')
    found = measuring.rounded(measuring.measure(task, samples))
    # Of the input, whatever the model
    assert found[
        'PSNR of 8 real pairs above 30 % cover, cloudy pixels, cloudy input (dB)'
    ] == pytest.approx(11.62, abs=0.01)
    assert not any('TerraMind' in name for name in found)
