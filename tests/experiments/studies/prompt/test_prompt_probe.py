# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a prompt encodes: reading it from models, and the command on tiny runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from table_runs import tiny_task, write_run
from torch import Tensor, nn

from experiments import markdown
from experiments.studies import trained
from experiments.studies.prompt import features, interventions, measuring, probing
from experiments.studies.prompt.__main__ import main

RNG = np.random.default_rng(0)


def made_up_batch(size: tuple[int, int] = (37, 50)) -> trained.Batch:
    generator = torch.Generator().manual_seed(0)
    thickness = torch.rand(3, 1, *size, generator=generator)
    return {
        'image': torch.rand(3, 13, *size, generator=generator),
        'image_sar': torch.rand(3, 2, *size, generator=generator),
        'image_clear': torch.rand(3, 13, *size, generator=generator),
        'image_thickness': thickness,
        'mask_cloud': (thickness[:, 0] > 0.5).long(),
    }


def test_truth_on_a_coarser_grid() -> None:
    batch = made_up_batch()
    thickness, cloud = features.truth_at(batch, 1)
    assert thickness is not None
    assert cloud is not None
    blocks = batch['image_thickness'][:, 0, :36].reshape(3, 18, 2, 25, 2)
    torch.testing.assert_close(thickness, blocks.mean((2, 4)))
    masks = batch['mask_cloud'][:, :36].reshape(3, 18, 2, 25, 2).float()
    assert torch.equal(cloud, masks.mean((2, 4)) >= 0.5)
    del batch['image_thickness'], batch['mask_cloud']
    assert features.truth_at(batch, 1) == (None, None)


class Passing(nn.Module):
    """A prompt generator that gives some of the bands."""

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :8]


def test_pixels_lie_on_their_truth() -> None:
    model = tiny_task().model
    model.prompt_generator = Passing()
    batches = [made_up_batch(), made_up_batch((20, 30))]
    for batch in batches:
        batch['image'][:, 5] = -batch['image_thickness'][:, 0]
    found = features.collect(model, batches)
    assert list(found) == ['prompt', '1', '2']
    scores = probing.channel_scores(found['prompt'], found['prompt'])
    assert scores['channel'] == 5
    assert scores['rho'] == pytest.approx(1)
    pixels = 3 * (18 * 25 + 10 * 15)
    assert found['2'].features.shape == (pixels, 8)
    assert found['2'].thickness is not None
    assert found['2'].thickness.shape == (pixels,)


def test_weights_are_those_of_the_forward_pass() -> None:
    model, batch = tiny_task().model, made_up_batch()
    kept: list[Tensor] = []

    def watch(block: Any, inputs: Any, output: Tensor) -> None:
        optical, sar = block.logits(*inputs).chunk(2, 1)
        kept.append(torch.stack((optical, sar)).softmax(0)[1])

    hooks = [block.register_forward_hook(watch) for block in model.fusions]
    maps = features.feature_maps(model, batch)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(maps['1'], kept[0][..., :37, :50])
    torch.testing.assert_close(maps['2'], kept[1][..., :18, :25])
    assert all(b.attention is None and not b.keep_attention for b in model.fusions)


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [({}, True), ({'fusion': 'global'}, True), ({'fusion': 'concat'}, False)],
)
def test_which_models_have_features(kwargs: Any, expected: bool) -> None:
    assert features.has_features(tiny_task(model_kwargs=kwargs).model) == expected


class Mixed(nn.Module):
    """Restores what SAR and prompt say."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.prompt_generator = nn.Conv2d(13, 1, 1)
        nn.init.constant_(self.model.prompt_generator.weight, 0.04)

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        prompt = self.model.prompt_generator(image)
        return {'reconstruction': (image_sar[:, :1] + prompt).expand_as(image) / 4}


def psnr(restored: Tensor, clear: Tensor, where: Tensor) -> float:
    """Mean of the images' PSNR over some pixels, one after the other."""
    scores = []
    for x, y, part in zip(restored, clear, where, strict=True):
        error = (x - y).square().mean(0)[part].mean()
        scores.append(-10 * torch.log10(error))
    return float(torch.stack(scores).mean())


