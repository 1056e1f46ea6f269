"""Shapes of annotation programs as pixels of the image. Every format draws what it knows here, and nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.importing.foreign import Point
from automask.importing.found import Outlines, Shape, Target
from automask.values.types import Kind

MOST_RATIO_ERROR = 0.01
"""Relative difference between the aspect ratios of two sizes of one picture."""
_MOST_AREA_PX = 400_000_000
_FAR_SIDES = 4.0
"""Points that lie further outside than so many sides of the image are taken for damage."""
_ELLIPSE_POINTS = 128
_SHIFT = 4
_FINE = 1 << _SHIFT
_HALF_LEVEL = 128


class Canvas:
    """Draws the shapes of one entry.

    Args:
        target: The image.
        own_shape: (height, width) of the picture that the shapes were drawn on; None = that of the image.

    Raises:
        ValueError: That picture has another aspect ratio, upright or on its side.
    """

    def __init__(self, target: Target, own_shape: Shape | None = None) -> None:
        self.own_shape = own_shape or target.shape
        self._line_width_px = target.line_width_px
        self._shape = next((s for s in (target.shape, target.shape[::-1]) if same_ratio(self.own_shape, s)), None)
        if self._shape is None:
            raise ValueError(other_shape(self.own_shape, target.shape))
        if self.own_shape[0] * self.own_shape[1] > _MOST_AREA_PX:
            raise ValueError(f"a picture of {self.own_shape[1]} x {self.own_shape[0]} px is too large")
        self._scales = (self._shape[1] / self.own_shape[1], self._shape[0] / self.own_shape[0])
        self._drawn: dict[Kind | None, NDArray[np.uint8]] = {}
        self._notes: list[str] = []

    def polygon(self, points: Sequence[Point], label: object = None) -> None:
        """Pixels whose centre lies within a polygon of pixel edges.

        Raises:
            ValueError: It has fewer than three points, or some far outside of the image.
        """
        import cv2

        if len(points) < 3:
            raise ValueError(f"a polygon of {len(points)} points has no area")
        cv2.fillPoly(self._of(label), [self._corners(points)], 1, shift=_SHIFT)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, label: object = None, *, turn: float = 0.0) -> None:
        """A rectangle, turned clockwise by some degrees around its centre."""
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.polygon(turned(corners, turn, around=((x0 + x1) / 2, (y0 + y1) / 2)), label)

    def ellipse(self, centre: Point, radii: Point, label: object = None, *, turn: float = 0.0) -> None:
        """An ellipse with radii along x and y, turned clockwise by some degrees around its centre."""
        if min(radii) <= 0:
            raise ValueError("an ellipse without a radius has no area")
        angles = [2 * math.pi * part / _ELLIPSE_POINTS for part in range(_ELLIPSE_POINTS)]
        edge = [(centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles]
        self.polygon(turned(edge, turn, around=centre), label)

    def line(self, points: Sequence[Point], label: object = None, *, width_px: float | None = None) -> None:
        """A line of its own width in pixels, or without one of that which the user chose; corners are round.

        Raises:
            ValueError: It has no length, or points far outside of the image.
        """
        if width_px is None:
            width_px = self._line_width_px
            self.note(f"lines are drawn {width_px:g} px wide (--line-width)")
        if width_px > max(self.own_shape):
            raise ValueError(f"a line is {width_px:.6g} px wide, more than its image")
        self._corners(points)  # those far outside end here
        segments = [(one, other) for one, other in itertools.pairwise(points) if one != other]
        if not segments:
            raise ValueError("a line has no length")
        half_px = width_px / 2
        for (x0, y0), (x1, y1) in segments:
            length_px = math.dist((x0, y0), (x1, y1))
            dx, dy = (y1 - y0) / length_px * half_px, (x0 - x1) / length_px * half_px
            self.polygon([(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)], label)
        for corner, _ in segments[1:]:
            self.ellipse(corner, (half_px, half_px), label)

    def raster(self, artefact: NDArray[np.bool_], label: object = None, *, left: int = 0, top: int = 0) -> None:
        """Pixels, with the place of their first one.

        Raises:
            ValueError: They do not lie within the picture.
        """
        height_px, width_px = artefact.shape
        if left < 0 or top < 0 or left + width_px > self.own_shape[1] or top + height_px > self.own_shape[0]:
            raise ValueError("a mask lies outside of its image")
        drawn = self._of(label)
        if self.own_shape == self._shape:
            drawn[top : top + height_px, left : left + width_px] |= artefact.astype(np.uint8)
            return
        whole = np.zeros(self.own_shape, dtype=np.uint8)
        whole[top : top + height_px, left : left + width_px] = artefact * np.uint8(255)
        resized = PillowImage.fromarray(whole).resize(drawn.shape[::-1], PillowImage.Resampling.BILINEAR)
        drawn |= (np.asarray(resized) >= _HALF_LEVEL).astype(np.uint8)

    def note(self, words: str) -> None:
        """Remember what was left out."""
        if words not in self._notes:
            self._notes.append(words)

    def outlines(self) -> Outlines:
        """What was drawn."""
        by_kind = {kind: drawn.astype(np.bool_) for kind, drawn in self._drawn.items()}
        return Outlines({k: drawn for k, drawn in by_kind.items() if drawn.any()}, self.own_shape, tuple(self._notes))

    def _of(self, label: object) -> NDArray[np.uint8]:
        kind = kind_of(label)
        if kind not in self._drawn:
            self._drawn[kind] = np.zeros(self._shape or (1, 1), dtype=np.uint8)
        return self._drawn[kind]

    def _corners(self, points: Iterable[Point]) -> NDArray[np.int32]:
        high, wide = self.own_shape
        for x, y in points:
            if not (abs(x - wide / 2) <= _FAR_SIDES * wide and abs(y - high / 2) <= _FAR_SIDES * high):
                raise ValueError(f"a point at {x:.6g}, {y:.6g} lies far outside of an image of {wide} x {high} px")
        scale_x, scale_y = self._scales
        fine = [[(x * scale_x - 0.5) * _FINE, (y * scale_y - 0.5) * _FINE] for x, y in points]
        return np.array(fine).round().astype(np.int32)


def turned(points: Sequence[Point], degrees: float, *, around: Point) -> list[Point]:
    """Points turned clockwise (y points down) by some degrees."""
    if not degrees:
        return list(points)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x0, y0 = around
    return [(x0 + (x - x0) * cos - (y - y0) * sin, y0 + (x - x0) * sin + (y - y0) * cos) for x, y in points]


def kind_of(label: object) -> Kind | None:
    """The kind that a label names, or None: other labels are as unwanted, and of no kind."""
    if isinstance(label, Kind):
        return label
    name = label.strip().lower() if isinstance(label, str) else ""
    return next((kind for kind in Kind if kind.value == name), None)


def same_ratio(one: Shape, other: Shape) -> bool:
    """Whether two (height, width) may be sizes of one picture."""
    return abs((one[1] / one[0]) / (other[1] / other[0]) - 1.0) <= MOST_RATIO_ERROR


def other_shape(given: Shape, image: Shape) -> str:
    """The reason for refusing a mask of another aspect ratio."""
    return f"it is {given[1]} x {given[0]} px, its image {image[1]} x {image[0]}: not the same shape"
