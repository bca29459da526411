# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What weights are worth on real images that they have not seen."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from torchgeo_tdpcr import (
    OSFCR,
    OSFCRDataModule,
    RestorationMetrics,
    SegmentationMetrics,
    TDPCRTask,
)
from torchgeo_tdpcr.callbacks import contact_sheet
from torchgeo_tdpcr.datasets.synthetic.biomes import CLASSES
from torchgeo_tdpcr.kinds import Level

from ..real.job import LABELLED, predictions, score
from ..real.lay_out import (
    ONE_PLACE,
    TERRAMIND_LABELS,
    lay_out_bigearthnet,
    lay_out_pairs,
    lay_out_terramind,
)
from .calibration import calibrated, errors, factor_of, reliability, shares

#: Figures by what they are of.
Figures = dict[str, float]

#: What both the model and TerraMind tell apart: grass and shrub are rangeland.
COMMON = tuple(label for label in TERRAMIND_LABELS if label != 'snow')
_THICK = 0.3
#: Ends the names of figures of restored colours that were matched to clear pixels.
MATCHED = ', colours matched'


class Measured(NamedTuple):
    """What weights are worth.

    Attributes:
        figures: PSNR in dB, parts and mIoU in percent, by what they are of.
        reliability: See :func:`.calibration.reliability`; empty where the model does not
            tell how far off it expects to be.
        sheet: What they make of the real pairs above 30 % cover.
        glance: What they make of every third of these.
        factor: What the errors that they expect are to be multiplied by.
    """

    figures: Figures
    reliability: list[tuple[float, float]]
    sheet: Image.Image
    glance: Image.Image
    factor: float = 1.0


