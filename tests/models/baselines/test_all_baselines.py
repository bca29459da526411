# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from importlib import import_module

from baseline_tests import BaselineTests

from torchgeo_tdpcr.models import baselines, registry


def test_each_module_of_baselines_has_its_tests() -> None:
    inside = f'{baselines.__name__}.'
    modules = {
        builder.__module__.removeprefix(inside).split('.')[0]
        for builder in registry._MODELS.values()
        if builder.__module__.startswith(inside)
    }
    assert 'dsen2cr' in modules
    for module in modules:
        tests = vars(import_module(f'test_{module}')).values()
        names = [
            value.name
            for value in tests
            if isinstance(value, type)
            and issubclass(value, BaselineTests)
            and hasattr(value, 'name')
        ]
        assert names == [module]
