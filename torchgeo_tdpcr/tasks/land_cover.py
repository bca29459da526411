# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a land-cover model alone sees: the Direct and multi-stage rows of Table II."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchgeo.datasets.utils import Path as PathLike
from torchgeo.datasets.utils import Sample


class LandCoverInput(nn.Module):
    """Choose the optical image that land cover is mapped from.

    Args:
        source: ``'cloudy'`` or ``'clear'`` for the images of the data (Direct), or a
            checkpoint of a task that removes clouds, whose reconstruction is taken
            (multi-stage). That model is frozen, and no part of checkpoints.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
    """

    def __init__(self, source: PathLike = 'cloudy') -> None:
        super().__init__()
        self.source = source
        if source not in ('cloudy', 'clear') and not Path(source).is_file():
            raise FileNotFoundError(
                f"`lcs_input={str(source)!r}` is neither 'cloudy' nor 'clear', and there "
                'is no such file. Give the checkpoint of a task that removes clouds.'
            )
        # In a list, so that it is no submodule: neither trained nor saved
        self._restorer: list[nn.Module] = []

    def forward(self, batch: Sample) -> Tensor:
        """Return the image.

        Args:
            batch: The batch, with ``image``, ``image_sar``, and ``image_clear`` for
                ``'clear'``.

        Returns:
            B×C×H×W, in [0, 1].

        Raises:
            KeyError: If the batch lacks the image.
        """
        key = 'image_clear' if self.source == 'clear' else 'image'
        if key not in batch:
            raise KeyError(f'The batch has no {key!r}, only {sorted(batch)}.')
        image: Tensor = batch[key]
        if self.source in ('cloudy', 'clear'):
            return image
        if not self._restorer:
            self._restorer.append(self._load())
        restorer = self._restorer[0].to(image.device)
        with torch.no_grad():
            outputs = restorer(image, batch['image_sar'])
        restored: Tensor = outputs['reconstruction'].clamp(0, 1)
        return restored

    def _load(self) -> nn.Module:
        # Not at once: a task that is built while the command line builds another takes
        # the arguments of that for its own
        from .tdpcr import TDPCRTask

        restorer = TDPCRTask.load_from_checkpoint(str(self.source), map_location='cpu')
        return restorer.eval().requires_grad_(False)
