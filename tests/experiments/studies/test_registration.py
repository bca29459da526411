# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Shifts between SAR and optical: their geometry, and the command on tiny runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from table_runs import write_run
from torch import Tensor, nn

from experiments import markdown
from experiments.studies import registration
from experiments.studies.registration import DIRECTIONS, middle, shifted


def scene(n: int = 5, size: int = 24) -> Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_content_moves_in_the_direction(direction: str) -> None:
    image = torch.zeros(1, 1, 11, 11)
    image[..., 5, 5] = 1
    dy, dx = DIRECTIONS[direction]
    moved = middle(image, 3, 2 * dy, 2 * dx)
    assert moved.shape[-2:] == (5, 5)
    assert moved[0, 0].nonzero().tolist() == [[2 + 2 * dy, 2 + 2 * dx]]
    words = {'right': (2, 4), 'down': (4, 2), 'left': (2, 0), 'up': (0, 2)}
    assert tuple(moved[0, 0].nonzero()[0].tolist()) == words[direction]


def test_shifts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match='`margin=2` does not go with `dy=3`, `dx=0`'):
        middle(scene(), 2, 3)
    with pytest.raises(ValueError, match='images of 24×24'):
        middle(scene(), 12)


def test_directions_take_turns_over_batches() -> None:
    sar = scene()
    whole = shifted(sar, 4, 3, ['up', 'left'], 0)
    parts = [shifted(sar[:3], 4, 3, ['up', 'left'], 0)]
    parts.append(shifted(sar[3:], 4, 3, ['up', 'left'], 3))
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(whole[3], middle(sar[3], 4, 0, -3))
    assert torch.equal(whole[4], middle(sar[4], 4, -3, 0))


class Copy(nn.Module):
    """Restores SAR, and maps it: what a model that trusts SAR alone would do."""

    def __init__(self, segments: bool) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)
        self.phase = type('Phase', (), {'segments': segments})
        self.hparams = {'num_classes': 2, 'ignore_index': 255}

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        labels = torch.cat((1 - image_sar, image_sar), 1)
        return {'reconstruction': image_sar.expand_as(image), 'logits': labels}


def test_scores_of_a_copy() -> None:
    sar = scene()
    batch = {
        'image': sar.expand(-1, 2, -1, -1),
        'image_sar': sar,
        'image_clear': sar.expand(-1, 2, -1, -1),
        'mask': (sar[:, 0] > 0.5).long(),
        'mask_cloud': (sar[:, 0] > 0.7).long(),
    }
    batches = [
        {k: v[:2] for k, v in batch.items()},
        {k: v[2:] for k, v in batch.items()},
    ]
    task: Any = Copy(True)
    every = [[name] for name in DIRECTIONS]
    true = registration.score(task, batches, 0, 3, every)
    assert true['psnr'] == pytest.approx(100)
    assert true['miou'] == 1

    inner = sar[..., 3:-3, 3:-3]
    expected: dict[str, list[float]] = {'psnr': [], 'psnr_cloudy': []}
    where = inner > 0.7
    hits = union = torch.zeros(2)
    for dy, dx in DIRECTIONS.values():
        # the edges that `roll` wraps lie in the margin
        moved = sar.roll((2 * dy, 2 * dx), (-2, -1))[..., 3:-3, 3:-3]
        error = (moved - inner).square()
        for i in range(len(sar)):
            expected['psnr'].append(-10 * float(error[i].mean().log10()))
            cloudy = error[i][where[i]].mean()
            expected['psnr_cloudy'].append(-10 * float(cloudy.log10()))
        maps = torch.stack([moved <= 0.5, moved > 0.5])
        truth = torch.stack([inner <= 0.5, inner > 0.5])
        hits = hits + (maps & truth).flatten(1).sum(1)
        union = union + (maps | truth).flatten(1).sum(1)
    found = registration.score(task, batches, 2, 3, every)
    for key, values in expected.items():
        assert found[key] == pytest.approx(sum(values) / len(values), rel=1e-4)
    assert found['miou'] == pytest.approx(float((hits / union).mean()), rel=1e-4)

    zeros = registration.score(task, batches, None, 3, every)
    errors = inner.square().mean((1, 2, 3)).log10()
    assert zeros['psnr'] == pytest.approx(-10 * float(errors.mean()), rel=1e-4)
    plain: Any = Copy(False)
    assert 'miou' not in registration.score(plain, batches, 2, 3, every)


def test_command(
    tmp_path: Path, synthetic_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        write_run(tmp_path / 'runs', 'cr-tdpcr', seed, synthetic_root)
    write_run(tmp_path / 'runs', 'joint-tdpcr', 0, synthetic_root, training='joint')
    write_run(tmp_path / 'runs', 'lcs-tdpcr', 0, synthetic_root, training='lcs')
    out = tmp_path / 'registration.md'
    arguments = [str(tmp_path / 'runs'), '--out', str(out), '--chips', '4']
    registration.main([*arguments, '--shifts', '0', '1', '4'])
    found = json.loads(out.with_suffix('.json').read_text())
    assert {name: len(results) for name, results in found.items()} == {
        'cr-tdpcr': 2,
        'joint-tdpcr': 1,
    }
    first, second = (result['scores'] for result in found['cr-tdpcr'])
    assert list(first) == ['0', '1', '4', 'zeros']
    assert len({scores['psnr'] for scores in first.values()}) == 4
    assert 'miou' not in first['0']
    assert 'miou' in found['joint-tdpcr'][0]['scores']['zeros']

    lines = out.read_text().splitlines()
    assert lines[0] == '4 test chips without the outer 4 pixels; seeds a run: 1 or 2.'
    rows = [line for line in lines if line.startswith('| cr-tdpcr |')]
    assert len(rows) == 3
    cell = markdown.cell([first['1']['psnr'], second['1']['psnr']])
    assert rows[0].split('|')[3].strip() == cell
    assert sum(line.startswith('| joint-tdpcr |') for line in lines) == 4

    registration.main([
        *arguments, '--runs', 'cr-tdpcr', '--shifts', '4', '--every',
        '--directions', 'up', 'down',
    ])  # fmt: skip
    assert list(json.loads(out.with_suffix('.json').read_text())) == ['cr-tdpcr']
    with pytest.raises(SystemExit):
        registration.main([*arguments, '--shifts', '-1'])
    assert '`--shifts -1`: give 0 or more' in capsys.readouterr().err
