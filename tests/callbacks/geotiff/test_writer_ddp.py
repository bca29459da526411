# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Scenes shared out over two processes: the same bytes as from one."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from processes import as_torchrun, fork_all
from torch.distributed import distributed_c10d
from writer_models import SLEEP, contents, pairs_csv, predict

from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths, write_scene_pair


class Impatient(DDPStrategy):
    """Processes that give up on each other before the slower has made its maps."""

    def predict_step(self, *args: Any, **kwargs: Any) -> Any:
        # Not from the start: how far apart processes start is the machine's choice
        distributed_c10d._set_pg_timeout(timedelta(seconds=2))
        return super().predict_step(*args, **kwargs)


def predict_in_two(output_dir: Path, pairs: Path) -> None:
    trainer = {
        'devices': 2,
        'strategy': Impatient(process_group_backend='gloo'),
        'use_distributed_sampler': True,
    }
    predict(output_dir, {'pairs': pairs}, trainer=trainer)


@pytest.mark.skipif(
    not torch.distributed.is_available(), reason='needs torch.distributed'
)
def test_two_processes(tmp_path: Path, scene: ScenePaths, other: ScenePaths) -> None:
    far = write_scene_pair(tmp_path / 'far', size=64, seed=6)
    far.s1.unlink()
    far.s1.write_bytes(b'broken')
    table = pairs_csv(tmp_path / 'pairs.csv', scene, other, far)
    first, second = fork_all(
        [(predict_in_two, tmp_path / 'two', table)] * 2,
        [{**environ, SLEEP: '5'} for environ in as_torchrun(2)],
    )
    assert '2 of 3 scenes mapped' in first.stdout, first.stderr + second.stderr
    assert '2 of 3 scenes mapped' not in second.stdout
    for done in (first, second):
        assert done.returncode == 1
        assert '1 of 3 scenes could not be mapped' in done.stderr
    predict(tmp_path / 'one', {'pairs': pairs_csv(tmp_path / 'good.csv', scene, other)})
    assert len(contents(tmp_path / 'one')) == 6
    assert contents(tmp_path / 'two') == contents(tmp_path / 'one')
