# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch

from torchgeo_tdpcr.models.baselines.excitation import SqueezeExcitation


@pytest.mark.parametrize(('reduction', 'narrow'), [(3, 2), (16, 1)])
def test_squeeze_excitation_scales_channels(reduction: int, narrow: int) -> None:
    torch.manual_seed(0)
    excitation = SqueezeExcitation(8, reduction)
    first, second = (parameter for parameter in excitation.parameters())
    assert first.shape == (narrow, 8)
    x = torch.rand(2, 8, 5, 7)
    scale = ((x.mean((2, 3)) @ first.T).relu() @ second.T).sigmoid()
    expected = torch.einsum('bchw,bc->bchw', x, scale)
    torch.testing.assert_close(excitation(x), expected)
