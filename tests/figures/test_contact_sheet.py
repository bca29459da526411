# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr.callbacks import contact_sheet


def test_one_row_a_chip(synthetic_root: Path) -> None:
    task = TDPCRTask(
        model_kwargs={'dims': (4,), 'depths': (1,)}, phase1_epochs=1
    ).eval()
    module = OSFCRDataModule(paths=synthetic_root, split_by='roi')
    module.setup('test')
    one = contact_sheet(task, module, module.test_dataset, [0], dpi=30)
    two = contact_sheet(task, module, module.test_dataset, [0, 1], dpi=30)
    assert one.height < two.height <= 2 * one.height
    assert len(one.getcolors(one.width * one.height) or []) > 50
