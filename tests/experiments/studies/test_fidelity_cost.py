# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Annotation

from experiments.studies.fidelity_cost.__main__ import main
from experiments.studies.fidelity_cost.figure import draw


def row(
    label: str, model: str, macs: float, params: float, *psnr: float | None
) -> dict:
    costs = {'macs_g': macs, 'params_m': params} if macs else {}
    group = 'CR and LCS' if model.startswith('tdpcr') else 'CR'
    about = {'label': label, 'run': f'cr-{model}', 'model': model, 'group': group}
    return {
        **about,
        **costs,
        'metrics': {'psnr': list(psnr), 'ssim': [0.9]},
        'paper': {},
    }


@pytest.fixture
def table() -> dict[str, Any]:
    rows = [
        row('Cloudy input', 'tdpcr', 0, 0, 27.5, 27.5, 27.5),
        row('DSen2-CR', 'dsen2cr', 1241.2, 18.9, 28.1, 28.3, 28.2),
        row('HPN-CR', 'hpncr', 18.2, 3.7, 28.6, None, 28.8),
        row('TDP-CR', 'tdpcr', 19.0, 5.95, 28.9, 29.0, 29.2),
    ]
    about = {'table': 1, 'data': 'synthetic', 'scale': 'tiny', 'seeds': [0, 1, 2]}
    return {**about, 'rows': rows}


@pytest.fixture
def speeds() -> dict[str, Any]:
    def case(model: str, dtype: str, batch: int, **found: Any) -> dict[str, Any]:
        return {'model': model, 'dtype': dtype, 'batch': batch, **found}

    return {
        'settings': {'machine': 'Some CPU, 2 threads, torch 2', 'side': 256},
        'cases': [
            case('tdpcr', 'fp32', 1, chips_per_s=4.0),
            case('tdpcr', 'bf16', 1, chips_per_s=7.0),
            case('hpncr', 'fp32', 8, chips_per_s=9.0),
            case('hpncr', 'fp32', 1, chips_per_s=3.0),
            case('dsen2cr', 'fp32', 1, cause='not done after 300 s'),
        ],
    }


def points(ax: Axes) -> dict[tuple[float, float], float]:
    """Means by place, with half the length of their error bars, 0 for none."""
    found = {}
    for container in ax.containers:
        marker, _, bars = container.lines
        x, y = (float(v[0]) for v in marker.get_data())
        ends = bars[0].get_segments()[0] if bars else np.zeros((2, 2))
        found[x, round(y, 6)] = float(ends[1, 1] - ends[0, 1]) / 2
    return found


def notes(ax: Axes) -> dict[str, Annotation]:
    return {t.get_text(): t for t in ax.texts if isinstance(t, Annotation)}


def heading(figure: Figure) -> str:
    return figure.get_suptitle()


def test_means_and_spreads(table: dict[str, Any]) -> None:
    figure = draw(table)
    left, right = figure.axes
    assert left.get_xscale() == right.get_xscale() == 'log'
    found = points(left)
    assert set(found) == {(1241.2, 28.2), (18.2, 28.7), (19.0, round(87.1 / 3, 6))}
    assert found[1241.2, 28.2] == pytest.approx(np.std([28.1, 28.3, 28.2], ddof=1))
    assert {x for x, _ in points(right)} == {18.9, 3.7, 5.95}
    assert 'synthetic data, scale tiny, seeds 0, 1, 2\n' in heading(figure)
    assert 'HPN-CR (2 of 3 seeds)' in notes(left)


def test_tdpcr_is_marked(table: dict[str, Any]) -> None:
    (left, _) = draw(table).axes
    marked = [c.lines[0] for c in left.containers if c.lines[0].get_marker() == '*']
    assert [float(line.get_xdata()[0]) for line in marked] == [19.0]
    assert notes(left)['TDP-CR'].get_fontweight() == 'bold'
    assert notes(left)['DSen2-CR'].get_fontweight() == 'normal'


