# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How fast scenes are mapped, how much of it is the model, and in how much memory.

    python -m experiments.benchmarks.bench_scenes

It maps synthetic scenes of 2,745², 5,490² and 10,980² pixels (a Sentinel-2 tile) with
`tdpcr_small`, one with the full model, and two with one process and with two; and one with
`identity`, which gives back its input and costs nothing, to compare with what GDAL alone
takes to read the same files, warp the radar and write as many layers. It prints a table and
writes it to `docs/results/scenes.md`. Each scene is mapped by a process of
its own, whose peak of resident memory is taken. It needs 8 GB of disk in the folder for
temporary files and, on two cores, half an hour.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from lightning.pytorch import Trainer
from rasterio.enums import Resampling
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT
from torch import Tensor, nn

from torchgeo_tdpcr import SceneDataModule, SceneWriter, TDPCRTask
from torchgeo_tdpcr.datasets.gdal import SCENE_SETTINGS
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair
from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.models import register_model

from ..markdown import table
from .timing import machine

TILE = 10_980
SIZES = (TILE // 4, TILE // 2, TILE)

#: Side of the scene that is repeated to make large ones: a multiple of all blocks.
UNIT = 1_098

BATCH = 4

#: By which this command starts itself, in which `__name__` is ``'__main__'``.
MODULE = 'experiments.benchmarks.bench_scenes'


def enlarge(source: Path, target: Path, size: int) -> None:
    """Repeat a raster to a larger one, block by block.

    Args:
        source: The raster.
        target: Where to write, tiled and compressed as products often are.
        size: Height and width in pixels.
    """
    with rasterio.open(source) as file:
        array, profile = file.read(), file.profile
    profile |= {
        'height': size,
        'width': size,
        'tiled': True,
        'blockxsize': 512,
        'blockysize': 512,
        'compress': 'DEFLATE',
        'zlevel': 1,
        'num_threads': 'ALL_CPUS',
        'bigtiff': 'IF_SAFER',
    }
    columns = np.arange(size) % array.shape[2]
    with rasterio.open(target, 'w', **profile) as file:
        for top in range(0, size, 512):
            rows = np.arange(top, min(top + 512, size)) % array.shape[1]
            window = rasterio.windows.Window(0, top, size, len(rows))
            file.write(array[:, rows][:, :, columns], window=window)


@register_model('identity')
class Identity(nn.Module):
    """Gives back its input, and bands of it as classes: what is left is the rest."""

    def __init__(self, in_channels: int, sar_channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        # Without any parameter there is nothing to be a checkpoint of
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, image_sar: Tensor) -> dict[str, Tensor]:
        """Give back the input."""
        return {'reconstruction': image, 'logits': image[:, : self.num_classes]}


def gdal_alone(s2: Path, s1: Path, folder: Path) -> float:
    """Seconds that GDAL takes for files of a scene, whatever is made of them.

    Args:
        s2: Sentinel-2; its pixels are read and written.
        s1: Sentinel-1, which is warped to these pixels.
        folder: Where to write.
    """
    options: dict[str, Any] = {
        'driver': 'COG', 'compress': 'DEFLATE', 'level': '1', 'predictor': 'YES',
        'overview_compress': 'DEFLATE', 'overview_resampling': 'AVERAGE',
        'num_threads': 'ALL_CPUS', 'blocksize': '512', 'interleave': 'BAND',
    }  # fmt: skip
    start = time.perf_counter()
    with rasterio.Env(**SCENE_SETTINGS), rasterio.open(s2) as optical:
        copy(s2, folder / 'image.tif', **options)
        onto = {
            'crs': optical.crs, 'transform': optical.transform, 'num_threads': 2,
            'width': optical.width, 'height': optical.height,
            'resampling': Resampling.bilinear,
        }  # fmt: skip
        with rasterio.open(s1) as radar, WarpedVRT(radar, **onto) as warped:
            for _, window in optical.block_windows():
                warped.read(window=window)
        profile = {**optical.profile, 'count': 1, 'dtype': 'uint8', 'compress': None}
        with rasterio.open(folder / 'plain.tif', 'w', **profile) as classes:
            for _, window in optical.block_windows():
                numbers = (optical.read(8, window=window) // 500).astype(np.uint8)
                classes.write(numbers, 1, window=window)
        options['overview_resampling'] = 'MODE'
        copy(folder / 'plain.tif', folder / 'classes.tif', **options)
    return time.perf_counter() - start


def measure(args: argparse.Namespace) -> None:
    """Map scenes in this process and print what it took as JSON."""
    torch.manual_seed(0)
    task = TDPCRTask(model=args.model, training='joint')
    # Weights do not change the speed
    task.trained = True
    inside = 0.0
    step = task.predict_step

    def timed(
        batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Any]:
        nonlocal inside
        start = time.perf_counter()
        outputs = step(batch, batch_idx, dataloader_idx)
        if task.device.type == 'cuda':
            torch.cuda.synchronize()
        inside += time.perf_counter() - start
        return outputs

    task.predict_step = timed  # type: ignore[method-assign]
    datamodule = SceneDataModule(pairs=args.measure, batch_size=BATCH)
    trainer = Trainer(
        accelerator=args.device,
        devices=args.processes,
        strategy='auto' if args.processes == 1 else 'ddp',
        precision=args.precision,
        callbacks=[SceneWriter(args.out, progress=False)],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    start = time.perf_counter()
    trainer.predict(task, datamodule=datamodule, return_predictions=False)
    wall = time.perf_counter() - start
    if trainer.is_global_zero:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        bare = bare_model(task)
        result = {'wall': wall, 'model': inside, 'peak': peak, 'bare': bare}
        print('RESULT', json.dumps(result))


@torch.inference_mode()
def bare_model(task: TDPCRTask, turns: int = 5) -> float:
    """Seconds a window of the model alone, the median of some batches."""
    shape = (BATCH, 13, 256, 256)
    image = torch.rand(shape, device=task.device)
    sar = torch.rand(BATCH, 2, *shape[2:], device=task.device)
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        task(image, sar)
        if task.device.type == 'cuda':
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) / BATCH


def run(
    folder: Path, pairs: list[tuple[Path, Path]], **arguments: object
) -> dict[str, float]:
    """Map scenes in a process of their own.

    Args:
        folder: An empty folder.
        pairs: Sentinel-2 and Sentinel-1 files of the scenes.
        **arguments: Options of this command.

    Returns:
        What :func:`measure` prints.
    """
    csv = folder / 'pairs.csv'
    lines = [f'{s2},{s1},scene{i}' for i, (s2, s1) in enumerate(pairs)]
    csv.write_text('\n'.join(['s2,s1,name', *lines]) + '\n')
    command = [sys.executable, '-m', MODULE]
    command += ['--measure', str(csv), '--out', str(folder)]
    for name, value in arguments.items():
        command += [f'--{name}', str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith('RESULT '):
            result: dict[str, float] = json.loads(line.removeprefix('RESULT '))
            return result
    raise RuntimeError(f'`{" ".join(command)}` failed:\n{done.stderr[-3000:]}')


def row(name: str, size: int, number: int, result: dict[str, float]) -> list[str]:
    """A row of the table."""
    pixels = number * size * size / 1e6
    return [
        f'{name}, {number} × {size:,}²' if number > 1 else f'{name}, {size:,}²',
        f'{result["wall"]:.0f}',
        f'{result["wall"] / pixels:.2f}',
        f'{result["model"] / result["wall"]:.0%}',
        f'{result["bare"]:.3f}',
        f'{result["peak"] / 2**30:.2f}',
    ]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=f'python -m {MODULE}', description='Measure how fast scenes are mapped.'
    )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', default=device, help='default: %(default)s')
    parser.add_argument(
        '--sizes', nargs='+', type=int, default=SIZES, help='heights of the scenes'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/scenes.md'),
        help='where to write',
    )
    # How this command calls itself
    parser.add_argument('--measure', help=argparse.SUPPRESS)
    parser.add_argument('--model', default='tdpcr_small', help=argparse.SUPPRESS)
    parser.add_argument('--precision', default='32-true', help=argparse.SUPPRESS)
    parser.add_argument('--processes', type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    args = arguments(argv)
    if args.measure:
        measure(args)
        return
    rows = []
    small, middle = min(args.sizes), sorted(args.sizes)[len(args.sizes) // 2]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        unit = write_scene_pair(root / 'unit', size=UNIT, seed=0, sar_margin=24)
        scenes = {}
        for size in sorted(args.sizes):
            scenes[size] = root / f's2_{size}.tif', root / f's1_{size}.tif'
            enlarge(unit.s2, scenes[size][0], size)
            # As much wider as the unit's is, so that it covers the scene
            enlarge(unit.s1, scenes[size][1], size + 48)
        jobs: list[tuple[str, int, int, dict[str, object]]] = [
            ('tdpcr_small', size, 1, {}) for size in sorted(args.sizes)
        ]
        jobs += [
            ('identity', middle, 1, {'model': 'identity'}),
            ('tdpcr', middle, 1, {'model': 'tdpcr'}),
            ('tdpcr, bf16', small, 1, {'model': 'tdpcr', 'precision': 'bf16-mixed'}),
            ('tdpcr_small, one process', small, 2, {}),
            ('tdpcr_small, two processes', small, 2, {'processes': 2}),
        ]
        for name, size, number, options in jobs:
            with tempfile.TemporaryDirectory(dir=root) as out:
                pairs = [scenes[size]] * number
                result = run(Path(out), pairs, device=args.device, **options)
                rows.append(row(name, size, number, result))
                print(rows[-1], flush=True)
                if name == 'identity':
                    # At once, for the machine may be slower a minute later
                    alone = gdal_alone(*scenes[size], Path(out))
                    share = result['wall'] / alone
                    pixels = size * size / 1e6
                    told = [f'{alone:.0f}', f'{alone / pixels:.2f}', '–', '–', '–']
                    rows.append([f'GDAL alone, {size:,}²', *told])
                    print(rows[-1], flush=True)
    header = [
        '',
        's',
        's per megapixel',
        'in the model',
        's per window, bare, fp32',
        'GiB',
    ]
    text = (
        f'Measured on: {machine(torch.device(args.device))}. Windows of 256 pixels that '
        f'overlap by 64, batches of {BATCH}; input and output compressed; image and '
        'land cover. GiB is the peak of resident memory, libraries included (of the '
        'first process, where there are two). The bare model was timed in the same '
        f'process, after the scene. `identity` gives back its input; it takes {share:.1f} '
        'times what GDAL alone takes to read the same files, warp the radar and write as '
        f'many layers.\n\n{table(header, rows)}\n'
    )
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