def test_interventions() -> None:
    task: Any = Mixed()
    batches = [made_up_batch((20, 20)), made_up_batch((20, 20))]
    batches[1] = {key: value[:2].flip(0) for key, value in batches[1].items()}
    found = interventions.interventions(task, batches)
    whole = {
        key: torch.cat([batch[key] for batch in batches])
        for key in ('image', 'image_sar', 'image_clear', 'mask_cloud')
    }
    with torch.no_grad():
        prompt_ = task.model.prompt_generator(whole['image'])
    sar, zero = whole['image_sar'][:, :1], torch.zeros(5, 1, 20, 20)
    expected = {
        'none': sar + prompt_,
        'sar_zero': zero + prompt_,
        'sar_other': sar[[3, 4, 0, 1, 2]] + prompt_,
        'prompt_mean': sar + prompt_.mean((2, 3), keepdim=True),
    }
    cloudy = whole['mask_cloud'] == 1
    assert list(found) == list(expected) == list(interventions.CASES)
    for case, restored in expected.items():
        image = restored.expand(-1, 13, -1, -1) / 4
        for key, where in (('psnr_cloudy', cloudy), ('psnr_clear', ~cloudy)):
            value = psnr(image, whole['image_clear'], where)
            assert found[case][key] == pytest.approx(value, rel=1e-4), case
    # the hook is gone
    assert interventions.interventions(task, batches)['none'] == found['none']
    with pytest.raises(ValueError, match='One chip has no other'):
        interventions.interventions(
            task, [{key: value[:1] for key, value in batches[0].items()}]
        )


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory, synthetic_root: Path) -> Path:
    """Two seeds of one run; one that has no prompt, no fusion, no cloud removal each."""
    root = tmp_path_factory.mktemp('prompt_runs')
    for seed in (0, 1):
        write_run(root, 'cr-tdpcr', seed, synthetic_root)
    for name, arguments in {
        'cr-tdpcr-global': {'model_kwargs': {'fusion': 'global'}},
        'cr-tdpcr-concat': {'model_kwargs': {'fusion': 'concat'}},
        'lcs-tdpcr': {'training': 'lcs'},
    }.items():
        write_run(root, name, 0, synthetic_root, **arguments)
    return root


def write_pairs(folder: Path) -> None:
    """Write made-up samples as the real ones are laid out."""
    for i in range(4):
        layers = {
            's1': RNG.normal(-12, 3, (2, 64, 64)).astype(np.float32),
            's2': RNG.integers(0, 3000, (13, 64, 64)).astype(np.uint16),
            's2_cloudy': RNG.integers(0, 8000, (13, 64, 64)).astype(np.uint16),
            'cloud_mask': (RNG.random((1, 64, 64)) < (i + 1) / 5).astype(np.uint8),
        }
        for name, array in layers.items():
            path = folder / 'sen12mscr_pairs' / f'p{i}_{name}.tif'
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(
                path, 'w', driver='GTiff', count=len(array), height=64, width=64,
                dtype=array.dtype, crs='EPSG:32632',
                transform=rasterio.transform.from_origin(4e5, 5e6, 10, 10),
            ) as file:  # fmt: skip
                file.write(array)


