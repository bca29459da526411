# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A mapped scene at a glance: one HTML page or one picture, before and after."""

import json
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from rasterio.transform import xy

from ...datasets.chips.reading import IGNORE_INDEX
from ...datasets.grids import PixelBox
from ...datasets.plotting import add_legend, panel_figure
from ...datasets.scenes.windows.optical import OpticalReader
from ...files import expanded, write_text
from ...kinds import SOURCES
from . import page as html
from .files import LandCoverClass, MappedScene, image_detail, read_detail, read_overview
from .land_cover import labels_overview, land_cover_scores
from .numbers import class_areas, largest_changes, scene_scores
from .product import open_clouds
from .views import (
    Picture,
    Views,
    change_picture,
    class_picture,
    look,
    optical_picture,
    prompt_picture,
)

#: What pictures are called.
BEFORE = 'Before: Sentinel-2 as it was'
AFTER = 'After: clouds removed'
TRUTH = 'Truth: the clear image given'
LAND_COVER = 'Land cover, mapped'
TRUE_LAND_COVER = 'Land cover, truth'


def plot_scene(
    folder: str | PathLike[str],
    truth: str | PathLike[str] | None = None,
    size: int = 1024,
    truth_land_cover: str | PathLike[str] | None = None,
) -> Figure:
    """Draw a mapped scene: before, after, land cover and change, as far as there are.

    Args:
        folder: Folder of the scene, as ``torchgeo-tdpcr map`` writes it.
        truth: A clear Sentinel-2 product on the same grid.
        size: Largest width and height of a panel in pixels.
        truth_land_cover: A raster of true labels on the same grid, uint8, 255 where
            unknown.

    Returns:
        The figure.

    Raises:
        SceneError: If the folder holds no scene, a truth is not on its grid, or there is
            no land cover to compare.

    Example:
        >>> figure = plot_scene('mapped/T55GEN_20200101')  # doctest: +SKIP
        >>> figure.savefig('scene.png')  # doctest: +SKIP
    """
    views = look(folder, truth, size, _path(truth_land_cover))
    row: dict[str, Picture] = {}
    if views.before is not None:
        row[BEFORE] = views.before
    row[AFTER] = views.after
    if views.truth is not None:
        row[TRUTH] = views.truth
    legend: dict[str, Any] = {}
    if 'classes' in views.scene.assets:
        labels = labels_overview(views.scene.assets['classes'], views.shape)
        row[LAND_COVER] = class_picture(views.scene, labels)
        shown = set(np.unique(labels).tolist())
        if views.true_labels is not None:
            row[TRUE_LAND_COVER] = class_picture(views.scene, views.true_labels)
            shown |= set(np.unique(views.true_labels).tolist())
        legend = {c.name: c.colour for c in views.scene.classes if c.value in shown}
    if views.change is not None:
        picture, high = change_picture(views.change)
        row[f'Change (0 to {high:.0f})'] = picture
    fig, _ = panel_figure([row], suptitle=views.scene.name)
    add_legend(fig, legend)
    return fig


def write_report(
    folder: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    truth: str | PathLike[str] | None = None,
    size: int = 1200,
    truth_land_cover: str | PathLike[str] | None = None,
) -> Path:
    """Write an HTML page about a mapped scene, one file that needs no other.

    Overviews are read at a lower resolution, areas block by block and details in
    windows, so that a whole Sentinel-2 tile takes seconds and little memory. With
    *truth*, every pixel is read to score it, which takes minutes.

    Args:
        folder: Folder of the scene, as ``torchgeo-tdpcr map`` writes it.
        output: File to write (defaults to ``report.html`` in *folder*).
        truth: A clear Sentinel-2 product on the same grid.
        size: Largest width and height of an overview in pixels.
        truth_land_cover: A raster of true labels on the same grid, uint8, 255 where
            unknown, to score the land cover with.

    Returns:
        The file.

    Raises:
        SceneError: If the folder holds no scene, a raster of it is broken, a truth is
            not on its grid, or there is no land cover to compare.

    Example:
        >>> write_report('mapped/T55GEN_20200101')  # doctest: +SKIP
        PosixPath('mapped/T55GEN_20200101/report.html')
    """
    path = expanded(Path(folder, 'report.html') if output is None else output)
    labels = _path(truth_land_cover)
    views = look(folder, truth, size, labels)
    parts = [
        *_header(views),
        *_comparison(views),
        *_scores(views),
        *_land_cover(views, labels),
        *_maps(views),
        *_details(views),
    ]
    text = html.page(views.scene.name, parts)
    write_text(path, text)
    return path


def _path(path: str | PathLike[str] | None) -> Path | None:
    """A path as a user writes it."""
    return None if path is None else expanded(path)


