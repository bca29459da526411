# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Samples of a scene: its pixels as tensors, where they are valid, and where they lie."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchgeo.datasets.utils import Sample

from ..grids import PixelBox
from .common import SceneInfo, WindowRun
from .opening import SceneFiles

#: Stands for missing backscatter, in dB: below all that normalisation tells apart.
MISSING_DB = -99.0


def read_run(
    run: WindowRun,
    files: SceneFiles,
    times: tuple[float, float],
    with_clouds: bool = False,
) -> Sample | WindowRun:
    """Read neighbouring windows of a scene at once, as a batch.

    Args:
        run: The windows.
        files: The files of their scene.
        times: Begin and end of the acquisition in seconds since 1970.
        with_clouds: Whether to read where clouds are.

    Returns:
        The batch, without windows that hold no valid pixel: ``without`` has their first
        columns. If all are such, the run itself.

    Raises:
        SceneError: If a file cannot be read.
    """
    scene, top, lefts, height, width = run
    span = PixelBox(lefts[0], top, lefts[-1] + width, top + height)
    image, sar, valid = _read(span, files)
    cuts = [slice(left - span.left, left - span.left + width) for left in lefts]
    kept = [i for i, cut in enumerate(cuts) if valid[:, cut].any()]
    if not kept:
        return run
    # The models' memory format from the start
    images, sars = (
        torch.empty(
            (len(kept), len(whole), height, width), memory_format=torch.channels_last
        )
        for whole in (image, sar)
    )
    valids = torch.empty((len(kept), height, width), dtype=torch.bool)
    for i, k in enumerate(kept):
        images[i].copy_(image[..., cuts[k]])
        sars[i].copy_(sar[..., cuts[k]])
        valids[i].copy_(valid[:, cuts[k]])
    clouds = {}
    if with_clouds:
        whole = _clouds(span, files)
        clouds['mask_cloud'] = torch.stack([whole[:, cuts[k]] for k in kept])
    boxes = [PixelBox(lefts[k], top, lefts[k] + width, top + height) for k in kept]
    return {
        'image': images,
        'image_sar': sars,
        'valid': valids,
        **clouds,
        'scene': torch.tensor(scene),
        'top': torch.tensor(top),
        'left': torch.tensor([box.left for box in boxes]),
        'without': torch.tensor(
            [left for i, left in enumerate(lefts) if i not in kept], dtype=torch.int64
        ),
        **_where(boxes, files.info, times),
    }


def read_window(
    window: PixelBox,
    files: SceneFiles,
    times: tuple[float, float],
    with_clouds: bool = False,
) -> Sample:
    """Read one window of a scene.

    Args:
        window: The window.
        files: The files of the scene.
        times: Begin and end of the acquisition in seconds since 1970.
        with_clouds: Whether to read where clouds are.

    Returns:
        The sample.

    Raises:
        SceneError: If a file cannot be read.
    """
    image, sar, valid = _read(window, files)
    where = _where([window], files.info, times)
    return {
        'image': image,
        'image_sar': sar,
        'valid': valid,
        **({'mask_cloud': _clouds(window, files)} if with_clouds else {}),
        **{key: value[0] for key, value in where.items()},
    }


def _read(window: PixelBox, files: SceneFiles) -> tuple[Tensor, Tensor, Tensor]:
    """Read image (without offset), radar, and where both are valid."""
    array, valid = files.optical.read(window)
    image = torch.from_numpy(array).to(torch.float32)
    if files.info.offset:
        image -= files.info.offset
    sar = torch.from_numpy(files.radar.read(window))
    # One pass: a single NaN makes the sum one, too
    if not bool(torch.isfinite(sar.sum())):
        there = torch.isfinite(sar)
        valid = valid & there.all(0).numpy()
        sar = torch.where(there, sar, MISSING_DB)
    if array.dtype.kind == 'f':
        image = image.nan_to_num(0.0)
    return image, sar, torch.from_numpy(valid)


def _clouds(window: PixelBox, files: SceneFiles) -> Tensor:
    """Where there are clouds, nowhere if there is no mask of them."""
    if files.clouds is None:
        return torch.zeros(window.height, window.width, dtype=torch.bool)
    return torch.from_numpy(files.clouds.read(window))


def _where(
    windows: Sequence[PixelBox], info: SceneInfo, times: tuple[float, float]
) -> dict[str, Tensor]:
    """Say where windows lie, in the CRS of their scene."""
    a, b, c, d, e, f = tuple(info.grid.transform)[:6]
    rows, bounds = [], []
    for window in windows:
        x = c + a * window.left + b * window.top
        y = f + d * window.left + e * window.top
        right, bottom = x + a * window.width, y + e * window.height
        rows.append([a, b, x, d, e, y, 0, 0, 1])
        bounds.append([x, right, abs(a), bottom, y, abs(e), *times, 1])
    where = {
        'transform': torch.tensor(rows, dtype=torch.float64),
        'bounds': torch.tensor(bounds, dtype=torch.float64),
    }
    epsg = info.grid.crs.to_epsg()
    if epsg is not None:
        where['epsg'] = torch.full((len(windows),), epsg)
    return where
