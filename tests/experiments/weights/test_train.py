# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One command from real maps to packed weights."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from table_runs import TINY

from experiments.weights import train
from torchgeo_tdpcr import TDPCRTask


def shrink(settings: dict[str, Any]) -> dict[str, Any]:
    """The same training, over at once."""
    trainer, data = settings['trainer'], settings['data']['init_args']
    trainer |= {'precision': '32-true', 'max_epochs': 2}
    trainer |= {'limit_val_batches': 0, 'enable_progress_bar': False}
    settings['model']['init_args'] |= {'scheduler': None}
    model = settings['model']['init_args']
    model['model_kwargs'] = {**model.get('model_kwargs', {}), **TINY}
    data |= {'batch_size': 2, 'patch_size': 32}
    data['synthetic_args'] |= {'num_rois': 10, 'chips_per_roi': 1, 'chip_size': 32}
    return settings


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Samples with two maps of land cover."""
    maps = np.full((2, 64, 64), 6, np.uint8)
    maps[0, :, :20], maps[1, :32] = 1, 5
    folder = tmp_path / 'samples' / 'landcovernet'
    folder.mkdir(parents=True)
    np.savez(folder / 'labels_africa.npz', label=maps, chip=np.array(['a', 'b']))
    return tmp_path / 'samples'


@pytest.mark.parametrize('name', train.known_names())
def test_trains_goes_on_and_packs(
    name: str, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = train.read_stages(name)
    begin = stages[0][1]['model']['init_args'].pop('weights', None)
    for path, settings in stages:
        file = tmp_path / 'configs' / path.relative_to(train.HERE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(shrink(settings)))
    packed: list[tuple[object, ...]] = []
    monkeypatch.setattr(train, 'HERE', tmp_path / 'configs')
    monkeypatch.setattr(train, 'add_parts', lambda *about: packed.append(about))
    monkeypatch.chdir(tmp_path)
    wanted = [name, f'--samples={archive}']
    train.main([*wanted, '--trainer.max_epochs=1'])
    last = Path('runs', 'weights', name, 'checkpoints', 'last.ckpt')
    first = train.last_of(stages[0][1])
    begun = torch.load(first, weights_only=False)
    # A training that began anew would not come to this, nor a second one without the first
    begun['state_dict']['model.output.bias'] += 100
    torch.save(begun, first)
    if laid_out := len(stages) == 2:
        shutil.rmtree(last.parent)
    train.main(wanted)

    command = f'python -m experiments.weights.train {name}'
    # The first training of one of them is on layouts
    dataset = train.LAID_OUT if laid_out else None
    assert packed == [(last, name, archive, command, dataset)] * 2
    assert len(list(Path('runs', 'weights', 'layouts').glob('*.tif'))) == 2 * laid_out
    task = TDPCRTask.load_from_checkpoint(last)
    assert laid_out == (begin is None)
    assert task.input_record is not None
    assert len(task.input_record.bands) == task.hparams['in_channels']
    assert (task.model.output.bias > 50).all()


@pytest.mark.parametrize(
    ('name', 'missing'),
    [
        ('sentinel2_l1c_small', 'peft-tdpcr-balanced/seed0/checkpoints/last.ckpt'),
        ('sentinel2_l2a_small', 'labels_africa.npz'),
    ],
)
def test_what_it_begins_with_is_missing(
    name: str,
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'other.txt').touch()
    with pytest.raises(SystemExit, match='2'):
        train.main([name, f'--samples={tmp_path}'])
    told = capsys.readouterr().err
    assert f'{missing}`' in told
    assert f'See the first lines of {name}.yaml' in told
    assert not Path('runs').exists()
