"""How pictures are laid into a YOLO network's input: fitted whole, or cut into overlapping tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

MAX_ENLARGEMENT = 1.5
"""Networks are trained on pictures about as large as their input; blown-up small ones look like nothing they know."""

TILE_OVERLAP = 0.25
FILL = 114
_STRIDE_PX = 32


@dataclass(frozen=True, slots=True, eq=False)
class Letterbox:
    """A part of an image inside a network's input.

    Attributes:
        canvas: (H, W, 3) uint8, the part at the top left, grey elsewhere.
        scale: Canvas pixels per image pixel, (x, y).
        window: The part, in image pixels.
    """

    canvas: NDArray[np.uint8]
    scale: tuple[float, float]
    window: Box

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 4) xyxy of the canvas in image pixels, cut to the window."""
        scale_x, scale_y = self.scale
        out = boxes / np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
        out += np.array([self.window.x0, self.window.y0, self.window.x0, self.window.y0], dtype=np.float32)
        low = np.array([self.window.x0, self.window.y0] * 2, dtype=np.float32)
        high = np.array([self.window.x1, self.window.y1] * 2, dtype=np.float32)
        return np.clip(out, low, high)


def letterbox(
    pixels: NDArray[np.uint8], window: Box, *, side_px: int, canvas_shape: tuple[int, int] | None = None
) -> Letterbox:
    """Fit a part of an image.

    Args:
        pixels: (H, W, 3) uint8 RGB, the whole image.
        window: The part.
        side_px: Length of its long side in the canvas (shorter where that would enlarge it too much).
        canvas_shape: (rows, columns) of a network with a fixed input, or None for the next multiples of the stride.
    """
    import cv2

    scale = min(side_px / max(window.shape), MAX_ENLARGEMENT)
    if canvas_shape is not None:
        scale = min(scale, canvas_shape[0] / window.height_px, canvas_shape[1] / window.width_px)
    rows, columns = (max(1, round(length * scale)) for length in window.shape)
    part = cv2.resize(
        pixels[window.slices], (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    canvas_rows, canvas_columns = canvas_shape or (
        math.ceil(rows / _STRIDE_PX) * _STRIDE_PX,
        math.ceil(columns / _STRIDE_PX) * _STRIDE_PX,
    )
    canvas = np.full((canvas_rows, canvas_columns, 3), FILL, dtype=np.uint8)
    canvas[:rows, :columns] = part
    return Letterbox(canvas=canvas, scale=(columns / window.width_px, rows / window.height_px), window=window)


def tiles(image: Box, *, side_px: int) -> list[Box]:
    """Squares of the given side that cover an image with overlap; the last ones are moved inside."""
    return [
        Box(x, y, min(x + side_px, image.width_px), min(y + side_px, image.height_px))
        for y in _starts(image.height_px, side_px)
        for x in _starts(image.width_px, side_px)
    ]


def touches_cut(boxes: NDArray[np.float32], window: Box, *, image: Box, margin_px: float) -> NDArray[np.bool_]:
    """Which of (N, 4) boxes end at an edge of the window that is not an edge of the image: they may be cut off."""
    left = (boxes[:, 0] <= window.x0 + margin_px) & (window.x0 > image.x0)
    top = (boxes[:, 1] <= window.y0 + margin_px) & (window.y0 > image.y0)
    right = (boxes[:, 2] >= window.x1 - margin_px) & (window.x1 < image.x1)
    bottom = (boxes[:, 3] >= window.y1 - margin_px) & (window.y1 < image.y1)
    cut: NDArray[np.bool_] = left | top | right | bottom
    return cut


def _starts(length_px: int, side_px: int) -> list[int]:
    if length_px <= side_px:
        return [0]
    count = math.ceil((length_px - side_px) / (side_px * (1 - TILE_OVERLAP))) + 1
    return [round(i * (length_px - side_px) / (count - 1)) for i in range(count)]
