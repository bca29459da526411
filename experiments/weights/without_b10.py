# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Make a checkpoint of level 1C one that begins a training of level 2A, without B10.

    python -m experiments.weights.without_b10 LAST.ckpt TARGET.ckpt

What reads and what predicts B10 is left out; all else is as it was.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.files import replacing
from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

B10 = list(SENTINEL2_BANDS).index('B10')


def without(weight: Tensor, like: Tensor) -> Tensor:
    """Leave B10 out of a weight.

    Args:
        weight: Weight of 13 bands, or one that knows no bands.
        like: The same of 12 bands.

    Raises:
        ValueError: If something else than one band differs.
    """
    differs = [
        dim
        for dim, (has, wanted) in enumerate(zip(weight.shape, like.shape, strict=True))
        if has != wanted
    ]
    for dim in differs:
        kept = [i for i in range(weight.shape[dim]) if i != B10]
        weight = weight.index_select(dim, torch.tensor(kept))
    if weight.shape != like.shape:
        raise ValueError(f'A weight of {tuple(weight.shape)} is none of {like.shape}.')
    return weight


def main(argv: list[str] | None = None) -> None:
    """Read, leave out and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.weights.without_b10',
        description=(__doc__ or '').splitlines()[0],
    )
    parser.add_argument('source', type=Path, metavar='LAST.ckpt')
    parser.add_argument('target', type=Path, metavar='TARGET.ckpt')
    args = parser.parse_args(argv)
    checkpoint = torch.load(args.source, map_location='cpu', weights_only=True)
    hparams = dict(checkpoint['hyper_parameters'])
    hparams['in_channels'] = len(SENTINEL2_BANDS) - 1
    names = (
        'model',
        'model_kwargs',
        'in_channels',
        'num_classes',
        'labels',
        'training',
    )
    task = TDPCRTask(**{name: hparams[name] for name in names})
    wanted = task.state_dict()
    known = checkpoint['state_dict']
    checkpoint['state_dict'] = {k: without(known[k], v) for k, v in wanted.items()}
    checkpoint['hyper_parameters'] = hparams
    args.target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(args.target) as part:
        torch.save(checkpoint, part)
    print(f'Wrote {args.target}')


if __name__ == '__main__':
    main()
