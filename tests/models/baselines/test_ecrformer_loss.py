# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import numpy as np
import pytest
import torch
from model_checks import batch_of, check_gradients, rates_by_epoch

from torchgeo_tdpcr.models import ECRformer, ecrformer_light, get_recipe
from torchgeo_tdpcr.models.baselines.ecrformer.loss import RECIPE, level_errors

Array = np.ndarray


def build(**kwargs: object) -> ECRformer:
    torch.manual_seed(0)
    small = {'dim': 4, 'depths': (1, 1, 1), 'bottleneck': 1, 'refinement': 1}
    return ecrformer_light(**{**small, 'auxiliary_heads': True, **kwargs})


def filtered(x: Array) -> Array:
    """The Gaussian window of SSIM, with zeros beyond the border."""
    for axis in (-2, -1):
        place = np.arange(x.shape[axis])
        distance = place[:, None] - place
        # The window's sum is that of its eleven pixels, whether they lie in the image
        window = np.exp(-(np.arange(-5, 6) ** 2) / 4.5).sum()
        weights = np.exp(-(distance**2) / 4.5) / window * (abs(distance) <= 5)
        x = np.moveaxis(np.tensordot(weights, x, (1, axis)), 0, axis)
    return x


def similarity(x: Array, y: Array) -> float:
    a, b = filtered(x), filtered(y)
    aa, bb, ab = (
        filtered(x * x) - a * a,
        filtered(y * y) - b * b,
        filtered(x * y) - a * b,
    )
    ratio = (2 * a * b + 1e-4) * (2 * ab + 9e-4)
    ratio /= (a * a + b * b + 1e-4) * (aa + bb + 9e-4)
    return float(ratio.mean())


def error(x: Array, y: Array, share: float) -> float:
    return float(share * np.abs(x - y).mean() + (1 - share) * (1 - similarity(x, y)))


def averaged(x: Array, by: int) -> Array:
    height, width = (n // by for n in x.shape[-2:])
    x = x[..., : height * by, : width * by]
    return x.reshape(*x.shape[:-2], height, by, width, by).mean((-3, -1))


# The second leaves a remainder at the coarser levels
@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 46)])
def test_loss_is_the_published_one(height: int, width: int) -> None:
    model, batch = build(), batch_of(2, height, width)
    terms = {k: v.item() for k, v in RECIPE.losses(model, batch).items()}
    with torch.no_grad():
        outputs = model.deeply_supervised(batch['image'], batch['image_sar'])
    clear = batch['image_clear'].double().numpy()
    main, encoder, decoder = (
        [x.double().numpy() for x in images]
        for images in ([outputs.reconstruction], outputs.encoder, outputs.decoder)
    )
    targets = [averaged(clear, by) for by in (1, 2, 4)]
    wanted = {'loss_main': error(main[0], clear, 0.9)}
    for name, images, share in (
        ('loss_encoder', encoder, 0.1),
        ('loss_decoder', decoder, 0.9),
    ):
        pairs = zip(images, targets, strict=True)
        wanted[name] = sum(error(x, y, share) for x, y in pairs) / 3.001
    wanted['loss'] = float(np.dot([0.9, 0.05, 0.05], list(wanted.values())))
    assert terms == pytest.approx(wanted, abs=1e-5)


def test_loss_reaches_every_parameter() -> None:
    model = build().train()
    RECIPE.losses(model, batch_of(2, 32, 32))['loss'].backward()
    check_gradients(model)


def test_perfect_levels_have_no_error() -> None:
    clear = batch_of(1, 32, 32)['image_clear']
    levels = [torch.nn.functional.avg_pool2d(clear, by) for by in (1, 2, 4)]
    assert level_errors(levels, clear, 0.1).item() == pytest.approx(0, abs=1e-6)


def test_heads_change_nothing_but_themselves() -> None:
    with_heads, without = build(), build(auxiliary_heads=False)
    extra = without.load_state_dict(with_heads.state_dict(), strict=False)
    assert not extra.missing_keys
    assert {key.split('.')[0] for key in extra.unexpected_keys} == {
        'encoder_heads',
        'decoder_heads',
    }
    batch = batch_of(1, 32, 32)
    outputs = (
        model(batch['image'], batch['image_sar']) for model in (with_heads, without)
    )
    torch.testing.assert_close(*outputs)


def test_without_heads_it_says_what_to_pass() -> None:
    with pytest.raises(ValueError, match='`auxiliary_heads=True`'):
        RECIPE.losses(build(auxiliary_heads=False), batch_of(1, 32, 32))


def test_wrong_inputs_are_refused_in_training_too() -> None:
    batch = batch_of(1, 32, 32)
    with pytest.raises(ValueError, match='`image`'):
        RECIPE.losses(build(), {**batch, 'image': batch['image'][:, 1:]})
    with pytest.raises(ValueError, match='`target`'):
        RECIPE.losses(build(), {**batch, 'image_clear': batch['image_clear'][:1, :5]})
    with pytest.raises(TypeError, match='`target`'):
        RECIPE.losses(build(), {**batch, 'image_clear': batch['image_clear'].int()})


def test_both_sizes_have_the_published_recipe() -> None:
    assert get_recipe('ecrformer') is get_recipe('ecrformer_light') is RECIPE
    optimizer = RECIPE.optimizer(build().parameters())
    assert optimizer.defaults['betas'] == (0.9, 0.999)
    rates = rates_by_epoch(RECIPE, 202)
    changes = [i for i in range(1, 202) if rates[i] != rates[i - 1]]
    assert changes == [120, 150, 170, 180, 190, 200]
    assert rates[0] == 2e-3
    assert rates[-1] == pytest.approx(2e-3 / 64)
