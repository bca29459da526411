# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import segmentation_models_pytorch as smp
import torch

from torchgeo_tdpcr.models.baselines.mix_transformer import MixTransformer


def test_stages_are_those_of_the_library() -> None:
    """Run one by one they give what the library's encoder gives."""
    torch.manual_seed(0)
    encoder = MixTransformer('mit_b0', 3).eval()
    torch.manual_seed(0)
    library = smp.encoders.get_encoder('mit_b0', 3, 5, None).eval()
    x = torch.rand(1, 3, 64, 64)
    expected = library(x)[2:]
    for i, wanted in enumerate(expected):
        x = encoder.refine(i, encoder.embed(i, x))
        torch.testing.assert_close(x, wanted)
