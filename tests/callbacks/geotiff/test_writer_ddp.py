# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes shared out over two processes: the same bytes as from one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from writer_models import SLEEP, contents, pairs_csv, predict

from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair

SCRIPT = """
import sys
sys.path.insert(0, {helpers!r})
import torch
torch.set_num_threads(1)
from datetime import timedelta
from pathlib import Path
from lightning.pytorch.strategies import DDPStrategy
from writer_models import predict
# Processes of the group give up on each other long before the slower is done
strategy = DDPStrategy(timeout=timedelta(seconds=15))
predict(
    Path({out!r}),
    {{'pairs': {pairs!r}}},
    trainer={{'devices': 2, 'strategy': strategy, 'use_distributed_sampler': True}},
)
"""


@pytest.mark.skipif(
    not torch.distributed.is_available(), reason='needs torch.distributed'
)
def test_two_processes(tmp_path: Path, scene: ScenePaths, other: ScenePaths) -> None:
    far = write_scene_pair(tmp_path / 'far', size=64, seed=6)
    far.s1.unlink()
    far.s1.write_bytes(b'broken')
    table = pairs_csv(tmp_path / 'pairs.csv', scene, other, far)
    script = tmp_path / 'run.py'
    script.write_text(
        SCRIPT.format(
            helpers=str(Path(__file__).parent),
            out=str(tmp_path / 'two'),
            pairs=str(table),
        )
    )
    run = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, SLEEP: '18'},
    )
    assert run.returncode != 0
    assert '1 of 3 scenes could not be mapped' in run.stderr
    assert '2 of 3 scenes mapped' in run.stdout
    predict(tmp_path / 'one', {'pairs': pairs_csv(tmp_path / 'good.csv', scene, other)})
    assert len(contents(tmp_path / 'one')) == 6
    assert contents(tmp_path / 'two') == contents(tmp_path / 'one')
