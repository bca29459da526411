# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Measuring what prompt and SAR weights say of cloud, beside what they start from."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchgeo_tdpcr import OSFCR, TDPCRTask
from torchgeo_tdpcr.models import get_model

from ...real.lay_out import lay_out_pairs
from ..trained import Chips, TrainedRun, data_module, read_chips
from .features import PROMPT, collect, pixels_of
from .interventions import interventions
from .probing import channel_scores, mean_scores, probe_scores

Scores = dict[str, dict[str, float]]


def score_model(model: nn.Module, fit: Chips, held: Chips) -> Scores:
    """Score a model's prompt and SAR weights.

    Args:
        model: The model, in evaluation.
        fit: Chips to choose and fit on.
        held: Chips to score on.

    Returns:
        For ``'prompt'`` and each stage (``'1'``…), the scores of
        :func:`~.probing.probe_scores`, and of :func:`~.probing.channel_scores` for the
        prompt or :func:`~.probing.mean_scores` for the weights.
    """
    before, after = collect(model, fit.batches), collect(model, held.batches)
    return {
        name: probe_scores(before[name], pixels)
        | (
            channel_scores(before[name], pixels)
            if name == PROMPT
            else mean_scores(pixels)
        )
        for name, pixels in after.items()
    }


def score_bands(fit: Chips, held: Chips) -> dict[str, float]:
    """Score the cloudy bands themselves.

    Args:
        fit: Chips to choose and fit on.
        held: Chips to score on.

    Returns:
        The scores of :func:`~.probing.probe_scores` and :func:`~.probing.channel_scores`.
    """
    before, after = (
        pixels_of([batch['image'] for batch in chips.batches], chips.batches, 0)
        for chips in (fit, held)
    )
    return probe_scores(before, after) | channel_scores(before, after)


def untrained(task: TDPCRTask, seed: int) -> nn.Module:
    """Build the model of a task anew.

    Args:
        task: The task.
        seed: Seed of the weights.

    Returns:
        The model as it is before training, in evaluation, without a head.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_model(task.hparams['model'], **_model_arguments(task))
    return model.to(next(task.model.parameters()).device).eval()


def _model_arguments(task: TDPCRTask) -> dict[str, Any]:
    hparams = task.hparams
    return {
        'in_channels': hparams['in_channels'],
        'sar_channels': hparams['sar_channels'],
        **(hparams['model_kwargs'] or {}),
    }


class Controls:
    """What trained models are compared with, worked out once for runs that share it.

    Args:
        inits: Number of random initialisations.
    """

    def __init__(self, inits: int) -> None:
        self.inits = inits
        self.bands: dict[str, dict[str, float]] = {}
        self.untrained: dict[str, list[Scores]] = {}

    def scores(self, task: TDPCRTask, fit: Chips, held: Chips) -> dict[str, Any]:
        """Score the cloudy bands, and the untrained model of a task.

        Args:
            task: The task.
            fit: Chips to choose and fit on.
            held: Chips to score on.

        Returns:
            ``bands``, and ``untrained`` with an entry for each initialisation.
        """
        chips = json.dumps([fit.files, held.files])
        if chips not in self.bands:
            self.bands[chips] = score_bands(fit, held)
        key = json.dumps([task.hparams['model'], _model_arguments(task), chips])
        if key not in self.untrained:
            self.untrained[key] = [
                score_model(untrained(task, seed), fit, held)
                for seed in range(self.inits)
            ]
        return {'bands': self.bands[chips], 'untrained': self.untrained[key]}


def measure(task: TDPCRTask, fit: Chips, held: Chips, controls: Controls) -> Any:
    """Measure a task on some chips.

    Args:
        task: The task, in evaluation.
        fit: Chips to choose and fit on.
        held: Chips to score on.
        controls: What it is compared with.

    Returns:
        ``trained``, ``untrained`` and ``bands`` as :func:`score_model`,
        :class:`Controls` and :func:`score_bands` give them, ``interventions``, and the
        numbers of chips.

    Raises:
        ValueError: If the two share a chip.
    """
    if shared := set(fit.files) & set(held.files):
        raise ValueError(
            f"'{min(shared)}' is to be fitted to and to be scored on; choose other chips."
        )
    return {
        'fit_chips': len(fit.files),
        'held_chips': len(held.files),
        'trained': score_model(task.model, fit, held),
        'interventions': interventions(task, held.batches),
    } | controls.scores(task, fit, held)


def sample_chips(samples: Path, run: TrainedRun) -> tuple[Chips, Chips]:
    """Read the real pairs with cloud masks.

    Args:
        samples: Folder of the samples.
        run: Run whose bands and clip range they are read with.

    Returns:
        Of the pairs in the order of their cloud cover, every other one to fit on, and
        those between.
    """
    module = data_module(run.settings)
    with tempfile.TemporaryDirectory() as folder:
        lay_out_pairs(samples, Path(folder))
        dataset = OSFCR(folder, bands=module.kwargs['bands'], cache=False)
        order = dataset.index['roi'].to_numpy().argsort(kind='stable')
        fit, held = (read_chips(module, dataset, order[i::2]) for i in (0, 1))
    return fit, held
