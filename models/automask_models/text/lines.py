"""From a probability map to text lines, and from a line to an upright crop of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box, Polygon, rasterise_polygon

CORE_PROBABILITY = 0.3
"""A map pixel belongs to the core of a line from here on (differentiable binarisation, Liao et al. 2020)."""

UNCLIP_RATIO = 1.6
"""Cores are shrunk lines; this much of area / perimeter is added on every side to undo it."""

SAME_LINE_SHARE = 0.5
"""Lines of two passes are one when they share this much of their union."""

_MIN_CORE_SIDE_PX = 3.0
_SIMPLIFICATION_PX = 1.0


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line found in a probability map, in pixels of the source image.

    Attributes:
        corners: Rotated rectangle around the line, clockwise from the top left of the (assumed) text.
        outline: Shape of the line: follows curved and slanted lettering closer than the rectangle does.
        score: Mean probability inside the rectangle of the core, 0..1.
    """

    corners: Polygon
    outline: Polygon
    score: float

    @property
    def sides_px(self) -> tuple[float, float]:
        """Width and height of the rectangle, at least one pixel each."""
        top_left, top_right, _, bottom_left = self.corners
        return max(1.0, math.dist(top_left, top_right)), max(1.0, math.dist(top_left, bottom_left))

    @property
    def is_tall(self) -> bool:
        """Whether the line is taken to run from top to bottom."""
        width_px, height_px = self.sides_px
        return height_px >= 1.5 * width_px

    @property
    def letters_px(self) -> float:
        """About the height of the letters: the side of the rectangle across the direction of reading."""
        width_px, height_px = self.sides_px
        return width_px if self.is_tall else height_px

    @property
    def aspect(self) -> float:
        """Length of the line along the direction of reading, as a multiple of the height of its letters."""
        width_px, height_px = self.sides_px
        return height_px / width_px if self.is_tall else width_px / height_px

    @property
    def box(self) -> Box:
        """Box of the outline; may reach over the edge of the image."""
        return Box.around(self.outline)


def find_lines(probability: NDArray[np.float32], *, width_px: int, height_px: int, min_score: float) -> list[TextLine]:
    """Find the lines of one image.

    Args:
        probability: (h, w) float32, 0..1, the map of the whole image at any scale.
        width_px: Width of the source image.
        height_px: Height of the source image.
        min_score: Drop lines whose mean probability is lower.
    """
    import cv2

    rows, columns = probability.shape
    to_source = np.array([width_px / columns, height_px / rows])
    core = cv2.dilate((probability > CORE_PROBABILITY).astype(np.uint8), np.ones((2, 2), dtype=np.uint8))
    contours, _ = cv2.findContours(core, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    lines = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < _MIN_CORE_SIDE_PX:
            continue
        score = _mean_inside(probability, cv2.boxPoints((centre, (width, height), angle)))
        if score < min_score:
            continue
        margin = width * height * UNCLIP_RATIO / (2 * (width + height))
        grown = cv2.boxPoints((centre, (width + 2 * margin, height + 2 * margin), angle))
        lines.append(
            TextLine(
                corners=clockwise_from_top_left(np.asarray(grown, dtype=np.float64) * to_source),
                outline=_polygon(_unclipped(contour) * to_source),
                score=score,
            )
        )
    return lines


def merge_passes(passes: Sequence[Sequence[TextLine]]) -> list[TextLine]:
    """Join the lines of passes at several scales; of one line found twice the better scored stays."""
    merged: list[TextLine] = []
    for line in sorted((line for lines in passes for line in lines), key=lambda line: -line.score):
        if not any(_shared(line, other) >= SAME_LINE_SHARE for other in merged):
            merged.append(line)
    return merged


def upright_crop(pixels: NDArray[np.uint8], line: TextLine) -> NDArray[np.uint8]:
    """Cut a line out and turn it so that it runs left to right.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        line: The line; tall ones are turned by a quarter.

    Returns:
        (height, width, 3) uint8 RGB, at least one pixel each way.
    """
    import cv2

    top_left, top_right, _, bottom_left = line.corners
    width, height = (round(side) for side in line.sides_px)
    source = np.array([top_left, top_right, bottom_left], dtype=np.float32)
    target = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float32)
    crop: NDArray[np.uint8] = cv2.warpAffine(
        pixels,
        cv2.getAffineTransform(source, target),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.rot90(crop) if line.is_tall else crop


def _unclipped(contour: NDArray[np.int32]) -> NDArray[np.float64]:
    """The contour of a core grown to the line it stands for, (N, 2) float64 in map pixels, at least three points."""
    import cv2

    margin = math.ceil(cv2.contourArea(contour) * UNCLIP_RATIO / max(1.0, cv2.arcLength(contour, True)))
    x, y, width, height = cv2.boundingRect(contour)
    pad = margin + 2
    core = np.zeros((height + 2 * pad, width + 2 * pad), dtype=np.uint8)
    cv2.drawContours(core, [contour - np.array([[x - pad, y - pad]], dtype=np.int32)], -1, 1, cv2.FILLED)
    distance = cv2.distanceTransform(1 - core, cv2.DIST_L2, 3)
    outlines, _ = cv2.findContours((distance <= margin).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = cv2.approxPolyDP(max(outlines, key=cv2.contourArea), _SIMPLIFICATION_PX, True).reshape(-1, 2)
    if len(outline) < 3:
        outline = np.array([[pad, pad], [pad + width, pad], [pad + width, pad + height], [pad, pad + height]])
    offset = np.array([0.5 + x - pad, 0.5 + y - pad])
    return np.asarray(outline + offset, dtype=np.float64)


def _shared(a: TextLine, b: TextLine) -> float:
    """Intersection over union of two outlines, on a raster of at most 128 px."""
    window = a.box.intersection(b.box)
    if window is None:
        return 0.0
    area = a.box.union(b.box)
    step = max(area.shape) / 128
    raster = Box(0, 0, math.ceil(area.width_px / step), math.ceil(area.height_px / step))
    first, second = (
        rasterise_polygon([((x - area.x0) / step, (y - area.y0) / step) for x, y in line.outline], raster)
        for line in (a, b)
    )
    return float((first & second).sum() / max(1, (first | second).sum()))


def _polygon(points: NDArray[np.float64]) -> Polygon:
    return tuple((float(x), float(y)) for x, y in points)


def clockwise_from_top_left(points: NDArray[np.float64]) -> Polygon:
    """The corners of a rectangle, (4, 2), in the order of `TextLine.corners`."""
    by_x = points[np.argsort(points[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return _polygon(np.stack([top_left, top_right, bottom_right, bottom_left]))


def _mean_inside(probability: NDArray[np.float32], quad: NDArray[np.float32]) -> float:
    import cv2

    rows, columns = probability.shape
    x0, y0 = np.clip(np.floor(quad.min(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    x1, y1 = np.clip(np.ceil(quad.max(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    cv2.fillPoly(inside, [(quad - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], inside)[0])
