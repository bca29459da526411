# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A canvas: overlapping windows in, blended rows out, a band of rows in memory."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Takes the first of some finished rows, their values by name (C×H×W float32, undefined
#: where not valid), and where they are valid (H×W bool).
Sink = Callable[[int, dict[str, Tensor], Tensor], None]


class OrderError(RuntimeError):
    """A window lies above rows that are finished already."""


def taper(height: int, width: int) -> Tensor:
    """Weight of each pixel of a window: falls linearly from the centre to the border.

    Normalised by the sum over all windows, this fades each window into its neighbour
    linearly across whatever the two share.

    Args:
        height: Height of the window in pixels.
        width: Width of the window in pixels.

    Returns:
        H×W, in (0, 1].

    Example:
        >>> taper(1, 4)
        tensor([[0.2500, 0.7500, 0.7500, 0.2500]])
    """
    rows, cols = (
        torch.minimum(torch.arange(n) + 0.5, n - torch.arange(n) - 0.5) / (n / 2)
        for n in (height, width)
    )
    return rows.clamp(max=1)[:, None] * cols.clamp(max=1)


class Canvas:
    """Blend overlapping windows that come in rows.

    Memory is bounded by the width of the scene times the height of a window, whatever
    the height of the scene.

    Args:
        height: Height of the scene in pixels.
        width: Width of the scene in pixels.
        sink: Called with finished rows, each once, in order.
        start: Rows above this are not wanted (any more).
        upward: Whether the windows come from the bottom to the top, as those of
            TorchGeo's GriddedPatchSampler do. Rows are then finished in this order.
    """

    def __init__(
        self, height: int, width: int, sink: Sink, start: int = 0, upward: bool = False
    ) -> None:
        self.height = height
        self.width = width
        self.sink = sink
        self.upward = upward
        # The band of rows in memory: its first row, weighted sums, sums of weights
        self._start = self._top = start
        self._sums: dict[str, Tensor] = {}
        self._weights = torch.zeros(0, width)
        self._taper = torch.zeros(0, 0)

    def add(
        self,
        values: dict[str, Tensor],
        tops: Sequence[int],
        lefts: Sequence[int],
        valid: Tensor | None = None,
    ) -> None:
        """Add windows.

        Args:
            values: Windows by name, each B×C×H×W.
            tops: First row of each window; may be negative, as *lefts* may.
            lefts: First column of each window.
            valid: B×H×W bool, where the windows count (defaults to everywhere).

        Raises:
            OrderError: If a window lies above rows that the sink has had.
        """
        height, width = next(iter(values.values())).shape[-2:]
        if self._taper.shape != (height, width):
            self._taper = taper(height, width)
        for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            patch = {name: value[i].float() for name, value in values.items()}
            weight = self._taper if valid is None else self._taper * valid[i]
            if self.upward:
                top = self.height - top - height
                patch = {name: value.flip(-2) for name, value in patch.items()}
                weight = weight.flip(-2)
            self._add(patch, weight, top, left)

    def _add(
        self, patch: dict[str, Tensor], weight: Tensor, top: int, left: int
    ) -> None:
        height, width = weight.shape
        if top < self._top and self._top > self._start:
            raise OrderError(
                f'A window that starts at row {top} came after rows up to {self._top} '
                'were finished. Windows must come in rows: use a sampler such as '
                "TorchGeo's GriddedPatchSampler, without shuffling."
            )
        self._reserve(0, patch)
        self._finish_to(min(top, self.height))
        first, last = max(top, self._top), min(top + height, self.height)
        begin, end = max(left, 0), min(left + width, self.width)
        if first >= last or begin >= end:
            return
        self._reserve(last - self._top, patch)
        cut = slice(first - top, last - top), slice(begin - left, end - left)
        to = slice(first - self._top, last - self._top), slice(begin, end)
        weight = weight[cut]
        self._weights[to] += weight
        for name, value in patch.items():
            self._sums[name][:, *to].addcmul_(value[:, *cut], weight)

    def _reserve(self, rows: int, patch: dict[str, Tensor]) -> None:
        """Make the band at least so many rows high."""
        for name, value in patch.items():
            if name not in self._sums:
                self._sums[name] = torch.zeros(
                    value.shape[0], len(self._weights), self.width
                )
        missing = rows - len(self._weights)
        if missing > 0:
            self._weights = torch.cat([self._weights, torch.zeros(missing, self.width)])
            for name, value in self._sums.items():
                more = torch.zeros(value.shape[0], missing, self.width)
                self._sums[name] = torch.cat([value, more], 1)

    def _finish_to(self, row: int) -> None:
        """Give the rows above one to the sink, and move the others up."""
        count = row - self._top
        if count <= 0:
            return
        have = min(count, len(self._weights))
        if have:
            weights = self._weights[:have]
            valid = weights > 0
            # Where there is no weight the sum is 0 as well; any divisor will do
            inverse = torch.where(valid, weights, 1).reciprocal_()
            rows = {k: v[:, :have].mul(inverse) for k, v in self._sums.items()}
            self._give(self._top, rows, valid)
            for band in (*self._sums.values(), self._weights[None]):
                kept = band.shape[1] - have
                band[:, :kept] = band[:, have:].clone()
                band[:, kept:] = 0
        self._give_nothing(self._top + have, count - have)
        self._top = row

    def _give(self, top: int, rows: dict[str, Tensor], valid: Tensor) -> None:
        if self.upward:
            top = self.height - top - len(valid)
            rows = {name: value.flip(-2) for name, value in rows.items()}
            valid = valid.flip(-2)
        self.sink(top, rows, valid)

    def _give_nothing(self, top: int, count: int, most: int = 256) -> None:
        """Give rows that no window covers, a few at a time."""
        while count > 0:
            part = min(count, most)
            valid = torch.zeros(part, self.width, dtype=torch.bool)
            rows = {
                name: torch.zeros(value.shape[0], part, self.width)
                for name, value in self._sums.items()
            }
            self._give(top, rows, valid)
            top, count = top + part, count - part

    def finish(self) -> None:
        """Give all rows that are left to the sink."""
        self._finish_to(self.height)
