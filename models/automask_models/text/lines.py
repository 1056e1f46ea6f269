"""From a probability map to text lines, and from a line to an upright crop of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.geometry import Polygon

CORE_PROBABILITY = 0.3
"""A map pixel belongs to the core of a line from here on (differentiable binarisation, Liao et al. 2020)."""

UNCLIP_RATIO = 1.6
"""Cores are shrunk lines; this much of area / perimeter is added on every side to undo it."""

_MIN_CORE_SIDE_PX = 3.0


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line found in a probability map, in pixels of the source image.

    Attributes:
        corners: Rotated rectangle around the line, clockwise, starting at the top left of the (assumed) text.
        score: Mean probability inside the rectangle of the core, 0..1.
    """

    corners: Polygon
    score: float

    @property
    def length_px(self) -> float:
        """Length of the longer pair of sides."""
        return max(self._sides_px)

    @property
    def thickness_px(self) -> float:
        """Length of the shorter pair of sides, about the height of the letters."""
        return min(self._sides_px)

    @property
    def _sides_px(self) -> tuple[float, float]:
        top_left, top_right, _, bottom_left = self.corners
        return math.dist(top_left, top_right), math.dist(top_left, bottom_left)


def find_lines(
    probability: NDArray[np.float32], *, width_px: int, height_px: int, min_score: float
) -> list[TextLine]:
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
        corners = _clockwise_from_top_left(np.asarray(grown, dtype=np.float64) * to_source)
        lines.append(TextLine(corners, score))
    return lines


def upright_crop(pixels: NDArray[np.uint8], line: TextLine) -> NDArray[np.uint8]:
    """Cut a line out and turn it so that it runs left to right.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        line: The line; tall ones are taken to be turned by a quarter.

    Returns:
        (height, width, 3) uint8 RGB, at least one pixel each way.
    """
    import cv2

    top_left, top_right, _, bottom_left = line.corners
    width = max(1, round(math.dist(top_left, top_right)))
    height = max(1, round(math.dist(top_left, bottom_left)))
    source = np.array([top_left, top_right, bottom_left], dtype=np.float32)
    target = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float32)
    crop = cv2.warpAffine(
        pixels,
        cv2.getAffineTransform(source, target),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.rot90(crop) if height >= 1.5 * width else crop


def _clockwise_from_top_left(points: NDArray[np.float64]) -> Polygon:
    by_x = points[np.argsort(points[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    ordered = (top_left, top_right, bottom_right, bottom_left)
    return tuple((float(x), float(y)) for x, y in ordered)


def _mean_inside(probability: NDArray[np.float32], quad: NDArray[np.float32]) -> float:
    import cv2

    rows, columns = probability.shape
    x0, y0 = np.clip(np.floor(quad.min(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    x1, y1 = np.clip(np.ceil(quad.max(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    cv2.fillPoly(inside, [(quad - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], inside)[0])
