# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Parameters and multiply-adds of every registered model, beside published figures.

    python -m experiments.studies.model_costs

It prints a table and writes it to `docs/results/models.md`. Nothing is computed: models
and inputs lie on PyTorch's meta device.
"""

import argparse
from pathlib import Path

import torch

from torchgeo_tdpcr.files import write_text
from torchgeo_tdpcr.models import get_model, get_recipe, list_models
from torchgeo_tdpcr.models.costs import count_costs

from ..markdown import table

#: Parameters, those never used in brackets, and multiply-adds in 10⁹ as counted on the
#: authors' own models, at 13 + 2 channels, seven classes and 256×256 pixels.
KNOWN: dict[str, tuple[str, str]] = {
    'dsen2cr': ('18,947,341', '1241.2'),
    'glfcr': ('14,827,373 (9,312)', '249.7'),
    'hpncr': ('3,685,931 (131,088)', '17.6'),
    'emrdm': ('39,133,515', '192 (one step)'),
    'cloudseg': ('203,249,602 (6,609,134)', '–'),
    'uncrtaints': ('520,218', '27.9'),
    'ecrformer': ('11,289,485', '97.5'),
    'ecrformer_light': ('3,703,739', '34.0'),
    'tdpcr': ('5.95 M', '19.1'),
}

#: Number of classes of LuojiaSET-OSFCR.
CLASSES = 7


def classes_of(name: str) -> int | None:
    """Number of classes of a model, None where it maps no land cover."""
    try:
        with torch.device('meta'):
            get_model(name, num_classes=CLASSES)
    except ValueError:
        return None
    return CLASSES


def row(name: str) -> list[str]:
    """A row of the table."""
    costs = count_costs(name, classes_of(name))
    known = KNOWN.get(name, ('–', '–'))
    return [
        f'`{name}`',
        f'{costs.parameters:,}',
        known[0],
        f'{costs.multiply_adds / 1e9:.1f}',
        known[1],
        f'{costs.flops / 1e9:.1f}',
        'yes' if get_recipe(name) else 'no',
    ]


def main(argv: list[str] | None = None) -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.model_costs',
        description='Count parameters and multiply-adds.',
    )
    parser.add_argument('--out', type=Path, default=Path('docs/results/models.md'))
    args = parser.parse_args(argv)
    rows = [row(name) for name in list_models()]
    header = [
        'Model',
        'Parameters',
        "authors'",
        'Multiply-adds (G)',
        "authors'",
        'FLOPs (G)',
        'own recipe',
    ]
    text = table(header, rows) + '\n'
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
