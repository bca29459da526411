# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Labels beside the points of a plot, of which none lies on another or on a point."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, Transform

#: Pixels kept free around labels, and half the side of a marker.
GAP, MARKER = 2.0, 6.0
#: Beyond this distance in pixels a thin line leads from the label to its point.
NEAR = 14.0


class Label(NamedTuple):
    """A text for a point.

    Attributes:
        text: The text.
        xy: The point.
        transform: What *xy* counts in, such as ``ax.transData``.
        style: Arguments of the text.
    """

    text: str
    xy: tuple[float, float]
    transform: Transform
    style: dict[str, Any]


def padded(box: Bbox, by: float) -> Bbox:
    """A box grown on all sides."""
    return Bbox.from_extents(box.x0 - by, box.y0 - by, box.x1 + by, box.y1 + by)


def place_labels(
    ax: Axes, labels: Sequence[Label], taken: Sequence[Bbox] = ()
) -> list[Annotation]:
    """Write labels as near to their points as there is room.

    The most crowded point is the first to get its label. Limits, scales and size of the
    axes must not change any more.

    Args:
        ax: The axes.
        labels: What to write.
        taken: Further places, in pixels, that labels must keep off.

    Returns:
        The annotations, in the order of *labels*.

    Raises:
        ValueError: If there is no room for a label.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    points = [label.transform.transform(label.xy) for label in labels]
    blocked = [padded(Bbox([point, point]), MARKER) for point in points] + list(taken)
    leaders: list[Path] = []
    placed: dict[int, Annotation] = {}

    def crowding(i: int) -> float:
        return sorted(math.dist(points[i], other) for other in points)[1:4][-1]

    for i in sorted(range(len(labels)), key=crowding if len(labels) > 1 else None):
        label, point = labels[i], points[i]
        note = ax.annotate(
            label.text,
            label.xy,
            xycoords=label.transform,
            textcoords='offset points',
            xytext=(0, 0),
            ha='center',
            va='center',
            **label.style,
        )
        # Its place is settled here: the layout must not make room for it
        note.set_in_layout(False)
        size = note.get_window_extent()
        box, leader = find_place(ax, point, size, blocked, leaders, label.text)
        centre = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
        note.set_position(tuple((centre - point) * 72 / figure.dpi))
        if leader is not None:
            leaders.append(leader)
            ends = ax.transData.inverted().transform(leader.vertices)
            line = ax.plot(*ends.T, color='0.6', linewidth=0.6, zorder=1)[0]
            line.set_in_layout(False)
        blocked.append(padded(box, GAP))
        placed[i] = note
    return [placed[i] for i in range(len(labels))]


def find_place(
    ax: Axes,
    point: np.ndarray,
    size: Bbox,
    blocked: Sequence[Bbox],
    leaders: Sequence[Path],
    text: str,
) -> tuple[Bbox, Path | None]:
    """Find the nearest free place for a label; see :func:`place_labels`.

    Returns:
        The place in pixels, and the line that leads to it, None where it is near.
    """
    half = np.array([size.width, size.height]) / 2
    free = []
    for distance in np.arange(MARKER + 2, max(ax.bbox.width, ax.bbox.height), 4.0):
        for angle in np.arange(0, 2 * math.pi, math.pi / 8):
            direction = np.array([math.cos(angle), math.sin(angle)])
            centre = point + direction * (distance + half)
            box = Bbox([centre - half, centre + half])
            if not inside(box, padded(ax.bbox, -GAP)):
                continue
            if any(box.overlaps(other) for other in blocked):
                continue
            leader = None if distance <= NEAR else lead(point, box)
            free.append((box, leader))
            if any(line.intersects_bbox(padded(box, GAP), False) for line in leaders):
                continue
            if leader is None or not crosses(leader, point, blocked):
                return box, leader
    # In a crowd a leading line may run behind others' labels
    if free:
        return free[0]
    raise ValueError(
        f'There is no room for the label `{text}`: draw a larger figure, with `--inches`.'
    )


def inside(box: Bbox, room: Bbox) -> bool:
    """Whether a box lies in another."""
    return bool(
        room.x0 <= box.x0
        and box.x1 <= room.x1
        and room.y0 <= box.y0
        and box.y1 <= room.y1
    )


def lead(point: np.ndarray, box: Bbox) -> Path:
    """A line from beside a marker to the edge of a text."""
    edge = np.clip(point, box.min, box.max)
    unit = (edge - point) / max(math.dist(edge, point), 1e-9)
    return Path([point + unit * MARKER, edge - unit * GAP])


def crosses(leader: Path, point: np.ndarray, blocked: Sequence[Bbox]) -> bool:
    """Whether a line runs through a place of another than the point it starts from."""
    return any(
        leader.intersects_bbox(box, False)
        for box in blocked
        if not box.contains(*point)
    )
