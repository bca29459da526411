# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SIGTERM ends everything as Ctrl-C does: a line, nothing half written, status 143."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from processes import fork_all
from table_runs import write_run
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.synthetic import dataset as synthetic
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths
from torchgeo_tdpcr.signals import Terminated, ending_on_sigterm
from torchgeo_tdpcr.tasks import TDPCRTask

CONF = Path(__file__).parent / 'conf' / 'tdpcr.yaml'


class AskItself(Callback):
    """Ask the process to end, as a scheduler would, in the middle of a batch."""

    def ask(self, trainer: Any, module: Any, batch: Any, index: int, *_: Any) -> None:
        if index == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            # And again, while it tidies up
            os.kill(os.getpid(), signal.SIGTERM)

    on_train_batch_start = on_test_batch_start = on_predict_batch_start = ask


def ended(*calls: Any) -> list[tuple[int, str]]:
    """Status and words of processes."""
    return [
        (done.returncode, done.stdout + done.stderr)
        for done in fork_all(calls, [{}] * len(calls))
    ]


def map_and_ask(arguments: list[str]) -> None:
    """Map, and be asked to end at the first window."""

    def step(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    TDPCRTask.predict_step = step  # type: ignore[method-assign,assignment]
    raise SystemExit(main(arguments))


def synthesize_and_ask(arguments: list[str]) -> None:
    """Make chips, and be asked to end at the second region."""
    make = synthetic._make_roi

    def second(root: str, roi: int, *others: Any) -> dict[str, int]:
        if roi:
            os.kill(os.getpid(), signal.SIGTERM)
        return make(root, roi, *others)

    synthetic._make_roi = second
    raise SystemExit(main(arguments))


def test_every_command(
    tmp_path: Path,
    synthetic_root: Path,
    scene: ScenePaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = write_run(tmp_path, 'run', 0, synthetic_root) / 'checkpoints/last.ckpt'
    asked = ['--trainer.callbacks+=test_signals.AskItself']
    common = ['--config', str(CONF), '--data.paths', str(synthetic_root), *asked]
    common += ['--trainer.max_epochs=3']
    saves = [
        '--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint',
        '--trainer.callbacks.dirpath=saved', '--trainer.callbacks.filename={step}',
        '--trainer.callbacks.every_n_train_steps=1',
    ]  # fmt: skip
    files = ['--s2', str(scene.s2), '--s1', str(scene.s1)]
    options = ['--checkpoint', str(checkpoint), '--output', 'maps', '--no-progress']
    mapping = ['map', *files, *options, '--accelerator', 'cpu']
    few = ['--num-rois', '2', '--chips-per-roi', '2', '--chip-size', '32']
    made = ['synthesize', *few, '--workers', '0', '--no-progress', 'made']
    (fit,) = ended((torchgeo, ['fit', *common, *saves]))
    assert 'Ended by SIGTERM in epoch 0, after 1 steps. To go on:' in fit[1]
    (saved,) = Path('saved').iterdir()
    assert f"--ckpt_path '{saved.resolve()}'`." in fit[1]
    assert torch.load(saved, weights_only=True)['global_step'] == 1
    results = ended(
        (torchgeo, ['test', *common, '--ckpt_path', str(saved)]),
        (map_and_ask, mapping),
        (synthesize_and_ask, made),
    )
    for status, words in (fit, *results):
        assert status == 143, words
        assert 'Traceback' not in words
    test, maps, chips = (words for _, words in results)
    assert 'Ended by SIGTERM.' in test
    assert 'Interrupted. The same command goes on from here.' in maps
    assert 'torchgeo-tdpcr synthesize: ended by SIGTERM' in chips
    # The same command goes on
    assert main(made) == 0
    assert main(mapping) == 0


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def asked_to_end() -> None:
        with ending_on_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    with pytest.raises(Terminated) as end:
        asked_to_end()
    assert end.value.code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('torchgeo_tdpcr.commands.verify.run', interrupted)
    (tmp_path / 'data').touch()
    with pytest.raises(SystemExit) as end:
        main(['verify', str(tmp_path)])
    assert end.value.code == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == 'torchgeo-tdpcr verify: ended by Ctrl-C'
