# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Validation curves of the runs of the tables."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.tables.curves import draw, main, read_results


def write_result(root: Path, run: str, seed: int, *validation: dict[str, Any]) -> None:
    folder = root / run / f'seed{seed}'
    folder.mkdir(parents=True)
    content = {'run': run, 'seed': seed, 'validation': validation}
    (folder / 'result.json').write_text(json.dumps(content))


def test_draws_each_seed_of_a_run_in_one_colour(tmp_path: Path) -> None:
    write_result(
        tmp_path, 'cr-a', 3, {'epoch': 4, 'psnr': 20}, {'epoch': 9, 'psnr': 22}
    )
    write_result(tmp_path, 'cr-a', 5, {'epoch': 4, 'psnr': 21})
    write_result(tmp_path, 'joint-b', 0, {'epoch': 4, 'psnr': 18, 'miou': 0.25})
    write_result(tmp_path, 'clear-a', 0)
    psnr, miou = draw(read_results(tmp_path)).axes
    assert [list(zip(*line.get_data(), strict=True)) for line in psnr.lines] == [
        [(5, 20), (10, 22)],
        [(5, 21)],
        [(5, 18)],
    ]
    first, second, other = (line.get_color() for line in psnr.lines)
    assert first == second != other
    assert [text.get_text() for text in psnr.get_legend().get_texts()] == [
        'cr-a',
        'joint-b',
    ]
    (line,) = miou.lines
    assert line.get_data()[1] == pytest.approx([25])


def test_runs_of_the_tables_have_their_names(tmp_path: Path) -> None:
    for run in ('cr-tdpcr', 'peft-tdpcr-noprompt'):
        write_result(tmp_path, run, 0, {'epoch': 4, 'psnr': 20})
    texts = draw(read_results(tmp_path)).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in texts] == ['TDP-CR (CR-only)', 'No prompt']


def test_writes_a_file(tmp_path: Path) -> None:
    write_result(tmp_path / 'runs', 'cr-a', 0, {'epoch': 4, 'psnr': 20})
    main([str(tmp_path / 'runs'), '--out', str(tmp_path / 'curves.png')])
    assert (tmp_path / 'curves.png').stat().st_size > 1000


def test_a_folder_without_validated_runs_is_told(tmp_path: Path) -> None:
    write_result(tmp_path, 'clear-a', 0)
    with pytest.raises(SystemExit, match=r'result\.json'):
        main([str(tmp_path)])