def _header(views: Views) -> list[str]:
    """Name of the scene, and what it is made from and with."""
    scene, grid = views.scene, views.scene.grid
    x, y = abs(grid.transform.a), abs(grid.transform.e)
    items = [
        ('Date', _date(scene.properties)),
        ('Model', _text(scene.properties.get('tdpcr:model'))),
        ('Checkpoint', _text(scene.properties.get('tdpcr:checkpoint'))),
        ('Weights', _text(scene.properties.get('tdpcr:weights'))),
        ('About these', _text(scene.properties.get('tdpcr:weights_summary'))),
        (
            'Colours matched to clear pixels',
            _text(scene.properties.get('tdpcr:match_clear')),
        ),
        ('Clear pixels kept', _text(scene.properties.get('tdpcr:keep_clear'))),
        *(
            (f'Input {key}', _text(value))
            for key, value in (scene.properties.get('tdpcr:inputs') or {}).items()
        ),
        ('CRS', _text(scene.properties.get('proj:code') or grid.crs)),
        ('Size', f'{grid.width} × {grid.height} pixels of {x:g} × {y:g}'),
        ('Bands', ', '.join(scene.bands)),
        ('Offset of digital numbers', _offset(views)),
    ]
    return [
        html.heading(scene.name, level=1),
        html.facts([(name, text) for name, text in items if text]),
    ]


def _offset(views: Views) -> str:
    """What the digital numbers carry on top, and what is to be thought of it."""
    text = f'{views.scene.offset:g}'
    if views.scene.declared.offset == 'auto':
        return text
    doubt = views.original.reader.doubt if views.original is not None else ''
    return f'{text}, as it was given' + (f', but {doubt}' if doubt else '')


def _date(properties: dict[str, Any]) -> str:
    """When the scene was observed, and how that is known where it is a guess."""
    source = _text(properties.get('tdpcr:datetime_from'))
    return _text(properties.get('datetime')) + (f' (from: {source})' if source else '')


def _text(value: Any) -> str:
    """Any value of a JSON file as text."""
    if value is None or isinstance(value, str):
        return value or ''
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _comparison(views: Views) -> list[str]:
    """The image before and after."""
    scale = max(views.scene.grid.height / views.shape[0], 1)
    caption = f'B4, B3, B2; one pixel here is {scale:.3g} of the scene.'
    if views.before is None:
        missing = f'The image before cannot be shown: {views.fault}'
        return [
            html.heading('After'),
            html.note(missing),
            html.figure(views.after, caption),
        ]
    return [
        html.heading('Before and after'),
        html.slider(views.before, views.after),
        html.note(f'Move the line with the mouse or the arrow keys. {caption}'),
    ]


def _scores(views: Views) -> list[str]:
    """How near to the truth the image is, and the input was."""
    if views.clear is None:
        return []
    scene = views.scene
    clear = OpticalReader(views.clear.product, scene.bands, views.clear.offset)
    clouds = open_clouds(scene)
    found = {'After': scene_scores(scene, clear, clouds=clouds)}
    if views.original is not None:
        product = OpticalReader(
            views.original.product, scene.bands, scene.offset, scene.declared.scale
        )
        found = {'Before': scene_scores(scene, clear, product, clouds), **found}
    head = ['', 'PSNR', 'SSIM', 'MAE (reflectance)', 'SAM']
    table = [
        html.table(
            head,
            [
                [
                    f'{name}, {pixels}',
                    f'{scores[f"psnr{part}"]:.2f} dB',
                    f'{scores[f"ssim{part}"]:.4f}',
                    f'{scores[f"mae{part}"]:.4f}',
                    f'{scores[f"sam{part}"]:.2f}°',
                ]
                for part, pixels in (('', 'all pixels'), ('_cloudy', 'cloudy pixels'))
                for name, scores in found.items()
                if f'psnr{part}' in scores
            ],
        )
    ]
    cloudy = (
        'The map names no cloud mask, so there are no scores of cloudy pixels.'
        if clouds is None
        else f'Cloud or shadow by {clouds.origin}.'
    )
    return [
        html.heading('Against the truth'),
        *table,
        html.note(
            f'Truth: {views.clear.product.path}. Over pixels that both have, '
            f'{len(scene.bands)} bands, digital numbers 0 to 10,000 as 0 to 1. {cloudy}'
        ),
    ]