def test_command(runs: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path / 'samples')
    out, picture = tmp_path / 'results' / 'prompt.md', tmp_path / 'picture.jpg'
    main([
        str(runs), '--out', str(out), '--figure', str(picture), '--chips', '4',
        '--inits', '2', '--samples', str(tmp_path / 'samples'),
    ])  # fmt: skip
    found = json.loads(out.with_suffix('.json').read_text())
    assert list(found['test']) == ['cr-tdpcr', 'cr-tdpcr-global']
    first, second = found['test']['cr-tdpcr']
    assert (first['seed'], second['seed']) == (0, 1)
    assert first['fit_chips'] == first['held_chips'] == 4
    assert set(first['trained']) == {'prompt', '1', '2'}
    assert set(found['test']['cr-tdpcr-global'][0]['trained']) == {'1', '2'}
    for scores in first['trained'].values():
        assert scores.keys() >= {'rho', 'r2', 'r2_log', 'auc', 'auc_probe'}
    # the two seeds are two models; what they are compared with is the same
    assert first['trained'] != second['trained']
    assert first['untrained'] == second['untrained']
    assert len(first['untrained']) == 2
    # a run that was never trained is what an untrained model of its seed is
    assert first['trained'] == first['untrained'][0]
    assert second['trained'] == first['untrained'][1]

    real = found['samples']['cr-tdpcr'][0]
    assert real['fit_chips'] == real['held_chips'] == 2
    assert set(real['bands']) == {'auc', 'auc_probe'}
    assert real['interventions'].keys() == interventions.CASES.keys()

    lines = out.read_text().splitlines()
    rhos = [r['trained']['prompt']['rho'] for r in (first, second)]
    row = next(x for x in lines if x.startswith('| cr-tdpcr | prompt, trained |'))
    assert row.split('|')[3].strip() == markdown.cell(rhos)
    assert sum('cloudy bands' in line for line in lines) == 2
    assert '## Real pairs' in lines
    assert picture.read_bytes()[:2] == b'\xff\xd8'
    assert picture.stat().st_size < 150_000
    assert not list(tmp_path.rglob('*.partial'))


def test_bands_against_pandas(runs: Path) -> None:
    run = trained.find_runs(runs, ['cr-tdpcr'])[0]
    fit, held = (trained.chips_of(run, split, 4) for split in ('train', 'test'))
    scores = measuring.score_bands(fit, held)
    frames = []
    for chips in (fit, held):
        images = torch.cat([batch['image'] for batch in chips.batches])
        frame = pd.DataFrame(images.movedim(1, -1).reshape(-1, 13).numpy())
        parts = [batch['image_thickness'].flatten() for batch in chips.batches]
        frame['truth'] = torch.cat(parts).numpy()
        rho = frame.corr('spearman')['truth'].drop('truth').to_numpy()
        frames.append((rho, frame))
    best = np.abs(frames[0][0]).argmax()
    expected = np.sign(frames[0][0][best]) * frames[1][0][best]
    assert scores['rho'] == pytest.approx(expected)
    designs = [frame.drop(columns='truth').assign(one=1.0) for _, frame in frames]
    truths = [frame['truth'].to_numpy(np.float64) for _, frame in frames]
    weights = np.linalg.lstsq(designs[0].to_numpy(np.float64), truths[0], rcond=None)[0]
    error = np.square(designs[1].to_numpy() @ weights - truths[1]).mean()
    assert scores['r2'] == pytest.approx(1 - error / truths[1].var(), abs=1e-4)


def test_same_chips_are_refused(runs: Path) -> None:
    run = trained.find_runs(runs)[0]
    chips = trained.chips_of(run, 'test', 2)
    controls = measuring.Controls(1)
    with pytest.raises(ValueError, match='is to be fitted to and to be scored on'):
        measuring.measure(trained.load_task(run), chips, chips, controls)


def test_nothing_to_measure(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match='no run whose model has a prompt'):
        main([str(runs), '--runs', 'cr-tdpcr-concat'])
    with pytest.raises(FileNotFoundError, match=r'has no .*last\.ckpt'):
        main([str(tmp_path)])


def test_finding_runs(runs: Path, synthetic_root: Path, tmp_path: Path) -> None:
    names = [(run.name, run.seed) for run in trained.find_runs(runs)]
    assert names == [
        ('cr-tdpcr', 0), ('cr-tdpcr', 1), ('cr-tdpcr-concat', 0), ('cr-tdpcr-global', 0),
    ]  # fmt: skip
    chosen = trained.find_runs(runs, ['cr-tdpcr-global', 'cr-tdpcr'])
    assert [run.name for run in chosen] == ['cr-tdpcr-global', *['cr-tdpcr'] * 2]
    with pytest.raises(ValueError, match='no runs `lcs-tdpcr` that remove clouds'):
        trained.find_runs(runs, ['lcs-tdpcr'])
    folder = write_run(tmp_path, 'cr-tdpcr', 0, synthetic_root)
    (folder / 'settings.yaml').unlink()
    with pytest.raises(FileNotFoundError, match=r'settings\.yaml.* is missing'):
        trained.find_runs(tmp_path)
