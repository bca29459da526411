# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which pixels of a scene the windows that have come cover."""

from ..grids import PixelBox


class Coverage:
    """Windows of a scene that have come, whatever they hold.

    Example:
        >>> coverage = Coverage()
        >>> coverage.add(PixelBox(0, 0, 6, 4)), coverage.add(PixelBox(4, 0, 10, 4))
        (True, True)
        >>> coverage.add(PixelBox(4, 0, 10, 4))
        False
        >>> coverage.gap(0, 4, width=10), coverage.gap(0, 8, width=10)
        (None, 4)
    """

    def __init__(self) -> None:
        self._boxes: set[PixelBox] = set()

    def add(self, box: PixelBox) -> bool:
        """Note a window.

        Args:
            box: The window; may reach beyond the scene.

        Returns:
            Whether it is the first at its place.
        """
        count = len(self._boxes)
        self._boxes.add(box)
        return len(self._boxes) > count

    def gap(self, first: int, last: int, width: int) -> int | None:
        """Find the first row that is not covered from its left to its right.

        Args:
            first: The row to begin with.
            last: The row to end before.
            width: Number of columns.

        Returns:
            The row, None where there is none.
        """
        boxes = [box for box in self._boxes if box.top < last and box.bottom > first]
        edges = {edge for box in boxes for edge in (box.top, box.bottom)}
        for row in sorted({first} | {edge for edge in edges if first < edge < last}):
            reach = 0
            spans = sorted(
                (box.left, box.right) for box in boxes if box.top <= row < box.bottom
            )
            for left, right in spans:
                if left > reach:
                    break
                reach = max(reach, right)
            if reach < width:
                return row
        return None