def measure(task: TDPCRTask, samples: Path) -> Measured:
    """Measure a task on the real samples.

    Pairs and places are of level 1C. For a task without B10, which level 2A does not
    have, they are brought to that level by taking off the air of an average day; the
    patches of BigEarthNet are of that level.

    Args:
        task: The task, for evaluation.
        samples: Folder of the samples.

    Returns:
        What they are worth.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root, bands = Path(scratch), _bands(task)
        level = level_of(bands)
        names = lay_out_pairs(samples, root / 'pairs', level)
        pairs = OSFCR(root / 'pairs', bands=bands, class_names=CLASSES)
        lay_out_terramind(samples, root / 'terramind', level=level)
        places = OSFCR(root / 'terramind', layers=LABELLED, bands=bands)
        scores = score(task, pairs)
        with matching(task):
            matched = score(task, pairs)
        found = {
            **restored_pairs(scores, matched),
            'PSNR of clear images that are handed on (dB)': handed_on(task, pairs),
            **land_cover(task, places),
        }
        found |= under_simulated_clouds(task, places, 'three TerraMind places')
        if level == '2A':
            count = lay_out_bigearthnet(samples, root / 'bigearthnet')
            patches = OSFCR(root / 'bigearthnet', bands=bands)
            found |= under_simulated_clouds(
                task, patches, f'{count} patches of level 2A'
            )
        curve, factor = [], 1.0
        with matching(task):
            known = errors(task, pairs)
        if known:
            factor = factor_of(known)
            # In the order of the dataset, whose ROIs are ranks of the names from 1
            inside = [names[roi - 1] for roi in pairs.index['roi']]
            told = calibrated(known, inside, ONE_PLACE)
            found |= shares(*told)
            curve = reliability(*told)
        thick = [i for i, row in enumerate(scores) if row['cover'] > _THICK]
        module = OSFCRDataModule(bands=bands)
        with matching(task):
            sheets = [
                contact_sheet(task, module, pairs, which, dpi=70)
                for which in (thick, thick[::3])
            ]
    rounded = {name: round(value, 2) for name, value in found.items()}
    rows = [(round(a), round(b)) for a, b in curve]
    return Measured(rounded, rows, *sheets, round(factor, 3))


@contextmanager
def matching(task: TDPCRTask) -> Iterator[None]:
    """Let a task match restored colours to clear pixels, as `map` does with weights."""
    before = task.hparams['match_clear']
    task.hparams['match_clear'] = True
    try:
        yield
    finally:
        task.hparams['match_clear'] = before


def under_simulated_clouds(task: TDPCRTask, chips: OSFCR, what: str) -> Figures:
    """PSNR of real clear chips under simulated skies, a mean over the skies.

    Args:
        task: The task.
        chips: Each chip under each sky.
        what: What the chips are.
    """
    where = f'PSNR of {what} under simulated clouds, cloudy pixels'
    plain = score(task, chips)
    with matching(task):
        matched = score(task, chips)
    return {
        f'{where}{of} (dB)': fmean(row[key] for row in rows)
        for rows, key, of in (
            (plain, 'psnr_cloudy', ''),
            (matched, 'psnr_cloudy', MATCHED),
            (plain, 'input_psnr_cloudy', ', cloudy input'),
        )
    }


def restored_pairs(
    plain: list[dict[str, float]], matched: list[dict[str, float]]
) -> Figures:
    """PSNR of the pairs above 30 % cover, a mean over the pairs.

    Args:
        plain: Scores of each pair.
        matched: Scores of each pair with colours matched to clear pixels.
    """
    thick = [i for i, row in enumerate(plain) if row['cover'] > _THICK]
    where = f'PSNR of {len(thick)} real pairs above 30 % cover'
    return {
        f'{where}, {pixels} pixels{of} (dB)': fmean(rows[i][key + part] for i in thick)
        for rows, key, of in (
            (plain, 'psnr', ''),
            (matched, 'psnr', MATCHED),
            (plain, 'input_psnr', ', cloudy input'),
        )
        for part, pixels in (('_cloudy', 'cloudy'), ('', 'all'))
    }


def handed_on(task: TDPCRTask, pairs: OSFCR) -> float:
    """PSNR of what becomes of clear images without any cloud, a mean over the pairs.

    Args:
        task: The task.
        pairs: Pairs of cloudy and clear images.
    """
    found = []
    for batch, _ in predictions(task, pairs):
        with torch.inference_mode():
            out = task.predict_step({**batch, 'image': batch['image_clear']}, 0)
        metrics = RestorationMetrics()
        metrics.update(out['reconstruction'], batch['image_clear'])
        found.append(float(metrics.compute()['psnr']))
    return fmean(found)


def land_cover(task: TDPCRTask, places: OSFCR) -> Figures:
    """Land cover of the three TerraMind places under simulated clouds.

    Args:
        task: The task; none of it if it maps no land cover.
        places: The places, with TerraMind's labels.
    """
    if not task.maps_land_cover:
        return {}
    metrics = SegmentationMetrics(len(COMMON), labels=list(COMMON))
    snow = TERRAMIND_LABELS.index('snow')
    for batch, out in predictions(task, places):
        mask = batch['mask'].masked_fill(batch['mask'] == snow, 255)
        metrics.update(common(out['probabilities']), mask)
    found = {key: float(value) for key, value in metrics.compute().items()}
    return {
        'mIoU of three TerraMind places, six classes (%)': 100 * found['miou'],
        'PA of three TerraMind places, six classes (%)': 100 * found['pa'],
        'PA of always answering the commonest class there (%)': (
            100 * found['pa_majority']
        ),
    }


def common(probabilities: Tensor) -> Tensor:
    """Add up the classes that TerraMind does not tell apart, B×7×H×W to B×6×H×W."""
    order = {name: i for i, name in enumerate(CLASSES)}
    same = [probabilities[:, order[name]] for name in COMMON[:-1]]
    rangeland = probabilities[:, order['grass']] + probabilities[:, order['shrub']]
    return torch.stack([*same, rangeland], 1)


def level_of(bands: Sequence[str] | None) -> Level:
    """Level that bands are of: 2A has no B10.

    Args:
        bands: Names of the bands, None for all.
    """
    return '1C' if bands is None or 'B10' in bands else '2A'


def _bands(task: TDPCRTask) -> tuple[str, ...] | None:
    record = task.input_record
    return None if record is None else record.bands
