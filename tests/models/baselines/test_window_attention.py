# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch

from torchgeo_tdpcr.models.baselines.window_attention import (
    PositionBias,
    window_attention,
)


@pytest.mark.parametrize(
    ('height', 'width', 'shift'), [(8, 12, 0), (7, 9, 0), (8, 8, 2), (3, 10, 2)]
)
def test_window_attention_pixel_by_pixel(height: int, width: int, shift: int) -> None:
    """Against attention of each pixel over the window that it lies in."""
    torch.manual_seed(0)
    window, heads = 4, 2
    query, key = torch.randn(2, 2, 6, height, width)
    value = torch.randn(2, 4, height, width)
    bias = torch.randn(heads, 16, 16)
    out = window_attention(query, key, value, bias, window, shift)
    assert out.shape == value.shape
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, 1)):
        top = (row + shift) // window * window - shift
        left = (column + shift) // window * window - shift
        own = (row - top) * window + column - left
        rows = torch.arange(top, top + window).clamp(0, height - 1)
        columns = torch.arange(left, left + window).clamp(0, width - 1)
        for head in range(heads):
            k = key[0, 3 * head : 3 * head + 3][:, rows][:, :, columns].flatten(1)
            v = value[0, 2 * head : 2 * head + 2][:, rows][:, :, columns].flatten(1)
            q = query[0, 3 * head : 3 * head + 3, row, column]
            weights = (q @ k / 3**0.5 + bias[head, own]).softmax(0)
            torch.testing.assert_close(
                out[0, 2 * head : 2 * head + 2, row, column], v @ weights
            )


def test_position_bias_depends_on_the_offset_alone() -> None:
    bias = PositionBias(3, 1)()[0]
    # one to the right: from pixel 0 to 1 as from 4 to 5; one below: 0 to 3, 4 to 7
    assert bias[1, 0] == bias[5, 4] != bias[0, 1]
    assert bias[3, 0] == bias[7, 4] != bias[1, 0]
    assert len(bias.unique()) == 25
