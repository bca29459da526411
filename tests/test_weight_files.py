# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Weights in small files, from a checkpoint and into a task."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from table_runs import write_run

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.weight_files import checksum, export_weights, read_weights

SMALL = {'dims': [4, 8], 'depths': [1, 1]}


@pytest.fixture
def checkpoint(tmp_path: Path, synthetic_root: Path) -> Path:
    folder = write_run(tmp_path, 'run', 0, synthetic_root, training='peft')
    return folder / 'checkpoints' / 'last.ckpt'


def test_from_a_checkpoint_into_a_task(
    checkpoint: Path, tmp_path: Path, synthetic_root: Path
) -> None:
    path = tmp_path / 'small.safetensors'
    content = export_weights(checkpoint, path)
    assert content['sha256'] == checksum(path)
    assert content['hyper_parameters']['training'] == 'peft'
    task = TDPCRTask(model_kwargs=SMALL, training='peft', weights=path)
    trained = TDPCRTask.load_from_checkpoint(checkpoint, map_location='cpu')
    for (name, found), expected in zip(
        task.model.named_parameters(), trained.model.parameters(), strict=True
    ):
        assert found.dtype == torch.float32, name
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert task.trained
    assert task.input_record == OSFCRDataModule(synthetic_root).input_record
    assert not task._head_untrained


def test_files_are_small_and_tell_no_place(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / 'small.safetensors'
    export_weights(checkpoint, path)
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    assert path.stat().st_size < checkpoint.stat().st_size / 1.5
    assert str(tmp_path).encode() not in path.read_bytes()


def test_weights_of_another_version_are_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']._metadata['model']['version'] = 1
    torch.save(content, checkpoint)
    path = tmp_path / 'small.safetensors'
    export_weights(checkpoint, path)
    with pytest.raises(ValueError, match='added its output to the cloudy image'):
        TDPCRTask(model_kwargs=SMALL, training='peft', weights=path)


def test_changed_files_are_told(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / 'small.safetensors'
    content = export_weights(checkpoint, path)
    read_weights(path, content['sha256'])
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r'small\.safetensors.* is damaged'):
        read_weights(path, content['sha256'])


def test_other_files_are_told(tmp_path: Path, checkpoint: Path) -> None:
    path = tmp_path / 'other.safetensors'
    with pytest.raises(FileNotFoundError, match='no such file'):
        read_weights(path)
    save_file({'weight': torch.zeros(2)}, path)
    with pytest.raises(ValueError, match='holds no weights that'):
        read_weights(path)
    path.write_bytes(b'no tensors')
    with pytest.raises(ValueError, match='holds no weights that'):
        read_weights(path)
    with pytest.raises(ValueError, match=r"must end in '\.safetensors'"):
        export_weights(checkpoint, tmp_path / 'small.pt')
    torch.save({'weight': torch.zeros(2)}, tmp_path / 'plain.ckpt')
    with pytest.raises(ValueError, match='no checkpoint of TDPCRTask'):
        export_weights(tmp_path / 'plain.ckpt', path)


def test_arguments_may_be_changed(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / 'small.safetensors'
    plain = export_weights(checkpoint, path)['hyper_parameters']
    changed = export_weights(checkpoint, path, lr=0.5)['hyper_parameters']
    assert changed == plain | {'lr': 0.5}
