# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Add expected errors to weights that tell none, all else frozen.

    python -m experiments.weights.parts NAME --checkpoint FILE --training COMMAND \
        --samples DIR

FILE is a checkpoint, or weights that were packed. What they restore stays as it is: learnt
is how far off it may be. The land is not that which they were trained on, nor is it alike
from region to region, so that they err as they do elsewhere. Then they are measured and
packed.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchgeo_tdpcr.commands.checks import check_file, check_folder
from torchgeo_tdpcr.weight_files import SUFFIX

from .__main__ import main as measure_and_pack

if TYPE_CHECKING:
    from torchgeo_tdpcr import TDPCRTask

#: The synthetic set: other regions than those that weights are trained on.
DATA: dict[str, Any] = {
    'num_rois': 100, 'chips_per_roi': 6, 'chip_size': 160, 'seed': 1, 'variety': 0.3,
}  # fmt: skip
#: What the model is given.
PARTS = {'uncertainty': True}
EPOCHS = 6


def with_parts(task: 'TDPCRTask') -> 'TDPCRTask':
    """Build a task that has the parts and trains nothing else.

    Args:
        task: The task with the weights.

    Returns:
        The same with the parts at their start.
    """
    from torchgeo_tdpcr import TDPCRTask

    class PartsTask(TDPCRTask):
        """Trains the parts alone, whatever its phase would train."""

        def configure_optimizers(self) -> Any:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad = name in new
            return super().configure_optimizers()

    arguments = {key: task.hparams[key] for key in ('model', 'in_channels', 'labels')}
    kwargs = {**(task.hparams['model_kwargs'] or {}), **PARTS}
    parts = PartsTask(**arguments, model_kwargs=kwargs, training='joint', lr=0.002)
    found = parts.model.load_state_dict(task.model.state_dict(), strict=False)
    if found.unexpected_keys or not found.missing_keys:
        raise ValueError('These weights have the parts, or are of another model.')
    new = set(found.missing_keys)
    return parts


def train(task: 'TDPCRTask', folder: Path, **trainer: Any) -> Path:
    """Train the parts.

    Args:
        task: The task with the weights.
        folder: Folder to work in.
        **trainer: Arguments of the trainer.

    Returns:
        The checkpoint.
    """
    from lightning.pytorch import Trainer, seed_everything

    from torchgeo_tdpcr import OSFCRDataModule

    from .measuring import level_of

    assert task.input_record is not None
    bands = task.input_record.bands
    level = level_of(bands)
    seed_everything(0)
    parts = with_parts(task)
    datamodule = OSFCRDataModule(
        str(folder / f'data-{level}'),
        batch_size=8,
        bands=bands,
        split_by='roi',
        class_names=task.input_record.class_names,
        synthetic=True,
        synthetic_args={**DATA, 'level': level},
    )
    settings = {'max_epochs': EPOCHS, 'precision': 'bf16-mixed', **trainer}
    fitting = Trainer(
        accelerator='cpu',
        gradient_clip_val=0.5,
        logger=False,
        enable_checkpointing=False,
        limit_val_batches=0,
        enable_model_summary=False,
        **settings,
    )
    fitting.fit(parts, datamodule=datamodule)
    checkpoint = folder / 'parts.ckpt'
    fitting.save_checkpoint(checkpoint)
    return checkpoint


def main(argv: list[str] | None = None) -> None:
    """Add the parts, measure and pack."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights.parts',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('name', help='of the weights to pack, such as sentinel2_l1c_small')
    add('--checkpoint', type=Path, required=True, help='weights without the parts')
    add('--training', required=True, help='the command that trained them')
    add('--samples', type=Path, required=True, help='folder of the real samples')
    options = parser.parse_args(argv)
    try:
        check_folder('--samples', str(options.samples))
        check_file('--checkpoint', str(options.checkpoint))
    except OSError as error:
        parser.error(str(error))
    print('Training parts …', file=sys.stderr, flush=True)
    # They import PyTorch and TorchGeo, which is silent for long
    from torchgeo_tdpcr import TDPCRTask

    if options.checkpoint.suffix == SUFFIX:
        task = TDPCRTask.load_from_weights(options.checkpoint)
    else:
        task = TDPCRTask.load_from_checkpoint(options.checkpoint, map_location='cpu')
    checkpoint = train(task, Path('runs', 'weights', options.name))
    measure_and_pack(
        [
            f'--checkpoint={checkpoint}',
            f'--name={options.name}',
            f'--training={options.training}; python -m experiments.weights.parts '
            f'{options.name}',
            f'--samples={options.samples}',
        ]
    )


if __name__ == '__main__':
    main()
