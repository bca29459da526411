# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the tables tell of runs that go on."""

from pathlib import Path

from experiments.tables.jobs import Job
from experiments.tables.options import Options
from experiments.tables.planning import make_plan
from experiments.tables.progress import Progress, duration


def jobs(out: Path) -> list[Job]:
    options = Options(tables=(1,), rows=('cr-tdpcr', 'cr-glfcr'), out=str(out))
    return list(make_plan(options).jobs.values())


def start(job: Job) -> None:
    job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    text = f'{{"fingerprint": "{job.fingerprint}"}}'
    (job.folder / 'started.json').write_text(text)


def test_epochs_and_the_end(tmp_path: Path) -> None:
    one, other = jobs(tmp_path)
    progress = Progress([one, other], patience=0)
    assert progress.lines() == []
    start(one)
    assert progress.lines() == [f'{one.name}, seed 0: training starts']
    assert progress.lines() == []
    (one.checkpoint.parent / 'epoch=4.ckpt').touch()
    start(other)
    assert progress.lines() == [
        f'{one.name}, seed 0: epoch 5 of 12, 0 s',
        f'{other.name}, seed 0: training starts',
    ]
    one.result_file.write_text('{}')
    assert progress.lines() == [f'{one.name}, seed 0: done in 0 s']
    assert progress.lines() == []


def test_what_an_earlier_command_left(tmp_path: Path) -> None:
    one, other = jobs(tmp_path)
    start(one)
    (one.checkpoint.parent / 'epoch=1.ckpt').touch()
    start(other)
    other.result_file.write_text('{}')
    progress = Progress([one, other], patience=60)
    progress.begun += 5
    assert progress.lines() == []
    progress.begun -= 10
    assert progress.lines() == [
        f'{one.name}, seed 0: training starts after epoch 2 of 12'
    ]
    # Not each of many short epochs, but the last
    (one.checkpoint.parent / 'epoch=5.ckpt').touch()
    assert progress.lines() == []
    (one.checkpoint.parent / 'epoch=11.ckpt').touch()
    assert progress.lines() == [f'{one.name}, seed 0: epoch 12 of 12, 0 s']


def test_duration() -> None:
    assert [duration(s) for s in (0.4, 59.6, 3599, 7380)] == [
        '0 s',
        '1 min 0 s',
        '59 min 59 s',
        '2 h 3 min',
    ]
