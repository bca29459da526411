# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import warnings
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from baseline_tests import BaselineTests
from model_checks import (
    check_gradients,
    cross_entropy,
    fit,
    keep_one_block,
    on_meta,
    rates_by_epoch,
)
from numpy_layers import conv, sigmoid, weights_of
from torch import Tensor, nn

from torchgeo_tdpcr.models.baselines.cloudseg.fusion import CloudSegFusion
from torchgeo_tdpcr.models.baselines.cloudseg.losses import charbonnier, distillation
from torchgeo_tdpcr.models.baselines.cloudseg.model import RECIPE, CloudSeg


class TestCloudSeg(BaselineTests):
    name = 'cloudseg'
    arguments = {'encoder': 'mit_b0'}
    bands, classes = 4, 3
    outputs = {'reconstruction': 4, 'logits': 3, 'features': 16}
    optimizer = torch.optim.Adam, {'lr': 1e-4}
    wrong_arguments = (
        ({'num_classes': None}, 'num_classes'),
        ({'num_classes': 0}, 'num_classes'),
        ({'encoder': 'resnet18'}, 'mit_b0'),
        ({'as_teacher': True, 'teacher': 'a.ckpt'}, 'teacher'),
    )
    traced_size = (64, 64)
    autocast_error = 0.1
    tolerance = {'atol': 1e-4, 'rtol': 1e-3}

    @classmethod
    def build_traced(cls) -> CloudSeg:
        model: CloudSeg = cls.build()
        keep_one_block(model.optical, model.sar)
        for blocks in model.cross.blocks[1:]:
            del blocks[1:]
        return model


def build() -> CloudSeg:
    """In training mode."""
    return TestCloudSeg.build().train()


