# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What every diffusion model must do, beside what every baseline must."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from baseline_tests import BaselineTests
from model_checks import Pair, check_autocast, check_gradients, fit, pair

from torchgeo_tdpcr.models import Recipe
from torchgeo_tdpcr.models.baselines.sampling import SamplingModel


class DiffusionTests(BaselineTests):
    """Tests of one model; a subclass in its test module says which."""

    # Gradients through all steps make these three times as slow
    test_any_size = torch.no_grad()(BaselineTests.test_any_size)
    test_compiles_without_graph_breaks = torch.no_grad()(
        BaselineTests.test_compiles_without_graph_breaks
    )
    test_exports = torch.no_grad()(BaselineTests.test_exports)

    @classmethod
    def build(cls, **kwargs: Any) -> Any:
        """With parameters that start at zero set to noise, so that all matter."""
        model = super().build(**kwargs)
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
        return model

    def test_sampler_is_deterministic_under_a_seed(self) -> None:
        model = self.build()
        image, sar = inputs()
        with torch.no_grad():
            first = model(image, sar)['reconstruction']
            torch.manual_seed(99)
            assert torch.equal(model(image, sar)['reconstruction'], first)
            assert torch.equal(model(image, sar, seed=0)['reconstruction'], first)
            other = model(image, sar, seed=1)['reconstruction']
        assert (other - first).abs().max() > 1e-4
        assert first.is_contiguous(memory_format=torch.channels_last)

    def test_a_perfect_denoiser_gives_the_clear_image(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = self.build()
        image, sar = inputs(2, 45, 70)
        clear = torch.rand(2, 13, 48, 72)
        monkeypatch.setattr(model, 'denoise', lambda *_: 2 * clear - 1)
        out = model(image, sar)['reconstruction']
        torch.testing.assert_close(out, clear[..., :45, :70])

    def test_every_parameter_gets_a_gradient(self) -> None:
        model = self.build()
        image, sar = inputs()
        model.training_loss(image, sar, image.flip(0)).backward()
        check_gradients(model)

    def test_autocast_gives_full_precision_and_a_finite_loss(self) -> None:
        model = self.build()
        image, sar = inputs()
        with torch.no_grad():
            out = check_autocast(model, (image, sar), self.autocast_error)
            with torch.autocast('cpu', dtype=torch.bfloat16):
                loss = model.training_loss(image, sar, image)
        assert out['reconstruction'].dtype == torch.float32
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)

    @pytest.mark.parametrize(
        ('image', 'sar', 'named'),
        [
            ((1, 12, 8, 8), (1, 2, 8, 8), '`image`'),
            ((1, 13, 8, 8), (1, 1, 8, 8), '`image_sar`'),
            ((1, 13, 8, 8), (1, 2, 8, 9), 'one grid'),
        ],
    )
    def test_wrong_inputs_of_training(
        self, image: tuple[int, ...], sar: tuple[int, ...], named: str
    ) -> None:
        clear = torch.rand(1, 13, 8, 8)
        with pytest.raises(ValueError, match=named):
            self.build().training_loss(torch.rand(image), torch.rand(sar), clear)

    @pytest.mark.parametrize('clear', [(1, 12, 8, 8), (1, 13, 8, 9), (2, 13, 8, 8)])
    def test_wrong_target(self, clear: tuple[int, ...]) -> None:
        image, sar = inputs(1, 8, 8)
        with pytest.raises(ValueError, match='`image_clear`'):
            self.build().training_loss(image, sar, torch.rand(clear))


def inputs(batch: int = 2, height: int = 24, width: int = 24) -> Pair:
    return pair(batch, height, width)


def overfitted(
    model: SamplingModel, recipe: Recipe, steps: int
) -> tuple[list[float], float]:
    """Losses on two chips of three bands, and the share that is left of the error."""
    generator = torch.Generator().manual_seed(1)
    clear = 0.4 * torch.rand(2, 3, 4, 4, generator=generator)
    clear = F.interpolate(clear, (16, 16), mode='bilinear')
    sar = torch.rand(2, 2, 16, 16, generator=generator)
    image = torch.rand(2, 3, 16, 16, generator=generator)
    batch = {'image': image, 'image_sar': sar, 'image_clear': clear}
    optimizer = recipe.optimizer(model.parameters())
    for group in optimizer.param_groups:
        group['lr'] = 5e-3

    def error() -> float:
        with torch.no_grad():
            out = model(image, sar)['reconstruction']
        return float((out - clear).square().mean())

    before = error()
    history = fit(model, recipe.losses, batch, optimizer, steps)
    return history, error() / before
