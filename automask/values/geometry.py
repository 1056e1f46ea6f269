"""Boxes and polygons in upright image pixels: origin top left, x to the right, y down, half-open boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Polygon = tuple[tuple[float, float], ...]
"""Vertices (x, y) in upright image pixels, at least three, not closed; pixel centres lie at .5."""


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open pixel rectangle: columns x0..x1-1 and rows y0..y1-1.

    Raises:
        ValueError: The box is empty or has a non-integer corner.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise ValueError(f"Box.{name} must be an integer, got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"empty box: {self.xyxy}")

    @property
    def xyxy(self) -> tuple[int, int, int, int]:
        """Corners (x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width_px(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def height_px(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns), the shape of an array that fills the box."""
        return self.height_px, self.width_px

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return self.width_px * self.height_px

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an (H, W) array. Valid only for a box inside that array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def intersection(self, other: Box) -> Box | None:
        """The shared rectangle, or None where the two do not overlap."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Box(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def padded(self, margin_px: int, *, width_px: int, height_px: int) -> Box:
        """The box grown by a margin on every side and cut to an image of the given size."""
        return Box(
            max(0, self.x0 - margin_px),
            max(0, self.y0 - margin_px),
            min(width_px, self.x1 + margin_px),
            min(height_px, self.y1 + margin_px),
        )

    def shifted(self, right_px: int, down_px: int) -> Box:
        """The box moved; it may leave the image."""
        return Box(self.x0 + right_px, self.y0 + down_px, self.x1 + right_px, self.y1 + down_px)

    def clipped(self, *, width_px: int, height_px: int) -> Box | None:
        """The part inside an image of the given size, or None where nothing is left."""
        return self.intersection(Box(0, 0, width_px, height_px))

    def contains(self, other: Box) -> bool:
        """Whether the other box lies wholly inside this one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = self.intersection(other)
        if shared is None:
            return 0.0
        return shared.area_px / (self.area_px + other.area_px - shared.area_px)

    @classmethod
    def around(cls, points: Iterable[tuple[float, float]]) -> Box:
        """The smallest box whose pixels cover all points (x, y)."""
        xs, ys = zip(*points, strict=True)
        x0, y0 = math.floor(min(xs)), math.floor(min(ys))
        return cls(x0, y0, max(math.ceil(max(xs)), x0 + 1), max(math.ceil(max(ys)), y0 + 1))

    @classmethod
    def of_artefact(cls, artefact: NDArray[np.bool_]) -> Box | None:
        """The tight box of the True pixels of an (H, W) bool array, or None where there are none."""
        rows = np.flatnonzero(artefact.any(axis=1))
        if rows.size == 0:
            return None
        columns = np.flatnonzero(artefact.any(axis=0))
        return cls(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def rasterise_polygon(polygon: Sequence[tuple[float, float]], box: Box) -> NDArray[np.bool_]:
    """Fill a polygon inside a box, by the even-odd rule at pixel centres.

    Args:
        polygon: Vertices (x, y) in image pixels.
        box: The window to draw, in image pixels.

    Returns:
        bool array of shape `box.shape`; True for pixels whose centre is inside the polygon.

    Raises:
        ValueError: Fewer than three vertices.
    """
    if len(polygon) < 3:
        raise ValueError(f"a polygon needs three vertices, got {len(polygon)}")
    vertices = np.asarray(polygon, dtype=np.float64) - (box.x0 + 0.5, box.y0 + 0.5)
    # Each edge toggles the pixel where it crosses a row of centres; a running exclusive-or along the row then tells
    # inside from outside. Library fills draw the outline as well, which grows small text by up to a pixel a side.
    toggles = np.zeros((box.height_px, box.width_px + 1), dtype=np.bool_)
    for (xa, ya), (xb, yb) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        first = max(0, math.ceil(min(ya, yb)))
        stop = min(box.height_px, math.ceil(max(ya, yb)))
        if first >= stop:
            continue
        rows = np.arange(first, stop)
        crossings = np.ceil(xa + (rows - ya) * ((xb - xa) / (yb - ya)))
        toggles[rows, np.clip(crossings, 0, box.width_px).astype(np.intp)] ^= True
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(toggles, axis=1)[:, :-1]
    return inside
