# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The steps behind the page on real images."""

import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torchgeo.datasets import stack_samples
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr import (
    OSFCR,
    SEN12MSCR,
    OSFCRDataModule,
    RestorationMetrics,
    SegmentationMetrics,
    TDPCRTask,
)
from torchgeo_tdpcr.callbacks import contact_sheet
from torchgeo_tdpcr.datasets import ChipDataset, verify
from torchgeo_tdpcr.files import replacing, write_text

from ..markdown import cell, table
from .lay_out import TERRAMIND_LABELS, lay_out_pairs, lay_out_terramind

HERE = Path(__file__).parent
#: From what the repository that the pairs come from, Oriolac/cloud-removal, also holds.
ANCHOR = (
    'A residual network that was trained on SEN12MS-CR itself has 25.2 dB over cloudy and '
    '25.3 dB over all pixels of these pairs.'
)
LABELLED = ('s2_cloudy', 's2', 's1', 'land_cover_maps', 'cloud_detection_results')


def load(checkpoint: Path) -> TDPCRTask:
    """Load a task for evaluation."""
    return TDPCRTask.load_from_checkpoint(checkpoint, map_location='cpu').eval()


def predictions(
    task: TDPCRTask, dataset: ChipDataset
) -> Iterator[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    """Yield each chip of a dataset as a normalised batch, and what a task makes of it."""
    module = OSFCRDataModule(bands=dataset.bands)
    for i in range(len(dataset)):
        batch = module.aug(stack_samples([dataset[i]]))
        with torch.inference_mode():
            outputs = task.predict_step(batch, 0)
        yield batch, outputs


def score(task: TDPCRTask, dataset: ChipDataset) -> list[dict[str, float]]:
    """Score every chip of a dataset.

    Args:
        task: The task.
        dataset: Chips with a clear image; land cover and cloud mask where there is one.

    Returns:
        For each chip the metrics, those of the input with the prefix ``input_``.
    """
    rows = []
    for batch, out in predictions(task, dataset):
        row: dict[str, float] = {}
        cloud = batch.get('mask_cloud')
        for prefix, image in (
            ('', out['reconstruction']),
            ('input_', batch['image']),
        ):
            metrics = RestorationMetrics(prefix=prefix)
            metrics.update(image, batch['image_clear'], cloud)
            row |= {key: float(value) for key, value in metrics.compute().items()}
        row['cover'] = float('nan') if cloud is None else float(cloud.float().mean())
        rows.append(row)
    return rows


def faults(samples: Path) -> str:
    """Verify the distributor's sample.

    Args:
        samples: Folder of the samples.

    Returns:
        Markdown: a line for each file and fault.
    """
    found = verify(samples / 'osfcr_sample', progress=False)
    root = samples / 'osfcr_sample' / 'LuojiaSET-OSFCR'
    rows = []
    for fault in found:
        path = Path(fault.path)
        name = path.relative_to(root) if path.is_relative_to(root) else path.name
        message = fault.message.replace(f'{root}/', '')
        rows.append([str(name), f'{fault.kind}: {message}'])
    kinds = ', '.join(
        f'{n} {kind}' for kind, n in Counter(f.kind for f in found).items()
    )
    return f'{len(found)} faults ({kinds}):\n\n{table(["file", "fault"], rows, 2)}'


def pairs_table(
    names: list[str],
    dataset: ChipDataset,
    synthetic: list[dict[str, float]],
    tuned: dict[int, dict[str, float]],
) -> str:
    """Write the table of the ten pairs.

    Args:
        names: Names by ROI from 1.
        dataset: The pairs.
        synthetic: Scores of the synthetic-trained checkpoint.
        tuned: Scores of the fine-tuned one by row, of its test pairs.

    Returns:
        Markdown.
    """
    columns = ['input', 'synthetic-trained', 'fine-tuned']
    header = ['pair', 'cover', *columns, *(f'{column}, cloudy' for column in columns)]
    rows = []
    for i, roi in enumerate(dataset.index['roi']):
        row, after = synthetic[i], tuned.get(i, {})
        cells = [names[roi - 1], f'{row["cover"]:.0%}']
        for part in ('', '_cloudy'):
            found = row.get(f'input_psnr{part}'), row.get(f'psnr{part}')
            cells += [cell([value]) for value in (*found, after.get(f'psnr{part}'))]
        rows.append(cells)
    thick = [row for row in synthetic if row['cover'] > 0.3]
    means = {
        key: sum(row[key] for row in thick) / len(thick)
        for key in ('input_psnr', 'psnr', 'input_psnr_cloudy', 'psnr_cloudy')
    }
    beaten = [
        (row['psnr_cloudy'] > row['input_psnr_cloudy'])
        for row in tuned.values()
        if row['cover'] > 0.3
    ]
    return (
        f'{table(header, rows)}\n\n'
        f'Mean of the {len(thick)} pairs with a cover above 30 %: over cloudy pixels the '
        f'input has {means["input_psnr_cloudy"]:.2f} dB, the synthetic-trained checkpoint '
        f'{means["psnr_cloudy"]:.2f} dB; over all pixels {means["input_psnr"]:.2f} and '
        f'{means["psnr"]:.2f} dB. {ANCHOR}\n\n'
        'Fine-tuning saw the pairs that have – in its columns. Over cloudy pixels it '
        f'beats the input on {sum(beaten)} of the {len(beaten)} others with a cover above '
        '30 %.'
    )


def fit(out: Path, name: str, *arguments: str) -> Path:
    """Train with the `torchgeo` command and return the last checkpoint."""
    folder = out / name
    callbacks = '--trainer.callbacks.init_args.dirpath'
    torchgeo([
        'fit', '--config', str(HERE / 'finetune.yaml'), callbacks, str(folder),
        '--trainer.default_root_dir', str(folder), *arguments,
    ])  # fmt: skip
    return folder / 'last.ckpt'


def land_cover(samples: Path, out: Path, checkpoint: Path) -> str:
    """Train and test land cover on the TerraMind places.

    Args:
        samples: Folder of the samples.
        out: Folder to work in.
        checkpoint: Checkpoint to start from.

    Returns:
        Markdown.
    """
    root = out / 'terramind'
    lay_out_terramind(samples, root)
    data = [
        '--data.init_args.paths', str(root), '--data.init_args.train', 'patch < 100',
        '--data.init_args.patch_size', '96', '--data.init_args.batch_size', '6',
    ]  # fmt: skip
    phase1 = fit(
        out, 'terramind-phase1', '--model.init_args.weights', str(checkpoint),
        '--trainer.max_epochs', '40', *data,
    )  # fmt: skip
    phase2 = fit(
        out, 'terramind-phase2', '--model.init_args.weights', str(phase1),
        '--model.init_args.training', 'peft', '--model.init_args.lr', '0.003',
        '--trainer.max_epochs', '50', *data,
    )  # fmt: skip
    task, whole = load(phase2), OSFCR(root, layers=LABELLED)
    dataset = whole.subset((whole.index['patch'] >= 100).to_numpy().nonzero()[0])
    restored, cloudy = RestorationMetrics(), RestorationMetrics()
    mapped = SegmentationMetrics(7, labels=TERRAMIND_LABELS)
    for batch, result in predictions(task, dataset):
        cloud = batch['mask_cloud']
        restored.update(result['reconstruction'], batch['image_clear'], cloud)
        cloudy.update(batch['image'], batch['image_clear'], cloud)
        mapped.update(result['probabilities'], batch['mask'], cloud)
    after, before, scores = (
        {key: float(value) for key, value in metrics.compute().items()}
        for metrics in (restored, cloudy, mapped)
    )
    floors = {key: scores[f'{key}_majority'] for key in ('pa', 'miou')}
    rows = [
        [
            name,
            *(cell([quality.get(key)]) for key in ('psnr', 'psnr_cloudy')),
            *(cell([classes.get(key)], 3) for key in ('pa', 'pa_cloudy', 'miou')),
        ]
        for name, quality, classes in (
            ('cloudy input', before, {}),
            ('commonest class', {}, floors),
            ('TDP-CR small, Phase 2', after, scores),
        )
    ]
    return table(['', 'PSNR', 'PSNR, cloudy', 'PA', 'PA, cloudy', 'mIoU'], rows)


def run(options: Namespace) -> None:
    """Run everything and write the page."""
    # Paths in messages are shortened by this folder.
    options.samples = options.samples.resolve()
    out = Path(tempfile.mkdtemp())
    names = lay_out_pairs(options.samples, out / 'pairs')
    dataset = OSFCR(out / 'pairs')
    synthetic = score(load(options.checkpoint), dataset)
    triple = score(load(options.checkpoint), SEN12MSCR(options.samples / 'sen12mscr'))[
        0
    ]

    # Ranked by cover, every other pair trains.
    tuned = fit(
        out, 'pairs-phase1', '--model.init_args.weights', str(options.checkpoint),
        '--data.init_args.paths', str(out / 'pairs'),
        '--data.init_args.train', 'roi % 2 == 1',
    )  # fmt: skip
    scores = score(load(tuned), dataset)
    test = {i: scores[i] for i, roi in enumerate(dataset.index['roi']) if roi % 2 == 0}
    for name, checkpoint in (('real', options.checkpoint), ('real_tuned', tuned)):
        # Those that fine-tuning has not seen, in both
        sheet = contact_sheet(
            load(checkpoint), OSFCRDataModule(), dataset, list(test), dpi=70
        )
        with replacing(options.docs / '_static' / f'{name}.jpg') as part:
            sheet.save(part, quality=85)
    text = f"""## The distributor's sample of LuojiaSET-OSFCR

{faults(options.samples)}

## Ten real pairs of SEN12MS-CR

PSNR in dB, over all pixels and over those under cloud or shadow.

{pairs_table(names, dataset, synthetic, test)}

What the synthetic-trained checkpoint makes of the others (data: SEN12MS-CR, P. Ebel et
al., CC BY 4.0):

![Five real pairs: cloudy, radar, restored, clear, mask, prompt](../_static/real.jpg)

The same, fine-tuned:

![The same pairs, restored after fine-tuning](../_static/real_tuned.jpg)

On the georeferenced triple (no cloud mask), the input has
{triple['input_psnr']:.2f} dB, the synthetic-trained checkpoint {triple['psnr']:.2f} dB.

## Land cover on three TerraMind places under simulated clouds

{land_cover(options.samples, out, options.checkpoint)}
"""
    write_text(options.docs / 'results' / 'real.md', text)
    print(text)
