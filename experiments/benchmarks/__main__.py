# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How fast reading, the index and the model are, beside what the machine could do.

    python -m experiments.benchmarks

It prints tables and writes them to `docs/results/benchmarks.md`. Leave the machine
alone meanwhile; its two or more cores are what is measured.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from torchgeo_tdpcr.files import write_text

from . import bench_index, bench_io, bench_model, bench_step
from .timing import Options, machine

PARTS = ('io', 'index', 'model')


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.benchmarks',
        description='Measure how fast the parts are.',
    )
    parser.add_argument(
        '--only',
        default=','.join(PARTS),
        help='parts to measure, with commas between (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/benchmarks.md'),
        help='where to write the tables (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='where the model runs (default: %(default)s)',
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--no-compile', action='store_true', help='leave torch.compile out'
    )
    group.add_argument(
        '--compile-all',
        action='store_true',
        help='compile every case of the model, not only one (takes minutes)',
    )
    parser.add_argument('--quick', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.only = args.only.split(',')
    if unknown := set(args.only) - set(PARTS):
        parser.error(
            f'`--only {",".join(args.only)}`: `{",".join(sorted(unknown))}` is no part; '
            f'choose of `{",".join(PARTS)}`.'
        )
    return args


def sections(parts: list[str], options: Options, folder: Path) -> list[str]:
    """Measure the parts.

    Args:
        parts: Some of :data:`PARTS`.
        options: What the command line chose.
        folder: An empty folder to write data to.

    Returns:
        Markdown of each.
    """
    texts = []
    chips = folder / 'chips'
    if {'io', 'model'} & set(parts):
        bench_io.make_set(chips, options.quick)
    if 'io' in parts:
        texts.append(bench_io.run(chips, options))
    if 'index' in parts:
        links = folder / 'links'
        links.mkdir()
        texts.append(bench_index.run(links, options))
    if 'model' in parts:
        texts.append(bench_model.run(options))
        texts.append(bench_step.run(chips, options))
    return texts


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    args = arguments(argv)
    compiling = 'none' if args.no_compile else 'all' if args.compile_all else 'one'
    options = Options(torch.device(args.device), compiling, args.quick)
    with tempfile.TemporaryDirectory() as folder:
        texts = sections(args.only, options, Path(folder))
    note = '**A trial run on next to no data: the figures mean nothing.**\n\n'
    head = (
        f'{note if args.quick else ""}Measured on: {machine(options.device)}. Figures '
        'are medians over turns in which what is compared runs one after the other.\n\n'
    )
    text = head + '\n'.join(texts)
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
