# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import copy
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from model_checks import pair
from safetensors.torch import save_file
from torch import Tensor

from torchgeo_tdpcr.models import get_model
from torchgeo_tdpcr.models.baselines import pretrained
from torchgeo_tdpcr.models.baselines.pretrained import PretrainedModel, read_encoder
from torchgeo_tdpcr.tasks import TDPCRTask

MODELS = ('cloudseg', 'segcr', 'segformer')


@pytest.fixture(scope='module')
def state() -> dict[str, Tensor]:
    """Weights of an encoder for RGB, with a classifier as NVIDIA's files have one."""
    torch.manual_seed(5)
    encoder = smp.encoders.get_encoder('mit_b0', weights=None)
    return {**encoder.state_dict(), 'head.weight': torch.zeros(1000, 256)}


@pytest.fixture(scope='module')
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'mit_b0.pth'
    torch.save(state, path)
    return path


def build(name: str, weights: object, **kwargs: Any) -> PretrainedModel:
    torch.manual_seed(0)
    model = get_model(
        name,
        in_channels=4,
        num_classes=3,
        encoder='mit_b0',
        encoder_weights=None if weights is None else str(weights),
        **kwargs,
    ).eval()
    assert isinstance(model, PretrainedModel)
    return model


def encoders(model: Any) -> dict[str, tuple[Any, int]]:
    """The encoders of a model: first kernel, a later weight, and input channels."""
    if hasattr(model, 'model'):
        inner = model.model.encoder
        return {'optical': (inner.patch_embed1.proj, 4)}
    return {
        name: (getattr(model, name).embeddings[0].proj, channels)
        for name, channels in (('optical', 4), ('sar', 2))
    }


@pytest.mark.parametrize('name', MODELS)
def test_starts_from_trained_weights_at_its_first_call(
    name: str, file: Path, state: dict[str, Tensor]
) -> None:
    model, plain = build(name, file), build(name, None)
    parameters = dict(model.named_parameters())
    for (key, value), other in zip(parameters.items(), plain.parameters(), strict=True):
        assert torch.equal(value, other), key
    with torch.inference_mode():
        model(*pair(1, 32, 32, bands=4))
    # An optimizer that was made before has these very parameters
    for key, value in model.named_parameters():
        assert value is parameters[key]
    kernel = state['patch_embed1.proj.weight']
    for proj, channels in encoders(model).values():
        for i in range(channels):
            expected = kernel[:, i % 3] * 3 / channels
            torch.testing.assert_close(proj.weight[:, i], expected)
    deep = 'block4.1.mlp.fc2.weight'
    found = [
        value
        for key, value in model.state_dict().items()
        if value.shape == state[deep].shape and torch.equal(value, state[deep])
    ]
    assert len(found) == {'cloudseg': 3, 'segcr': 2, 'segformer': 1}[name]
    # Nothing outside the encoders has changed
    inside = ('optical.', 'sar.', 'cross.', 'model.encoder.')
    for (key, value), other in zip(
        model.named_parameters(), plain.parameters(), strict=True
    ):
        if not key.startswith(inside):
            assert torch.equal(value, other), key
    # Once: what is trained then is not taken back
    torch.nn.init.zeros_(proj.weight)
    model(*pair(1, 32, 32, bands=4))
    assert not proj.weight.any()


def test_kernels_are_those_of_the_library(state: dict[str, Tensor], file: Path) -> None:
    library = smp.encoders.get_encoder('mit_b0', weights=None)
    library.load_state_dict(dict(state))
    library.set_in_channels(4, pretrained=True)
    model = build('segformer', file)
    model.load_pretrained()
    found = model.model.encoder.state_dict()  # type: ignore[operator,union-attr]
    for key, value in library.state_dict().items():
        torch.testing.assert_close(found[key], value)


def test_reads_safetensors(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / 'model.safetensors'
    save_file(state, path)
    found = read_encoder('mit_b0', str(path))
    assert 'head.weight' not in found
    for key, value in found.items():
        assert torch.equal(value, state[key])


def no_reading(*args: Any) -> Any:
    raise AssertionError('read')


@pytest.mark.parametrize('name', MODELS)
def test_a_checkpoint_takes_the_place_of_the_weights(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, 'read_encoder', no_reading)
    model = build(name, 'imagenet')
    model.load_state_dict(build(name, None).state_dict())
    for each in (model, copy.deepcopy(model)):
        each(*pair(1, 32, 32, bands=4))
    with torch.device('meta'):
        build(name, 'imagenet')(*pair(1, 32, 32, bands=4))


def test_a_task_is_loaded_without_the_weights(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kwargs = {'encoder': 'mit_b0', 'encoder_weights': str(file)}
    task = TDPCRTask('segformer', kwargs, training='lcs')
    path = tmp_path / 'task.ckpt'
    torch.save(
        {
            'state_dict': task.state_dict(),
            'hyper_parameters': dict(task.hparams),
            'pytorch-lightning_version': '2.6.0',
        },
        path,
    )
    monkeypatch.setattr(pretrained, 'read_encoder', no_reading)
    loaded = TDPCRTask.load_from_checkpoint(str(path)).eval()
    loaded(*pair(1, 32, 32))
    # Of a phase before, too
    TDPCRTask('segformer', kwargs, weights=path, training='lcs')(*pair(2, 64, 64))


def test_compiles(file: Path) -> None:
    model = build('segformer', file)
    expected = build('segformer', file)(*pair(1, 64, 64, bands=4))
    model.compile(backend='eager', fullgraph=True)
    torch.testing.assert_close(model(*pair(1, 64, 64, bands=4)), expected)


def test_says_how_to_get_weights_that_cannot_be_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError('no network')

    monkeypatch.setattr(pretrained, 'hf_hub_download', fail)
    with pytest.raises(FileNotFoundError) as caught:
        build('segformer', 'imagenet')(*pair(1, 32, 32, bands=4))
    message = str(caught.value)
    for part in (
        "`encoder_weights='imagenet'`",
        'no network',
        'hf download smp-hub/mit_b0.imagenet model.safetensors --revision ',
        'encoder_weights: /PATH/TO/mit_b0/model.safetensors',
    ):
        assert part in message


def test_downloads_through_the_hub(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'model.safetensors'
    save_file(state, path)
    asked: list[Any] = []

    def download(*args: Any, **kwargs: Any) -> str:
        asked.append((*args, *kwargs.values()))
        return str(path)

    monkeypatch.setattr(pretrained, 'hf_hub_download', download)
    found = read_encoder('mit_b0', 'imagenet')
    assert found.keys() == state.keys() - {'head.weight'}
    settings = smp.encoders.encoders['mit_b0']['pretrained_settings']['imagenet']
    assert asked == [(settings['repo_id'], 'model.safetensors', settings['revision'])]


def test_wrong_files(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    with pytest.raises(FileNotFoundError, match=r"not 'imagenet'.*hf download"):
        read_encoder('mit_b0', str(path))
    path.write_text('nothing')
    with pytest.raises(ValueError, match='cannot be read'):
        read_encoder('mit_b0', str(path))
    less = {key: value for key, value in state.items() if key != 'norm1.bias'}
    for wrong, named in (
        ([1], 'block1'),
        (less, 'norm1.bias'),
        ({**state, 'other': torch.zeros(1)}, 'other'),
        ({**state, 'norm1.bias': torch.zeros(7)}, 'norm1.bias'),
    ):
        torch.save(wrong, path)
        with pytest.raises(ValueError, match=f'holds no mit_b0.*{named}'):
            read_encoder('mit_b0', str(path))
