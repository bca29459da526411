# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows over scenes: they cover all, in rows, and are shared out whole."""

from collections import Counter

import numpy as np
import pytest

from torchgeo_tdpcr import WindowSampler
from torchgeo_tdpcr.datasets.scenes.progress import Progress
from torchgeo_tdpcr.samplers.windows import starts


class Shapes:
    """A dataset of scenes that knows their shapes only."""

    def __init__(self, *shapes: tuple[int, int]) -> None:
        self.shapes = shapes
        self.progress = Progress()

    def shape(self, scene: int) -> tuple[int, int]:
        return self.shapes[scene]

    def __len__(self) -> int:
        return len(self.shapes)


@pytest.mark.parametrize('length', [1, 63, 64, 65, 100, 112, 113, 500])
@pytest.mark.parametrize('overlap', [0, 16, 32])
def test_starts(length: int, overlap: int) -> None:
    first = starts(length, 64, overlap)
    assert first[0] == 0
    assert first[-1] == max(length - 64, 0)
    steps = np.diff(first)
    assert (steps > 0).all()
    assert (steps <= 64 - overlap).all()


def test_every_pixel_of_every_scene() -> None:
    dataset = Shapes((150, 204), (40, 90), (64, 64))
    hits = [np.zeros(shape, int) for shape in dataset.shapes]
    order = []
    for run in WindowSampler(dataset, size=64, overlap=16, batch_size=3):
        assert len(run.lefts) <= 3
        order.append((run.scene, run.top, run.lefts))
        for left in run.lefts:
            hit = hits[run.scene][
                run.top : run.top + run.height, left : left + run.width
            ]
            assert hit.shape == (run.height, run.width)
            hit += 1
    assert all((hit > 0).all() for hit in hits)
    assert order == sorted(order)


@pytest.mark.parametrize('world_size', [1, 2, 3, 5])
def test_scenes_are_shared_out_whole(world_size: int) -> None:
    dataset = Shapes((100, 100), (900, 900), (200, 200), (880, 900))
    samplers = [
        WindowSampler(dataset, 256, 64, 4, rank, world_size)
        for rank in range(world_size)
    ]
    shares = [sampler.scenes for sampler in samplers]
    assert sorted(scene for share in shares for scene in share) == [0, 1, 2, 3]
    if world_size > 1:
        # The two large ones do not go to one process
        assert not any({1, 3} <= set(share) for share in shares)
    runs = Counter(run for sampler in samplers for run in sampler)
    assert runs == Counter(WindowSampler(dataset, 256, 64, 4))


def test_goes_on_and_leaves_out() -> None:
    dataset = Shapes((150, 64), (64, 64), (64, 64))
    sampler = WindowSampler(dataset, 64, 16)
    dataset.progress.rows.update({0: 70, 1: 64})
    assert [(run.scene, run.top) for run in sampler] == [(0, 48), (0, 86), (2, 0)]
    seen = []
    for run in sampler:
        seen.append((run.scene, run.top))
        dataset.progress.fail(0, RuntimeError())
    assert seen == [(0, 48), (2, 0)]


@pytest.mark.parametrize(
    ('name', 'value'), [('overlap', -1), ('overlap', 129), ('batch_size', 0)]
)
def test_arguments(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f'`{name}={value}`'):
        WindowSampler(Shapes((9, 9)), **{name: value})
