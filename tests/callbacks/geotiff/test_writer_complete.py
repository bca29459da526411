# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter publishes what is complete, whatever limits the trainer or the sampler."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lock_holder import held
from processes import fork
from writer_models import CALLS, contents, pairs_csv, predict

from torchgeo_tdpcr.callbacks import ScenesFailed
from torchgeo_tdpcr.datasets.scenes.common import WindowRun
from torchgeo_tdpcr.datasets.scenes.dataset import SceneDataset
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths
from torchgeo_tdpcr.samplers.windows import WindowSampler


def data(scene: ScenePaths, **kwargs: Any) -> dict[str, Any]:
    return {'s2': scene.s2, 's1': scene.s1, 'batch_size': 2, **kwargs}


# Three rows of windows, from 0 to 64, 48 to 112 and 86 to 150, two batches each. Rows are
# done once windows below them come; those that cross row 86 or 48 are needed again
@pytest.mark.parametrize(
    ('limits', 'row', 'rest'),
    [
        ({'fast_dev_run': True}, 0, 6),
        ({'limit_predict_batches': 5}, 112, 4),
        ({'limit_predict_batches': 0.5}, 64, 6),
        ({'limit_predict_batches': 0}, 0, 6),
    ],
)
def test_limits_of_the_trainer(
    tmp_path: Path, scene: ScenePaths, limits: dict[str, Any], row: int, rest: int
) -> None:
    out = tmp_path / 'maps'
    with pytest.raises(ScenesFailed, match="'scene_s2': is incomplete") as error:
        predict(out, data(scene), trainer=limits)
    assert str(error.value).startswith('1 of 1 scenes could not be mapped')
    assert f'from row {row} on' in str(error.value)
    assert not (out / 'scene_s2').exists()
    begun = limits.get('limit_predict_batches') != 0
    assert [p.name for p in out.iterdir()] == ['.scene_s2.part'] * begun
    predict(out, data(scene))
    assert len(CALLS) == rest
    predict(tmp_path / 'whole', data(scene))
    assert contents(out) == contents(tmp_path / 'whole')


def test_scenes_that_a_limit_never_reaches(
    tmp_path: Path, scene: ScenePaths, other: ScenePaths
) -> None:
    table = pairs_csv(tmp_path / 'pairs.csv', scene, other)
    trainer = {'limit_predict_batches': 6}
    with pytest.raises(ScenesFailed) as error:
        predict(tmp_path / 'maps', {'pairs': table, 'batch_size': 2}, trainer=trainer)
    assert list(error.value.failed) == ['scene1']
    assert 'of its 96 rows, windows are lacking from row 0' in str(error.value)
    assert [path.name for path in (tmp_path / 'maps').iterdir()] == ['scene0']


def sampled(
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[WindowRun]], list[WindowRun]],
) -> None:
    runs = WindowSampler.__iter__

    def iterate(self: WindowSampler) -> Iterator[WindowRun]:
        return iter(change(list(runs(self))))

    monkeypatch.setattr(WindowSampler, '__iter__', iterate)


@pytest.mark.parametrize(('left_out', 'saved'), [(1, 0), (3, 48), (5, 86)])
def test_sampler_that_leaves_windows_out(
    tmp_path: Path,
    scene: ScenePaths,
    monkeypatch: pytest.MonkeyPatch,
    left_out: int,
    saved: int,
) -> None:
    with monkeypatch.context() as patch:
        sampled(patch, lambda runs: runs[:left_out] + runs[left_out + 1 :])
        with pytest.raises(ScenesFailed, match='windows are lacking from row') as error:
            predict(tmp_path / 'maps', data(scene))
    row = int(str(error.value).split('from row ')[1].split()[0])
    assert saved <= row
    # A later run begins above the gap
    predict(tmp_path / 'maps', data(scene))
    predict(tmp_path / 'whole', data(scene))
    assert contents(tmp_path / 'maps') == contents(tmp_path / 'whole')


