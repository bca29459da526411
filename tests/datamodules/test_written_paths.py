# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Paths as configurations and the command line write them."""

import json

import pytest
from jsonargparse import ArgumentParser

from torchgeo_tdpcr import (
    M3MCRDataModule,
    OSFCRDataModule,
    SceneDataModule,
    SEN12MSCRDataModule,
    WHUOPTSARDataModule,
)


@pytest.mark.parametrize(
    ('module', 'argument'),
    [
        (OSFCRDataModule, 'paths'),
        (SEN12MSCRDataModule, 'paths'),
        (M3MCRDataModule, 'paths'),
        (WHUOPTSARDataModule, 'paths'),
        (SceneDataModule, 's2'),
        (SceneDataModule, 's1'),
    ],
)
@pytest.mark.parametrize(
    ('written', 'meant'), [('[a, b]', ['a', 'b']), ('a', 'a'), ('a, b', 'a, b')]
)
def test_a_list_of_paths_is_one(
    module: type, argument: str, written: str, meant: object
) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(module, 'data')
    found = parser.parse_args([f'--data.{argument}={written}'])
    assert found[f'data.{argument}'] == meant
    parsed = parser.parse_string(f'data: {{{argument}: {json.dumps(meant)}}}')
    assert parsed[f'data.{argument}'] == meant