def test_reference_is_a_line(table: dict[str, Any]) -> None:
    figure = draw(table)
    for ax in figure.axes:
        dashed = [line for line in ax.lines if line.get_linestyle() == '--']
        assert [line.get_ydata()[0] for line in dashed] == [27.5]
        assert 'Cloudy input: 27.5 dB' in notes(ax)
    # Far away it would press the points together
    table['rows'][0]['metrics']['psnr'] = [15.0] * 3
    figure = draw(table)
    assert figure.axes[0].get_ylim()[0] > 27
    assert 'Off the axes: Cloudy input, 15.0 dB.' in heading(figure)


def test_speed(table: dict[str, Any], speeds: dict[str, Any]) -> None:
    figure = draw(table, speeds)
    # The reference names a model, too, but has no speed
    assert {x for x, _ in points(figure.axes[2])} == {3.0, 4.0}
    text = ' '.join(heading(figure).split())
    assert 'full size, fp32, batches of 1, on Some CPU, 2 threads.' in text
    assert 'Without a measured speed: DSen2-CR.' in text


def test_one_seed(table: dict[str, Any]) -> None:
    table['seeds'] = [4]
    for entry in table['rows']:
        entry['metrics']['psnr'] = entry['metrics']['psnr'][:1]
    figure = draw(table)
    assert 'seed 4\nOne seed: no spread.' in heading(figure)
    assert set(points(figure.axes[0]).values()) == {0.0}


def test_labels_do_not_overlap(table: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    # Two pairs of points lie on each other, and two rows have the same name
    costs = [*np.geomspace(5, 60, 10), 20, 20, 1035, 1241]
    for i, cost in enumerate(costs):
        psnr = 28.8 + random.uniform(-0.1, 0.1, 3) * (i not in (10, 11))
        name = 'A model' if i < 2 else f'Model with name {i}'
        table['rows'].append(row(name, f'm{i}', cost, cost / 4, *psnr))
    figure = draw(table)
    figure.draw_without_rendering()
    for ax in figure.axes:
        texts = [t for t in ax.texts if isinstance(t, Annotation)]
        assert len(texts) == len(table['rows'])
        boxes = [text.get_window_extent() for text in texts]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
        for box in boxes:
            assert ax.bbox.x0 <= box.x0 <= box.x1 <= ax.bbox.x1
            assert ax.bbox.y0 <= box.y0 <= box.y1 <= ax.bbox.y1
            for place in points(ax):
                assert not box.contains(*ax.transData.transform(place))


def test_command(table: dict[str, Any], speeds: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / 'table.json').write_text(json.dumps(table))
    (tmp_path / 'speed.json').write_text(json.dumps(speeds))
    out = tmp_path / 'made' / 'figure.png'
    command = [str(tmp_path / 'table.json'), '--out', str(out)]
    main([*command, '--speed', str(tmp_path / 'speed.json')])
    assert [path.name for path in out.parent.iterdir()] == ['figure.png']
    image = imread(out)
    assert image.shape[1] > 2 * image.shape[0]
    with pytest.raises(SystemExit, match=r"table\.json': .* no room for the label `"):
        main([*command, '--inches', '1.2'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'rows': []}, 'No row has `metrics.psnr`'),
        ({'rows': [row('Cloudy', 'tdpcr', 0, 0, 20.0)]}, 'nothing to compare'),
        ({'rows': None}, 'cannot be read as JSON with `rows`'),
    ],
)
def test_tables_without_figures(
    table: dict[str, Any], change: dict, message: str, tmp_path: Path
) -> None:
    path = tmp_path / 'table.json'
    content = {k: v for k, v in (table | change).items() if v is not None}
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=message) as error:
        main([str(path), '--out', str(tmp_path / 'figure.png')])
    assert str(path) in str(error.value)


def test_speeds_without_figures(table: dict[str, Any], speeds: dict[str, Any]) -> None:
    speeds['cases'] = speeds['cases'][-1:]
    with pytest.raises(ValueError, match='No case of fp32 with batches of 1'):
        draw(table, speeds)