def test_windows_that_come_twice(
    tmp_path: Path, scene: ScenePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # As a distributed sampler fills up shares, and as a retry would
        sampled(patch, lambda runs: [*runs[:1], *runs, *runs[:1]])
        predict(tmp_path / 'maps', data(scene))
    predict(tmp_path / 'whole', data(scene))
    assert contents(tmp_path / 'maps') == contents(tmp_path / 'whole')


def test_a_map_that_lost_a_file_is_made_again(
    tmp_path: Path, scene: ScenePaths, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(tmp_path, data(scene))
    before = contents(tmp_path)
    (tmp_path / 'scene_s2' / 'scene_s2_classes.tif').unlink()
    predict(tmp_path, data(scene))
    assert '1 of 1 scenes mapped' in capsys.readouterr().out
    assert contents(tmp_path) == before


@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError('out of memory')])
def test_an_error_in_the_middle(
    tmp_path: Path, scene: ScenePaths, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    read = SceneDataset.__getitem__

    def stop(self: SceneDataset, index: Any) -> Any:
        if index.top == 86:
            raise error
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(SceneDataset, '__getitem__', stop)
        with pytest.raises((SystemExit, RuntimeError)):
            predict(tmp_path / 'maps', data(scene))
    # Nothing is locked, in this process either
    (part,) = (tmp_path / 'maps').iterdir()
    assert json.loads((part / 'progress.json').read_text())['rows'] == 48
    predict(tmp_path / 'maps', data(scene))
    predict(tmp_path / 'whole', data(scene))
    assert contents(tmp_path / 'maps') == contents(tmp_path / 'whole')


def predict_with_a_killed_worker(output_dir: Path, scene: ScenePaths) -> None:
    read = SceneDataset.__getitem__

    def die(self: SceneDataset, index: Any) -> Any:
        if index.top == 86:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, index)

    # Workers inherit it
    multiprocessing.set_start_method('fork', force=True)
    SceneDataset.__getitem__ = die  # type: ignore[method-assign]
    predict(output_dir, data(scene, num_workers=1))


def test_a_killed_worker_is_an_error(tmp_path: Path, scene: ScenePaths) -> None:
    out = tmp_path / 'maps'
    done = fork(predict_with_a_killed_worker, out, scene)
    assert done.returncode == 1
    # What torch says depends on what was under way
    said = ('killed by signal', 'ConnectionResetError', 'EOFError')
    assert any(words in done.stderr for words in said)
    assert [path.name for path in out.iterdir()] == ['.scene_s2.part']
    predict(out, data(scene))
    predict(tmp_path / 'whole', data(scene))
    assert contents(out) == contents(tmp_path / 'whole')


def test_all_scenes_refused(
    tmp_path: Path, scene: ScenePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning does not begin to predict; the summary is written all the same."""
    table = tmp_path / 'pairs.csv'
    table.write_text(f's2,s1,name\n{scene.s2},{scene.s2},a\n{scene.s2},{scene.s2},b\n')
    with pytest.raises(ScenesFailed, match='2 of 2 scenes could not be mapped'):
        predict(tmp_path / 'maps', {'pairs': table})


def test_a_scene_that_another_process_makes(
    tmp_path: Path, scene: ScenePaths, other: ScenePaths
) -> None:
    table = pairs_csv(tmp_path / 'pairs.csv', scene, other)
    out = tmp_path / 'maps'
    part = out / '.scene0.part'
    part.mkdir(parents=True)
    (part / 'image.raw').write_text('theirs')
    with held(out / '.scene0.lock') as process:
        with pytest.raises(ScenesFailed) as error:
            predict(out, {'pairs': table})
        assert list(error.value.failed) == ['scene0']
        message = f"'{out / 'scene0'}': is being made by process {process.pid} on "
        assert error.value.failed['scene0'].startswith(message)
        assert (part / 'image.raw').read_text() == 'theirs'
        assert {p.name for p in out.iterdir()} == {
            '.scene0.lock',
            '.scene0.part',
            'scene1',
        }
    predict(out, {'pairs': table})
    assert {p.name for p in out.iterdir()} == {'scene0', 'scene1'}
