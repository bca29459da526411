# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Weights that come with the package."""

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models._api import WeightsEnum

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.datasets.synthetic.scene import build_scene
from torchgeo_tdpcr.models import TDPCR_Weights, tdpcr, tdpcr_small
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS
from torchgeo_tdpcr.weight_files import checksum
from torchgeo_tdpcr.weights import FOLDER, shipped_names

ALL = list(TDPCR_Weights)


def sample(weights: TDPCR_Weights) -> dict[str, torch.Tensor]:
    """A clear synthetic place, in digital numbers and decibels."""
    scene = build_scene(np.random.default_rng(5), (64, 64))
    bands = [list(SENTINEL2_BANDS).index(band) for band in weights.meta['bands']]
    return {
        'image': torch.from_numpy(scene.clear[bands])[None],
        'image_sar': torch.from_numpy(scene.sar)[None],
    }


def test_every_file_is_a_member() -> None:
    assert issubclass(TDPCR_Weights, WeightsEnum)
    assert [weights.name for weights in sorted(ALL, key=lambda w: w.name)] == (
        shipped_names()
    )
    files = {path.stem for path in FOLDER.glob('*.safetensors')}
    assert files == {name.lower() for name in shipped_names()}


@pytest.mark.parametrize('weights', ALL, ids=str)
def test_files_are_small_whole_and_tell_what_they_are(weights: TDPCR_Weights) -> None:
    meta = weights.meta
    assert weights.path.stat().st_size < 3e6
    assert checksum(weights.path) == meta['sha256']
    assert set(meta['bands']) <= set(SENTINEL2_BANDS)
    assert meta['in_chans'] == len(meta['bands'])
    assert meta['num_classes'] == len(meta['classes']) == 7
    assert ('B10' in meta['bands']) == (meta['level'] == '1C')
    assert re.search(r'real pairs .* \d\d\.\d dB', meta['summary'])
    text = weights.path.with_suffix('.json').read_text() + str(weights.content())
    assert not re.search(r'/(home|root|work|tmp)/', text)


@pytest.mark.parametrize('weights', ALL, ids=str)
def test_they_restore_and_map(weights: TDPCR_Weights) -> None:
    model = tdpcr(weights=weights).eval()
    batch = weights.transforms(sample(weights))
    assert 0 < batch['image'].min() < batch['image'].max() < 1
    with torch.inference_mode():
        out = model(batch['image'], batch['image_sar'])
    assert out['logits'].shape == (1, 7, 64, 64)
    error = (out['reconstruction'] - batch['image']).abs().mean()
    # A place without clouds is handed on, about
    assert error < 0.05


@pytest.mark.parametrize('weights', ALL, ids=str)
def test_into_a_task_by_member_and_by_name(weights: TDPCR_Weights) -> None:
    given = (weights, weights.name, f'TDPCR_Weights.{weights.name}', weights.path)
    states = []
    for value in given:
        task = TDPCRTask.load_from_weights(value).eval()
        assert task.trained
        assert task.maps_land_cover
        assert task.class_names == weights.meta['classes']
        assert task.input_record is not None
        assert list(task.input_record.bands) == weights.meta['bands']
        states.append(task.model.state_dict())
    for state in states[1:]:
        for name, value in states[0].items():
            assert torch.equal(state[name], value)


def test_sizes_are_those_of_the_weights() -> None:
    weights = ALL[0]
    assert tdpcr_small(weights=weights).num_classes == 7
    with pytest.raises(RuntimeError, match='size mismatch'):
        tdpcr(weights=weights, dims=(8, 16, 32, 64))
    assert tdpcr().optical_stem.out_channels == 32
    with pytest.raises(TypeError, match='expected TDPCR_Weights'):
        tdpcr(weights=3)  # type: ignore[arg-type]


def test_members_can_be_copied() -> None:
    weights = ALL[0]
    assert copy.deepcopy(weights) is weights
    assert pickle.loads(pickle.dumps(weights)) is weights


def test_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = ALL[0]
    damaged = tmp_path / weights.path.name
    damaged.write_bytes(weights.path.read_bytes()[:-1])
    monkeypatch.setattr('torchgeo_tdpcr.models.weights.FOLDER', tmp_path)
    with pytest.raises(ValueError, match='damaged or was changed'):
        weights.get_state_dict()


def test_unknown_names_are_told() -> None:
    with pytest.raises(FileNotFoundError, match=rf"one of \['{ALL[0].name}'"):
        TDPCRTask(weights='SENTINEL3')


def test_phase_1_goes_on_from_them() -> None:
    """They begin a training as a checkpoint does, with or without the head."""
    weights = ALL[0]
    task = TDPCRTask(
        model='tdpcr_small',
        training='cr',
        num_classes=None,
        in_channels=weights.meta['in_chans'],
        weights=weights,
    )
    (name, value), *_ = weights.get_state_dict().items()
    assert torch.equal(task.model.state_dict()[name], value)
