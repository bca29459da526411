# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Measuring weights on real samples, and packing them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from table_runs import TINY, tiny_task, write_run

from experiments.weights import measuring
from experiments.weights.measuring import Measured
from experiments.weights.packing import pack, page, renew, summary
from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.datasets.synthetic.biomes import CLASSES
from torchgeo_tdpcr.transforms import SENTINEL2_BANDS

FIGURES = {
    'PSNR of 8 real pairs above 30 % cover, cloudy pixels (dB)': 24.26,
    'PSNR of 8 real pairs above 30 % cover, all pixels (dB)': 24.46,
    'PSNR of 8 real pairs above 30 % cover, cloudy pixels, cloudy input (dB)': 11.62,
    'PSNR of 8 real pairs above 30 % cover, cloudy pixels, colours matched (dB)': 24.92,
    # As those of level 2A have besides
    'PSNR of 5 patches of level 2A under simulated clouds, cloudy pixels (dB)': 30.0,
    'Cloudy pixels within once the expected error (%)': 60.0,
}


def as_written(meta: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it, which knows no tuples."""
    content: dict[str, Any] = json.loads(json.dumps(meta))
    return content


def test_pack(tmp_path: Path, synthetic_root: Path) -> None:
    folder = write_run(tmp_path / 'runs', 'a', 0, synthetic_root, training='peft')
    checkpoint = folder / 'checkpoints' / 'last.ckpt'
    image = Image.new('RGB', (1, 1))
    measured = Measured(FIGURES, [(100, 120), (300, 280)], image, image)
    meta = pack(checkpoint, 'TINY', measured, 'torchgeo fit …', tmp_path)
    assert as_written(meta) == json.loads((tmp_path / 'tiny.json').read_text())
    assert (meta['level'], meta['in_chans'], meta['sar_clip']) == ('1C', 13, 'joint')
    assert meta['figures'] == FIGURES
    assert 'to 24.9 dB, without matching' in meta['summary']
    assert '24.3 dB, where the cloudy image has 11.6 dB' in meta['summary']
    task = TDPCRTask.load_from_weights(tmp_path / 'tiny.safetensors')
    assert meta['parameters'] == sum(p.numel() for p in task.model.parameters())
    text = page(tmp_path)
    assert '### `TINY`' in text
    assert '| By | `torchgeo fit …` |' in text
    assert '| PSNR of 8 real pairs above 30 % cover, all pixels (dB) | 24.46 |' in text
    assert '| Expected | 100 | 300 |\n| Found | 120 | 280 |' in text
    better = dict.fromkeys(FIGURES, 30.0)
    again = renew('TINY', Measured(better, [], image, image), tmp_path)
    assert again == json.loads((tmp_path / 'tiny.json').read_text())
    assert again['figures'] == better
    measured_anew = {'summary', 'figures', 'reliability'}
    assert {k for k, v in as_written(meta).items() if v != again[k]} == measured_anew
    assert 'Expected' not in page(tmp_path)


def test_calibrated_when_packed(tmp_path: Path, synthetic_root: Path) -> None:
    kwargs = {**TINY, 'uncertainty': True}
    folder = write_run(
        tmp_path / 'runs', 'a', 0, synthetic_root, training='cr', model_kwargs=kwargs
    )
    checkpoint = folder / 'checkpoints' / 'last.ckpt'
    image = Image.new('RGB', (1, 1))
    measured = Measured(FIGURES, [(100, 120)], image, image, factor=1.7)
    pack(checkpoint, 'TINY', measured, 'torchgeo fit …', tmp_path)
    before = TDPCRTask.load_from_checkpoint(checkpoint)
    after = TDPCRTask.load_from_weights(tmp_path / 'tiny.safetensors')
    batch = {'image': torch.rand(1, 13, 64, 64), 'image_sar': torch.rand(1, 2, 64, 64)}
    with torch.inference_mode():
        one, other = (
            task.eval().predict_step(batch, 0)['uncertainty']
            for task in (before, after)
        )
    torch.testing.assert_close(other, 1.7 * one, rtol=0.01, atol=1e-4)


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
    better = [{**row, 'psnr_cloudy': 21.0} for row in rows]
    found = measuring.restored_pairs(rows, better)
    assert list(found.values()) == [20.0, 30.0, 21.0, 30.0, 6.0, 10.0]
    assert all('of 2 real pairs' in name for name in found)
    told = summary(found, '1C')
    assert 'to 21.0 dB, without' in told
    assert told.endswith('20.0 dB, where the cloudy image has 6.0 dB.')
    assert 'brought to that level' not in told
    assert 'pairs that were brought to that level they' in summary(found, '2A')


def test_real_samples(samples: Path) -> None:
    measured = measuring.measure(tiny_task(training='cr'), samples)
    assert measured.sheet.width > 300
    assert measured.glance.height < measured.sheet.height
    assert measured.reliability == []
    found = measured.figures
    # Of the input, whatever the model
    assert found[
        'PSNR of 8 real pairs above 30 % cover, cloudy pixels, cloudy input (dB)'
    ] == pytest.approx(11.62, abs=0.01)
    assert not any('mIoU' in name for name in found)
    assert any('TerraMind' in name and 'matched' in name for name in found)


def test_real_samples_at_level_2a(samples: Path) -> None:
    task = tiny_task(training='cr', in_channels=12, model_kwargs={'uncertainty': True})
    names = [name for name in SENTINEL2_BANDS if name != 'B10']
    task.input_record = OSFCRDataModule(bands=names).input_record
    figures, reliability, *_ = measuring.measure(task, samples)
    where = 'PSNR of 5 patches of level 2A under simulated clouds, cloudy pixels'
    assert 3 < figures[f'{where}, cloudy input (dB)'] < 20
    once, twice = (
        figures[f'Cloudy pixels within {name} the expected error (%)']
        for name in ('once', 'twice')
    )
    assert 0 <= once <= twice <= 100
    expected = [pair[0] for pair in reliability]
    assert expected == sorted(expected)
    assert len(expected) == 5
