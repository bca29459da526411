# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

from pathlib import Path
from typing import Any

import pytest

from experiments.tables.options import Options


def test_what_snakemake_is_given_comes_back() -> None:
    options = Options(
        tables=(1, 3),
        seeds=(2, 1),
        rows=('cr-tdpcr',),
        add=('a b.py',),
        set=('data.init_args.class_names=[a, b]', 'trainer.max_epochs=2'),
    )
    import yaml

    config = dict(part.split('=', 1) for part in options.as_config())
    assert Options.from_config({k: yaml.safe_load(v) for k, v in config.items()}) == (
        options
    )


@pytest.mark.parametrize('seeds', [[0, 1], '0,1', '0, 1', (0, 1)])
def test_several_values(seeds: Any) -> None:
    assert Options.from_config({'seeds': seeds}).seeds == (0, 1)


def test_one_value() -> None:
    options = Options.from_config({'seeds': 3, 'tables': '2', 'set': 'a.b=[1, 2]'})
    assert (options.seeds, options.tables, options.set) == ((3,), (2,), ('a.b=[1, 2]',))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (
            {'scales': 'tiny'},
            r"--config scales`: no such options. There are \['add', 'da",
        ),
        (
            {'data': 'sen12mscr'},
            r"`data=sen12mscr`: choose of \['osfcr', 'synthetic'\]",
        ),
        ({'data': 'osfcr'}, 'give the folder of LuojiaSET-OSFCR as `root`'),
        ({'recipe': 'mine'}, r"`recipe=mine`: choose of \['common', 'own'\]"),
        ({'tables': '1,4'}, r'`tables=\[4\]`: there are 1, 2 and 3'),
        ({'seeds': '1,1'}, r'`seeds=\[1, 1\]`: give each once'),
    ],
)
def test_what_is_no_choice(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options.from_config(config)


def test_where_things_lie() -> None:
    options = Options(scale='mine/large.yaml', recipe='own', out='x')
    assert options.folder == Path('x/synthetic-large-own')
    assert options.data_root == Path('x/synthetic-large-own/data')
    table = Options(rows=('cr-tdpcr',), results='y').table_file(2)
    assert table == Path('y/table2-synthetic-tiny-some.md')
