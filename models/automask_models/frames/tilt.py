"""How far a scan lies askew, told from the lines of its border, and the scan turned level."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.sides import Line, Side

LEAST_SLOPE = 0.0015
"""Tangent of a tilt that is worth the work: one pixel in 700, which blunts no edge."""
LEAST_SIDES = 3
AGREEING = 0.003
"""How far the slopes of the sides may be apart: they are those of one sheet."""
_SIGNS = {Side.LEFT: -1, Side.TOP: 1, Side.RIGHT: 1, Side.BOTTOM: -1}
"""Which way each side's depth changes along it when the sheet turns clockwise."""


def tilt_of(lines: Mapping[Side, Line]) -> float:
    """Tangent of the angle, clockwise positive, that the lines of a border have turned; 0 where they do not agree."""
    slopes = [_SIGNS[side] * line.slope for side, line in lines.items() if line.depth_px > 0]
    if len(slopes) < LEAST_SIDES or max(slopes) - min(slopes) > AGREEING:
        return 0.0
    slope = float(np.median(slopes))
    return slope if abs(slope) >= LEAST_SLOPE else 0.0


def levelled(pixels: NDArray[np.uint8], slope: float) -> NDArray[np.uint8]:
    """An (H, W, 3) uint8 image turned level about its middle, its border drawn out where nothing is known."""
    import cv2

    height_px, width_px = pixels.shape[:2]
    turn = _turn(width_px, height_px, slope)
    level: NDArray[np.uint8] = cv2.warpAffine(pixels, turn, (width_px, height_px), borderMode=cv2.BORDER_REPLICATE)
    return level


def turned_back(mask: NDArray[np.bool_], slope: float) -> NDArray[np.bool_]:
    """An (H, W) bool mask of a levelled image as it lies on the image itself."""
    import cv2

    height_px, width_px = mask.shape
    turn = _turn(width_px, height_px, -slope)
    turned: NDArray[np.uint8] = cv2.warpAffine(
        mask.view(np.uint8), turn, (width_px, height_px), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return turned.astype(np.bool_)


def _turn(width_px: int, height_px: int, slope: float) -> NDArray[np.float64]:
    import cv2

    middle = (width_px - 1) / 2, (height_px - 1) / 2
    matrix: NDArray[np.float64] = np.asarray(cv2.getRotationMatrix2D(middle, math.degrees(math.atan(slope)), 1.0))
    return matrix
