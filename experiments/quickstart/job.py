# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The main job: the steps of the quick start, one after the other."""

import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr import OSFCRDataModule, TDPCRTask
from torchgeo_tdpcr._command import quieten
from torchgeo_tdpcr.callbacks import contact_sheet
from torchgeo_tdpcr.cli import main as tdpcr
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair
from torchgeo_tdpcr.files import replacing, write_text

from ..markdown import cell, table

CONFIG = Path(__file__).with_name('tdpcr.yaml')
SCENE_SIZE = 768

#: What is measured: metric, title, digits; four of the restored image, two of the map.
COLUMNS = (
    ('psnr', 'PSNR (dB)', 2),
    ('psnr_cloudy', 'PSNR, cloudy pixels', 2),
    ('ssim', 'SSIM', 3),
    ('sam', 'SAM (°)', 2),
    ('pa', 'PA', 3),
    ('miou', 'mIoU', 3),
)


#: What is done, and about how long it takes on two cores of an AMD EPYC server.
STEPS = (
    ('Making synthetic data, training both phases', 'four to five minutes'),
    ('Testing the checkpoint of Phase 1', 'half a minute'),
    ('Testing the checkpoint of Phase 2', 'half a minute'),
    ('Drawing test chips, mapping a scene', 'half a minute'),
)


def tell(step: int) -> None:
    """Say which step begins, and how long to wait for it."""
    what, expected = STEPS[step]
    print(f'\n[{step + 1}/{len(STEPS)}] {what}: {expected}.', flush=True)


def silence() -> None:
    """Leave out what dependencies tell of themselves; errors are still shown.

    More than the `torchgeo` command leaves out: whoever trains must know that no GPU was
    found, but not whoever looks at the quick start.
    """
    quieten()
    for name in ('lightning.pytorch', 'lightning.fabric'):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault('JSONARGPARSE_DEPRECATION_WARNINGS', 'off')
    warnings.simplefilter('ignore')


def bars() -> list[str]:
    """Show progress bars on a terminal only: in a log they are thousands of lines."""
    return ['--trainer.enable_progress_bar', str(sys.stdout.isatty()).lower()]


def test(config: str, name: str, checkpoint: Path) -> pd.Series:
    """Test a checkpoint with the `torchgeo` command and read what it logged.

    Args:
        config: Path of the configuration.
        name: Name for the log's folder.
        checkpoint: The checkpoint.

    Returns:
        The metrics by name.
    """
    logger = '--trainer.logger.init_args.version'
    # Not all metrics, of which the table shows six
    arguments = ['--ckpt_path', str(checkpoint), logger, name, '--verbose', 'false']
    torchgeo(['test', '--config', config, *arguments, *bars()])
    log = checkpoint.parent.parent / name / 'metrics.csv'
    return pd.read_csv(log).iloc[-1]


def results(phase1: pd.Series, phase2: pd.Series) -> str:
    """Write the table.

    Args:
        phase1: Metrics of the Phase 1 checkpoint.
        phase2: Metrics of the Phase 2 checkpoint.

    Returns:
        Markdown.
    """
    keys = [key for key, _, _ in COLUMNS]
    restoration, mapping = keys[:4], keys[4:]
    rows = {
        'cloudy input': {key: phase2[f'test_input_{key}'] for key in restoration},
        'commonest class': {key: phase2[f'test_{key}_majority'] for key in mapping},
        'Phase 1': {key: phase1[f'test_{key}'] for key in restoration},
        'Phase 2': {key: phase2[f'test_{key}'] for key in keys},
    }
    cells = [
        [name, *(cell([found.get(key)], digits) for key, _, digits in COLUMNS)]
        for name, found in rows.items()
    ]
    return table(['', *(title for _, title, _ in COLUMNS)], cells) + '\n'


def draw(checkpoint: Path, data: dict[str, Any], path: Path, number: int = 5) -> None:
    """Draw some test chips, spread over the cloud cover.

    Args:
        checkpoint: Checkpoint of the task.
        data: Arguments of the data module.
        path: File to write.
        number: Number of chips.
    """
    task = TDPCRTask.load_from_checkpoint(checkpoint, map_location='cpu').eval()
    module = OSFCRDataModule(**data)
    module.setup('test')
    dataset: Any = module.test_dataset
    cover = dataset.index['cover'].str.extract(r'(\d+)', expand=False).astype(int)
    order = np.argsort(cover.to_numpy(), kind='stable')
    rows = order[np.linspace(0, len(order) - 1, number).round().astype(int)]
    with replacing(path) as part:
        contact_sheet(task, module, dataset, rows).save(part)


def map_scene(checkpoint: Path, out: Path) -> Path:
    """Map a synthetic scene that is no part of the data set, and report.

    Args:
        checkpoint: The checkpoint.
        out: Folder to write to; what it holds of an earlier run is replaced.

    Returns:
        The folder of the map.
    """
    for folder in (out / 'scene', out / 'maps'):
        shutil.rmtree(folder, ignore_errors=True)
    scene = write_scene_pair(out / 'scene', size=SCENE_SIZE, seed=23)
    files = ['--s2', str(scene.s2), '--s1', str(scene.s1)]
    options = ['--checkpoint', str(checkpoint), '--output', str(out / 'maps')]
    layers = ['--layers', 'image', 'classes', 'prompt', 'change']
    mask = ['--cloud-mask', str(scene.clouds)]
    if tdpcr(['map', *files, *options, *layers, *mask, '--accelerator', 'cpu']):
        raise RuntimeError(f"'{scene.s2}' could not be mapped; see above.")
    folder = out / 'maps' / 'scene_s2'
    for name in ('report.html', 'report.png'):
        report = ['--truth', str(scene.clear), '--output', str(folder / name)]
        report += ['--truth-land-cover', str(scene.labels)]
        if tdpcr(['report', str(folder), *report]):
            raise RuntimeError(f"'{folder}' could not be reported on; see above.")
    return folder


def run() -> None:
    """Run the main job in the current folder."""
    silence()
    start = time.perf_counter()
    settings = yaml.safe_load(CONFIG.read_text())
    out = Path(settings['trainer']['logger']['init_args']['save_dir'])
    epochs = settings['trainer']['max_epochs']
    phase1_epochs = settings['model']['init_args']['phase1_epochs']

    tell(0)
    torchgeo(['fit', '--config', str(CONFIG), *bars()])
    checkpoints = [
        out / 'checkpoints' / f'epoch={last - 1:02d}.ckpt'
        for last in (phase1_epochs, epochs)
    ]
    tell(1)
    phase1 = test(str(CONFIG), 'test-phase1', checkpoints[0])
    tell(2)
    phase2 = test(str(CONFIG), 'test-phase2', checkpoints[1])

    text = results(phase1, phase2)
    write_text(out / 'table.md', text)
    sheet = out / 'contact_sheet.png'
    tell(3)
    draw(checkpoints[1], settings['data']['init_args'], sheet)
    maps = map_scene(checkpoints[1], out)
    minutes, seconds = divmod(round(time.perf_counter() - start), 60)
    print(f'\nHeld-out regions of the synthetic set:\n\n{text}')
    print(f'Contact sheet: {sheet}\nGeoTIFFs of a scene: {maps}')
    print(f'Took {minutes} min {seconds} s.')
