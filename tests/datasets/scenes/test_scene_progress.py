# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tests of how far scenes are."""

from torchgeo_tdpcr.datasets.scenes.progress import Progress


def test_windows_that_are_wanted() -> None:
    progress = Progress(rows={0: 70})
    assert [progress.wants(0, bottom) for bottom in (70, 71)] == [False, True]
    assert progress.wants(1, 1)
    progress.advance(0, 30)
    assert [progress.wants(0, bottom) for bottom in (100, 101)] == [False, True]


def test_how_scenes_end() -> None:
    progress = Progress()
    assert not any(progress.is_over(scene) for scene in range(3))
    progress.skip(0, 64)
    progress.fail(1, OSError('first'))
    progress.finish(2)
    assert all(progress.is_over(scene) for scene in range(3))
    assert not progress.wants(0, 64)
    assert not progress.wants(1, 10**6)
    # What comes of the first error is not what went wrong
    progress.fail(1, OSError('second'))
    assert str(progress.failures[1]) == 'first'