def make_batch(size: tuple[int, int] = (64, 64), chips: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    clear = torch.rand(chips, 4, *size, generator=generator)
    cloud = torch.zeros(chips, *size, dtype=torch.long)
    cloud[:, : size[0] // 2] = 1
    mask = (clear[:, 0] * 3).long().clamp(max=2)
    mask[:, 0] = 255
    return {
        'image': torch.where(cloud[:, None] == 1, 0.9, clear),
        'image_sar': clear[:, :2].clone(),
        'image_clear': clear,
        'mask': mask,
        'mask_cloud': cloud,
    }


def size(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameters_are_those_of_the_authors() -> None:
    model, parameters, counter = on_meta(lambda: CloudSeg(num_classes=7))
    assert isinstance(model, CloudSeg)
    assert round(counter.get_total_flops() / 2e9, 2) == 43.25
    assert parameters == 196_640_468
    # What the authors build besides and never use
    with torch.device('meta'):
        spare = CloudSegFusion(64, cross=True).scales[0]
    unused = {
        'first stage of the cross encoder': size(model.optical)
        - size(model.cross)
        - 64 * 7**2 * (13 - 3),
        'SAR decoder': size(model.cross_decoder),
        'segmentation heads': 2 * size(model.segment),
        'multi-scale convolution': size(spare),
        'SAR gate of the last stage': 512 * 512 * 9 + 512,
    }
    assert sum(unused.values()) == 6_609_134
    assert parameters + 6_609_134 == 203_249_602
    # A band and a class cost the same with MiT-B1, which builds faster
    with torch.device('meta'):
        many = CloudSeg(num_classes=7, encoder='mit_b1')
        few = CloudSeg(4, num_classes=6, encoder='mit_b1')
    assert parameters - (size(many) - size(few)) == 203_215_750 - 6_608_844


def test_every_parameter_learns() -> None:
    model = build()
    RECIPE.losses(model, make_batch((128, 128)))['loss'].backward()
    # Biases ahead of a softmax or of a batch normalisation get rounding at most
    check_gradients(model, nonzero=False)
    for name, parameter in model.named_parameters():
        if name.endswith('weight'):
            assert parameter.grad is not None
            assert parameter.grad.any(), name


def test_overfits() -> None:
    model, batch = build(), make_batch()
    optimizer = RECIPE.optimizer(model.parameters())
    optimizer.param_groups[0]['lr'] = 1e-3
    values = fit(model, RECIPE.losses, batch, optimizer, 8)
    assert values[-1] < 0.8 * values[0]


def test_schedule_of_its_recipe() -> None:
    expected = [1e-4] * 10
    for halvings in range(1, 5):
        expected += [1e-4 / 2**halvings] * 5
    assert rates_by_epoch(RECIPE, 30) == pytest.approx(expected)


def test_reconstruction_is_not_residual() -> None:
    model = build().eval()
    for parameter in model.restore.parameters():
        nn.init.zeros_(parameter)
    batch = make_batch()
    assert not model(batch['image'], batch['image_sar'])['reconstruction'].any()


def randomise(module: nn.Module) -> None:
    """Statistics and gains of normalisations other than 0 and 1."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.bias):
                nn.init.normal_(value)  # type: ignore[arg-type]
            for value in (part.running_var, part.weight):
                nn.init.uniform_(value, 0.5, 2)  # type: ignore[arg-type]


class Reference:
    """A fusion in loops over NumPy arrays, of one image."""

    def __init__(self, fuse: CloudSegFusion) -> None:
        self.state = weights_of(fuse)

    def multi_scale(self, number: int, x: np.ndarray) -> np.ndarray:
        scales = [x]
        height, width = x.shape[1:]
        for side in (2, 4):
            rows, columns = height // side, width // side
            pooled = np.empty((len(x), rows, columns))
            for i, j in np.ndindex(rows, columns):
                block = x[:, i * side : (i + 1) * side, j * side : (j + 1) * side]
                pooled[:, i, j] = block.max((1, 2))
            index = np.ix_(
                range(len(x)),
                [i * rows // height for i in range(height)],
                [j * columns // width for j in range(width)],
            )
            scales.append(pooled[index])
        return np.maximum(
            conv(np.concatenate(scales), self.state, f'scales.{number}.mix'), 0
        )

    def gate(self, x: np.ndarray) -> np.ndarray:
        z = conv(np.stack([x.max(0), x.mean(0)]), self.state, 'gate.gate.0')
        norm = {
            key: self.state[f'gate.gate.1.{key}'][0]
            for key in ('weight', 'bias', 'running_mean', 'running_var')
        }
        z = (z - norm['running_mean']) / np.sqrt(norm['running_var'] + 1e-5)
        return sigmoid(z * norm['weight'] + norm['bias'])

    def __call__(self, *streams: np.ndarray) -> list[np.ndarray]:
        a, b, *rest = (self.multi_scale(i, x) for i, x in enumerate(streams))
        gated = a * self.gate(a - b) if 'gate.gate.0.weight' in self.state else a
        parts = [gated, b, *rest]
        joint = np.concatenate(parts)
        squeeze, excite = (
            self.state[f'excite.{name}.weight'][:, :, 0, 0] for name in ('fc1', 'fc2')
        )
        weights = sigmoid(excite @ np.maximum(squeeze @ joint.mean((1, 2)), 0))
        c = len(a)
        n = sum(
            weights[i * c : (i + 1) * c, None, None] * p for i, p in enumerate(parts)
        )
        return [
            streams[0] + (n - a) * sigmoid(conv(n - a, self.state, 'to_optical')),
            streams[1] + (n - b) * sigmoid(conv(n - b, self.state, 'to_sar')),
            n,
        ]


@pytest.mark.parametrize('cross', [False, True])
@pytest.mark.parametrize('gated', [False, True])
def test_fusion_is_its_description(cross: bool, gated: bool) -> None:
    torch.manual_seed(0)
    fuse = CloudSegFusion(16, cross=cross, gated=gated).eval()
    randomise(fuse)
    # 5×5 is what the last stage has of the published crop of 160
    streams = torch.randn(3 if cross else 2, 1, 16, 5, 9)
    expected = Reference(fuse)(*(x[0].double().numpy() for x in streams))
    with torch.no_grad():
        for found, wanted in zip(fuse(*streams), expected, strict=True):
            np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-5)


def test_fusion_hands_nothing_to_a_stream_without_gate() -> None:
    fuse = CloudSegFusion(16, cross=False, updates_optical=False, updates_sar=False)
    optical, sar = torch.randn(2, 1, 16, 4, 4)
    found = fuse(optical, sar)
    assert found[0] is optical
    assert found[1] is sar


def library_unet(model: CloudSeg, stream: str, channels: int) -> Any:
    """The library's U-Net with the weights of a stream."""
    encoder = getattr(model, stream)
    unet = smp.Unet('mit_b0', encoder_weights=None, in_channels=channels)
    unet = unet.double().eval()
    names = {'embeddings': 'patch_embed', 'blocks': 'block', 'norms': 'norm'}
    state = {}
    for key, value in encoder.state_dict().items():
        part, stage, rest = key.split('.', 2)
        state[f'{names[part]}{int(stage) + 1}.{rest}'] = value
    nn.Module.load_state_dict(unet.encoder, state, strict=stream != 'cross')
    decoder = getattr(model, f'{stream}_decoder', None)
    if decoder is not None:
        unet.decoder.load_state_dict(decoder.decoder.state_dict())
    return unet


def test_wiring_is_that_of_three_unets() -> None:
    """As described, over the library's U-Nets; in double precision."""
    model = build().double().eval()
    randomise(model)
    unets = [
        library_unet(model, name, channels)
        for name, channels in (('optical', 4), ('sar', 2), ('cross', 3))
    ]

    def stage(unet: Any, number: int, x: Tensor) -> Tensor:
        parts = ('patch_embed', 'block', 'norm')
        for part in parts:
            x = getattr(unet.encoder, f'{part}{number}')(x)
        return x

    batch = make_batch((128, 128))
    image, sar = batch['image'].double(), batch['image_sar'].double()
    o, s, n = image, sar, None
    dummies = [o[:, :0], o[:, :0, ::2, ::2]]
    skips: list[list[Tensor]] = [list(dummies), list(dummies)]
    with torch.no_grad():
        for number, fuse in enumerate(model.fusions, 1):
            inputs = [stage(unets[0], number, o), stage(unets[1], number, s)]
            if n is not None:
                inputs.append(stage(unets[2], number, n))
            o, s, n = fuse(*inputs)
            skips[0].append(o)
            skips[1].append(n)
        restored = unets[0].decoder(skips[0])
        features = unets[2].decoder(skips[1])
        expected = {
            'features': features,
            'logits': model.segment(features),
            'reconstruction': model.restore[1](model.restore[0](restored)),
        }
        found = model(image, sar)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


def test_charbonnier_is_its_formula() -> None:
    generator = np.random.default_rng(0)
    prediction, target = generator.random((2, 2, 3, 5, 4))
    cloud = generator.integers(0, 2, (2, 5, 4))
    expected = np.mean(
        (1 + 5 * cloud[:, None]) * ((prediction - target) ** 2 + 1e-6) ** 0.45
    )
    got = charbonnier(*map(torch.from_numpy, (prediction, target, cloud)))
    assert got.item() == pytest.approx(expected, rel=1e-5)
    plain = charbonnier(torch.from_numpy(prediction), torch.from_numpy(target))
    assert plain.item() == pytest.approx(
        np.mean(((prediction - target) ** 2 + 1e-6) ** 0.45), rel=1e-5
    )


def test_distillation_is_a_mean_over_all_pixels() -> None:
    generator = np.random.default_rng(0)
    features, wanted = generator.random((2, 2, 3, 5, 4))
    cloud = generator.integers(0, 2, (2, 5, 4))
    expected = np.mean((1 - cloud[:, None]) * (features - wanted) ** 2)
    got = distillation(*map(torch.from_numpy, (features, wanted, cloud)))
    assert got.item() == pytest.approx(expected, rel=1e-5)


def test_losses_are_the_sum_of_their_parts() -> None:
    model, batch = build().eval(), make_batch()
    losses = RECIPE.losses(model, batch)
    assert set(losses) == {'loss', 'loss_seg', 'loss_rec'}
    torch.testing.assert_close(losses['loss'], losses['loss_seg'] + losses['loss_rec'])
    outputs = model(batch['image'], batch['image_sar'])
    expected = cross_entropy(outputs['logits'], batch['mask'])
    assert losses['loss_seg'].item() == pytest.approx(expected, rel=1e-4)
    rec = charbonnier(
        outputs['reconstruction'], batch['image_clear'], batch['mask_cloud']
    )
    assert losses['loss_rec'].item() == pytest.approx(rec.item(), rel=1e-4)


def test_losses_without_masks() -> None:
    model, batch = build().eval(), make_batch()
    del batch['mask'], batch['mask_cloud']
    losses = RECIPE.losses(model, batch)
    assert losses['loss_seg'] == 0
    assert losses['loss'] == losses['loss_rec']
    del batch['image_clear']
    with pytest.raises(KeyError, match='image_clear'):
        RECIPE.losses(model, batch)


def test_building_gives_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        build()
