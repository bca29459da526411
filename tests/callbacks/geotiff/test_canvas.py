# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The canvas: blending against an explicit weighted average, order, bounded memory."""

import numpy as np
import pytest
import torch
from torch import Tensor

from torchgeo_tdpcr.callbacks.geotiff.canvas import Canvas, OrderError
from torchgeo_tdpcr.samplers.windows import starts

HEIGHT, WIDTH, SIZE, OVERLAP = 50, 41, 16, 6


class Collect:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.image = np.full((2, HEIGHT, WIDTH), np.nan)
        self.valid = np.zeros((HEIGHT, WIDTH), bool)
        self.times = np.zeros(HEIGHT, int)

    def __call__(self, top: int, rows: dict[str, Tensor], valid: Tensor) -> None:
        cut = slice(top, top + len(valid))
        self.image[:, cut] = rows['x']
        self.valid[cut] = valid
        self.times[cut] += 1


def windows(
    seed: int = 0,
) -> list[tuple[int, int, Tensor, Tensor]]:
    """Windows of noise, from the top to the bottom, some pixels not valid."""
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(HEIGHT, WIDTH, generator=generator) > 0.2
    valid[:20, :20] = False
    return [
        (
            top,
            left,
            torch.rand(2, SIZE, SIZE, generator=generator),
            valid[top : top + SIZE, left : left + SIZE],
        )
        for top in starts(HEIGHT, SIZE, OVERLAP)
        for left in starts(WIDTH, SIZE, OVERLAP)
    ]


def expected(parts: list[tuple[int, int, Tensor, Tensor]]) -> tuple[np.ndarray, ...]:
    """The definition: pixel by pixel, weights that fall linearly to the border."""
    total = np.zeros((2, HEIGHT, WIDTH))
    weights = np.zeros((HEIGHT, WIDTH))
    for top, left, value, valid in parts:
        for i in range(SIZE):
            for j in range(SIZE):
                weight = (min(i, SIZE - 1 - i) + 0.5) * (min(j, SIZE - 1 - j) + 0.5)
                if valid[i, j]:
                    weights[top + i, left + j] += weight
                    total[:, top + i, left + j] += weight * value[:, i, j].numpy()
    with np.errstate(invalid='ignore'):
        return total / weights, weights > 0


def run(parts: list[tuple[int, int, Tensor, Tensor]], start: int = 0) -> Collect:
    sink = Collect()
    canvas = Canvas(HEIGHT, WIDTH, sink, start)
    for top, left, value, valid in parts:
        canvas.add({'x': value[None]}, [top], [left], valid[None])
        assert canvas._weights.shape[0] <= SIZE
    canvas.finish()
    return sink


def test_blends_as_defined() -> None:
    parts = windows()
    image, valid = expected(parts)
    got = run(parts)
    assert (got.times == 1).all()
    np.testing.assert_array_equal(got.valid, valid)
    np.testing.assert_allclose(got.image[:, valid], image[:, valid], rtol=1e-5)


def test_upward_gives_the_same() -> None:
    parts = windows()
    sink = Collect()
    canvas = Canvas(HEIGHT, WIDTH, sink, upward=True)
    for top, left, value, valid in reversed(parts):
        canvas.add({'x': value[None]}, [top], [left], valid[None])
    canvas.finish()
    image, valid = expected(parts)
    assert (sink.times == 1).all()
    np.testing.assert_array_equal(sink.valid, valid)
    np.testing.assert_allclose(sink.image[:, valid], image[:, valid], rtol=1e-5)


def test_goes_on_below_rows_that_are_done() -> None:
    parts = windows()
    whole = run(parts)
    rest = run([part for part in parts if part[0] + SIZE > 20], start=20)
    assert (rest.times[:20] == 0).all()
    assert (rest.times[20:] == 1).all()
    np.testing.assert_array_equal(rest.image[:, 20:], whole.image[:, 20:])
    np.testing.assert_array_equal(rest.valid[20:], whole.valid[20:])


def test_windows_may_stick_out() -> None:
    sink = Collect()
    canvas = Canvas(HEIGHT, WIDTH, sink)
    canvas.add({'x': torch.ones(1, 2, SIZE, SIZE)}, [-4], [-5])
    canvas.add({'x': torch.ones(1, 2, SIZE, SIZE)}, [-4], [WIDTH - 3])
    canvas.add({'x': torch.ones(1, 2, SIZE, SIZE)}, [HEIGHT - 2], [WIDTH + 8])
    canvas.finish()
    assert sink.valid.sum() == (SIZE - 4) * (SIZE - 5 + 3)
    np.testing.assert_allclose(sink.image[:, sink.valid], 1)


def test_a_window_above_finished_rows_is_an_error() -> None:
    canvas = Canvas(HEIGHT, WIDTH, Collect())
    one = {'x': torch.ones(1, 2, SIZE, SIZE)}
    canvas.add(one, [0], [0])
    canvas.add(one, [20], [0])
    with pytest.raises(OrderError, match='Windows must come in rows'):
        canvas.add(one, [10], [0])


def test_constant_windows_meet_in_a_ramp() -> None:
    """Two windows as different as can be: no step is higher than 1 / overlap."""
    steps: list[Tensor] = []
    canvas = Canvas(
        SIZE, 2 * SIZE - OVERLAP, lambda _, rows, __: steps.append(rows['x'])
    )
    canvas.add({'x': torch.zeros(1, 1, SIZE, SIZE)}, [0], [0])
    canvas.add({'x': torch.ones(1, 1, SIZE, SIZE)}, [0], [SIZE - OVERLAP])
    canvas.finish()
    (image,) = steps
    assert image.diff(dim=-1).abs().max() <= 1 / OVERLAP + 1e-6
