# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A model that sees no radar, through the `torchgeo` command."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torchgeo.main import main

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.input_record import InputRecord
from torchgeo_tdpcr.models import get_model, list_models

CONF = Path(__file__).parent.parent / 'conf' / 'tdpcr.yaml'

WITHOUT = ('tdpcr', 'tdpcr_small', 'uncrtaints', 'diffcr', 'emrdm', 'dsen2cr')


def test_fit_and_test(
    synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ['--config', str(CONF), f'--data.paths={synthetic_root}']
    main(['fit', *data, '--model.sar_channels=0', '--trainer.limit_train_batches=2'])
    *_, last = sorted(tmp_path.rglob('*.ckpt'))
    record = torch.load(last, weights_only=True)['hyper_parameters']['input_record']
    assert record['sar_bands'] == record['sar_clips'] == []

    # Another clip of a radar that it does not see is no contradiction
    shared = ['--data.sar_clip=shared', '--ckpt_path', str(last)]
    main(['test', *data, '--model.sar_channels=0', *shared])

    task = TDPCRTask.load_from_checkpoint(str(last), map_location='cpu').eval()
    module = OSFCRDataModule(str(synthetic_root), split_by='roi', batch_size=4)
    task.require_input(module)
    image = torch.rand(1, 13, 32, 32)
    with torch.no_grad():
        outputs = [
            task.predict_step(
                {'image': image, 'image_sar': torch.rand(1, n, 32, 32)}, 0
            )
            for n in (2, 1)
        ]
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


def test_a_record_without_radar() -> None:
    clips = ((0.0, 10000.0),)
    seen = InputRecord(('B4',), clips, ('VV',), ((-25.0, 0.0),))
    unseen = seen.without_sar()
    assert unseen.differences(seen) == []
    assert len(seen.differences(unseen)) == 1
    assert InputRecord.from_dict(unseen.to_dict()) == unseen


def arguments(name: str) -> dict[str, Any]:
    if name in ('cloudseg', 'cloudseg_teacher', 'segcr', 'segformer'):
        return {'num_classes': 7, 'encoder': 'mit_b0', 'sar_channels': 0}
    return {'sar_channels': 0}


@pytest.mark.parametrize('name', WITHOUT)
def test_models_that_do_without(name: str) -> None:
    with torch.device('meta'), torch.no_grad():
        model = get_model(name, **arguments(name)).eval()
        image, sar = torch.rand(1, 13, 32, 32), torch.rand(1, 2, 32, 32)
        assert model(image, sar)['reconstruction'].shape == image.shape
    with pytest.raises(ValueError, match='`sar_channels=-1`'):
        get_model(name, sar_channels=-1)


@pytest.mark.parametrize('name', [n for n in list_models() if n not in WITHOUT])
def test_models_that_do_not_say_so(name: str) -> None:
    if name.endswith('_for_tests'):
        pytest.skip('registered by another test')
    with pytest.raises(ValueError, match=r'`sar_channels=0`: .* do without, by 0'):
        get_model(name, **arguments(name))
