# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Add what hands on clear pixels and what tells expected errors, all else frozen.

    python -m experiments.weights.parts NAME --samples DIR
    python -m experiments.weights.parts NAME --checkpoint FILE --training COMMAND \
        --samples DIR

The first adds them to what is packed, the second to a checkpoint. Encoders and decoders
stay as they are: learnt is which pixels are clear, and how far off the others may be, anew
where that is known already. The land is not that which they were trained on, nor is it
alike from region to region, so that they err as they do elsewhere. Then they are measured
and packed.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchgeo_tdpcr.commands.shared.checks import whole
from torchgeo_tdpcr.weights import FOLDER, SUFFIX, read_meta

from .__main__ import main as measure_and_pack
from .__main__ import source_of

if TYPE_CHECKING:
    from torchgeo_tdpcr import TDPCRTask

#: The synthetic set: other regions than those that weights are trained on.
DATA: dict[str, Any] = {
    'num_rois': 100, 'chips_per_roi': 6, 'chip_size': 160, 'seed': 1, 'variety': 0.3,
    'soft_clouds': 0.5, 'cities': 1.0,
}  # fmt: skip
#: What the model is given.
GIVEN = {'uncertainty': True, 'clear_gate': True}
EPOCHS = 6


def with_parts(task: 'TDPCRTask') -> 'TDPCRTask':
    """Build a task that has the parts and trains nothing else.

    Args:
        task: The task with the weights.

    Returns:
        The same with the parts at their start.
    """
    from torchgeo_tdpcr import TDPCRTask
    from torchgeo_tdpcr.tasks.weights import PARTS

    class PartsTask(TDPCRTask):
        """Trains the parts alone, whatever its phase would train."""

        def train(self, mode: bool = True) -> 'PartsTask':
            super().train(mode)
            for name, module in self.model.named_children():
                module.train(mode and f'{name}.' in PARTS)
            return self

        def configure_optimizers(self) -> Any:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad = name in new
            return super().configure_optimizers()

    arguments = {key: task.hparams[key] for key in ('model', 'in_channels', 'labels')}
    kwargs = {**(task.hparams['model_kwargs'] or {}), **GIVEN}
    kwargs.pop('uncertainty_factor', None)
    parts = PartsTask(**arguments, model_kwargs=kwargs, training='joint', lr=0.002)
    known = {
        k: v for k, v in task.model.state_dict().items() if not k.startswith(PARTS)
    }
    found = parts.model.load_state_dict(known, strict=False)
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


def add_parts(
    source: Path,
    name: str,
    samples: Path,
    training: str,
    dataset: str | None = None,
    epochs: int = EPOCHS,
) -> None:
    """Add the parts to weights, measure and pack them.

    Args:
        source: A checkpoint, or weights that were packed.
        name: Name of the weights to pack.
        samples: Folder of the real samples.
        training: The command that trained them.
        dataset: What they were trained on (default: synthetic scenes).
        epochs: How long the parts are trained.
    """
    print('Training parts …', file=sys.stderr, flush=True)
    # They import PyTorch and TorchGeo, which is silent for long
    from torchgeo_tdpcr import TDPCRTask

    if source.suffix == SUFFIX:
        task = TDPCRTask.load_from_weights(source)
    else:
        task = TDPCRTask.load_from_checkpoint(source, map_location='cpu')
    checkpoint = train(task, Path('runs', 'weights', name), max_epochs=epochs)
    about = [f'--training={training}', *([f'--dataset={dataset}'] if dataset else [])]
    measure_and_pack(
        [f'--checkpoint={checkpoint}', f'--name={name}', f'--samples={samples}', *about]
    )


def main(argv: list[str] | None = None) -> None:
    """Add the parts, measure and pack."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights.parts',
        description=(__doc__ or '').splitlines()[0],
    )
    add = parser.add_argument
    add('name', help='of the weights to pack, such as sentinel2_l1c_small')
    add('--checkpoint', type=Path, help='what to add to (default: what is packed)')
    add('--training', help='the command that trained the checkpoint')
    add('--samples', type=Path, required=True, help='folder of the real samples')
    add(
        '--epochs',
        type=whole(1),
        default=EPOCHS,
        help='how long the parts are trained (default: %(default)s)',
    )
    options = parser.parse_args(argv)
    source = source_of(options, parser, FOLDER, 'NAME')
    known = {} if options.checkpoint else read_meta(options.name)
    training = options.training or known['training']
    own = f'python -m experiments.weights.parts {options.name}'
    # What was added before is learnt anew
    training = training.split(f'; {own}')[0]
    longer = f' --epochs {options.epochs}' if options.epochs != EPOCHS else ''
    add_parts(
        source,
        options.name,
        options.samples,
        f'{training}; {own}{longer}',
        known.get('dataset'),
        options.epochs,
    )


if __name__ == '__main__':
    main()
