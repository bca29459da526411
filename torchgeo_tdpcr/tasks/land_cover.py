# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What a land-cover model alone sees: the Direct and multi-stage rows of Table II."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchgeo.datasets.utils import Path as PathLike
from torchgeo.datasets.utils import Sample

from ..files import expanded


class LandCoverInput(nn.Module):
    """Choose the optical image that land cover is mapped from.

    Args:
        source: ``'cloudy'`` or ``'clear'`` for the images of the data (Direct), or a
            checkpoint of a task that removes clouds, whose reconstruction is taken
            (multi-stage). That model is frozen, and no part of checkpoints.
        load: Loads the model of that checkpoint, when it is first needed.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
    """

    def __init__(self, source: PathLike, load: Callable[[PathLike], nn.Module]) -> None:
        super().__init__()
        self.source = source
        self._load = load
        if source not in ('cloudy', 'clear') and not expanded(source).is_file():
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
            raise KeyError(
                f'The batch has no `{key}`, only {sorted(batch)}. Add the layer to the '
                'data set, or choose another `lcs_input`.'
            )
        image: Tensor = batch[key]
        if self.source in ('cloudy', 'clear'):
            return image
        if not self._restorer:
            # Not at once: a task that is built while the command line builds another
            # takes the arguments of that for its own
            restorer = self._load(expanded(self.source)).eval().requires_grad_(False)
            self._restorer.append(restorer)
        restorer = self._restorer[0].to(image.device)
        with torch.no_grad():
            outputs = restorer(image, batch['image_sar'])
        restored: Tensor = outputs['reconstruction'].clamp(0, 1)
        return restored