def _land_cover(views: Views, truth: Path | None) -> list[str]:
    """The class map, how much each class covers, and how near it is to a truth."""
    scene = views.scene
    if 'classes' not in scene.assets:
        return []
    areas = class_areas(scene)
    rows = [
        [
            area.kind.name,
            '–' if area.hectares is None else f'{area.hectares:,.1f}',
            f'{area.pixels:,}',
            f'{area.share * 100:.1f} %',
        ]
        for area in areas
    ]
    head = ['Class', 'Area (ha)', 'Pixels', 'Share']
    if any(area.confidence is not None for area in areas):
        head.append('Mean confidence')
        for row, area in zip(rows, areas, strict=True):
            sure = area.confidence
            row.append('–' if sure is None else f'{sure:.0f} %')
    labels = labels_overview(scene.assets['classes'], views.shape)
    picture = class_picture(scene, labels)
    return [
        html.heading('Land cover'),
        html.row(
            [
                html.figure(picture, 'Land cover, white where there is none', True),
                html.table(head, rows, [area.kind.colour for area in areas]),
            ]
        ),
        html.note('Areas are counted at full resolution; shares are of mapped pixels.'),
        *_land_cover_truth(views, truth),
    ]


def _land_cover_truth(views: Views, path: Path | None) -> list[str]:
    """The true land cover, and what the map and the commonest class score by it."""
    if path is None or views.true_labels is None:
        return []
    scores = land_cover_scores(views.scene, path)
    rows = [
        [name, *(f'{100 * scores[f"{key}{part}"]:.1f} %' for key in ('pa', 'miou'))]
        for name, part in (('Mapped', ''), ('Commonest class everywhere', '_majority'))
        if scores
    ]
    picture = class_picture(views.scene, views.true_labels)
    return [
        html.row(
            [
                html.figure(picture, TRUE_LAND_COVER, True),
                html.table(['', 'Pixel accuracy', 'mIoU'], rows),
            ]
        ),
        html.note(f'Truth: {path}. Over pixels that are known in both.'),
    ]


def _source(views: Views) -> list[str]:
    """Where the pixels of the image are from, and how many."""
    if 'source' not in views.scene.assets:
        return []
    kinds = tuple(
        LandCoverClass(value, name, to_hex((red / 255, green / 255, blue / 255)))
        for value, (name, (red, green, blue)) in enumerate(SOURCES)
    )
    assets = {'classes': views.scene.assets['source']}
    scene = replace(views.scene, classes=kinds, assets=assets)
    areas = sorted(class_areas(scene), key=lambda area: area.kind.value)
    shares = ', '.join(f'{area.kind.name} {area.share:.0%}' for area in areas)
    labels = labels_overview(views.scene.assets['source'], views.shape)
    legend = 'green what was observed, yellow another date, red what was restored'
    caption = f'Source of the image: {shares}; {legend}'
    return [html.figure(class_picture(scene, labels), caption.replace('%', ' %'), True)]


def _maps(views: Views) -> list[str]:
    """The source, the prompt and the change."""
    figures = _source(views)
    if 'prompt' in views.scene.assets:
        prompt = read_overview(views.scene.assets['prompt'], None, views.shape)
        caption = 'Degradation prompt, first three components as red, green and blue'
        figures.append(html.figure(prompt_picture(prompt), caption))
    if views.change is not None:
        picture, high = change_picture(views.change)
        caption = (
            'Change, mean over the bands of |after − before|: black 0, brightest '
            f'{high:.0f} digital numbers or more'
        )
        figures.append(html.figure(picture, caption))
    if not figures:
        return []
    return [html.heading('What the model did'), html.row(figures)]


def _details(views: Views) -> list[str]:
    """The places that changed most, at full resolution."""
    if views.change is None:
        return []
    parts = []
    for window in largest_changes(views.change, views.scene.grid):
        figures = []
        if views.original is not None:
            detail = views.original.detail(window)
            figures.append(html.figure(optical_picture(detail), BEFORE))
        detail = image_detail(views.scene, window)
        figures.append(html.figure(optical_picture(detail), AFTER))
        if views.clear is not None:
            detail = views.clear.detail(window)
            figures.append(html.figure(optical_picture(detail), TRUTH))
        if 'classes' in views.scene.assets:
            labels = read_detail(views.scene.assets['classes'], [1], window)[0]
            codes = np.nan_to_num(labels, nan=IGNORE_INDEX).astype(np.uint8)
            picture = class_picture(views.scene, codes)
            figures.append(html.figure(picture, LAND_COVER, True))
        parts += [html.note(_place(views.scene, window)), html.row(figures)]
    return [html.heading('Where it changed most'), *parts] if parts else []


def _place(scene: MappedScene, window: PixelBox) -> str:
    """Say where a window lies."""
    x, y = xy(scene.grid.transform, window.top, window.left, offset='ul')
    return (
        f'Columns {window.left} to {window.right}, rows {window.top} to '
        f'{window.bottom}; upper left corner at {x:.0f}, {y:.0f}.'
    )
