# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.


import numpy as np
import pytest
import torch
from torch import Tensor

from torchgeo_tdpcr.models.baselines.emrdm import attention
from torchgeo_tdpcr.models.baselines.emrdm.blocks import RotaryPosition, rotate, unit


def naive_neighbourhood(*qkv: Tensor, kernel: int) -> np.ndarray:
    """One pixel at a time, by the definition."""
    q, k, v = (x.numpy() for x in qkv)
    batch, height, width, heads, _ = q.shape
    out = np.zeros_like(v)
    rows, columns = min(kernel, height), min(kernel, width)
    for i in range(height):
        top = min(max(i - rows // 2, 0), height - rows)
        for j in range(width):
            left = min(max(j - columns // 2, 0), width - columns)
            for b in range(batch):
                for h in range(heads):
                    near = np.s_[b, top : top + rows, left : left + columns, h]
                    logits = k[near] @ q[b, i, j, h]
                    share = np.exp(logits - logits.max())
                    share /= share.sum()
                    out[b, i, j, h] = np.einsum('ij,ijd->d', share, v[near])
    return out


@pytest.mark.parametrize(
    ('height', 'width', 'kernel'),
    [
        (16, 8, 7),
        (9, 17, 7),
        (4, 12, 7),
        (3, 1, 7),
        (11, 10, 5),
        (13, 20, 3),
        (5, 4, 1),
    ],
)
def test_neighbourhood_attention_is_that_of_a_loop(
    height: int, width: int, kernel: int
) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (3, 2, height, width, 2, 4)
    q, k, v = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    out = attention.neighbourhood_attention(q, k, v, kernel)
    expected = naive_neighbourhood(q, k, v, kernel=kernel)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_every_size_has_a_tiling_that_reaches_its_windows() -> None:
    # Uniform attention over values that are positions shows which keys took part.
    for size in range(1, 70):
        place = torch.arange(float(size)).view(1, size, 1, 1, 1)
        zero = torch.zeros_like(place)
        out = attention.neighbourhood_attention(zero, zero, place, 7).flatten()
        window = min(7, size)
        first = (torch.arange(size) - window // 2).clamp(0, size - window)
        torch.testing.assert_close(out, first + (window - 1) / 2)


def test_neighbourhood_attention_in_parts_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    q, k, v = torch.randn(3, 2, 40, 24, 2, 8)
    whole = attention.neighbourhood_attention(q, k, v, 7)
    monkeypatch.setattr(attention, 'MAX_TILES', 6)
    torch.testing.assert_close(attention.neighbourhood_attention(q, k, v, 7), whole)


def test_global_attention_is_a_softmax() -> None:
    q, k, v = torch.randn(3, 1, 3, 4, 2, 5, dtype=torch.float64)
    out = attention.global_attention(q, k, v)
    expected = naive_neighbourhood(q, k, v, kernel=99)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(('height', 'width'), [(8, 8), (6, 16), (10, 4)])
def test_rotary_positions_span_the_longer_side(height: int, width: int) -> None:
    cosine, sine = RotaryPosition(3, 16)(height, width)
    assert cosine.shape == (height, width, 3, 4)
    # Heads take turns: the frequency of head h and pair p is number 3p + h of six
    frequencies = np.pi * 10 ** ((3 * np.arange(2) + np.arange(3)[:, None]) / 6)
    for i in range(height):
        for j in range(width):
            # Edges of -1 and 1 on the longer side, aspect ratio kept, centres between
            longer = max(height, width)
            row = (-height + 2 * i + 1) / longer
            column = (-width + 2 * j + 1) / longer
            angles = np.concatenate([row * frequencies, column * frequencies], 1)
            np.testing.assert_allclose(cosine[i, j], np.cos(angles), atol=1e-5)
            np.testing.assert_allclose(sine[i, j], np.sin(angles), atol=1e-5)


def test_unit_length_with_the_small_number_inside_the_root() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 1e-3], [0.0, 0.0]])
    expected = [[0.6, 0.8], [0.0, 0.5**0.5], [0.0, 0.0]]
    torch.testing.assert_close(unit(x), torch.tensor(expected))


def test_rotary_positions_depend_on_the_distance_alone() -> None:
    position = RotaryPosition(2, 16)
    turn = position(6, 7)
    q, k = torch.randn(2, 2, 16)
    at = lambda x, i, j: rotate(x, turn[0][i, j], turn[1][i, j])  # noqa: E731
    product = (at(q, 0, 1) * at(k, 2, 4)).sum()
    torch.testing.assert_close((at(q, 3, 3) * at(k, 5, 6)).sum(), product)
    assert ((at(q, 0, 1) * at(k, 2, 5)).sum() - product).abs() > 1e-3
    assert ((at(q, 0, 1) * at(k, 3, 4)).sum() - product).abs() > 1e-3
    assert torch.equal(at(q, 5, 6)[:, 8:], q[:, 8:])
