"""The square frame that a segment-anything network sees, and the way between it and the pixels of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

Fit = Literal["pad", "stretch", "repeat"]
"""How a window that is not square fills the frame, after its long side is fitted: zeros (in normalised values) at the
right and bottom, both sides stretched, or the last row and column repeated."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class SquareFrame:
    """A window of `width_px` x `height_px` pixels, fitted into a square of `side_px` frame pixels.

    Attributes:
        side_px: Side of the network's input.
        width_px: Width of the window.
        height_px: Height of the window.
        fit: What happens to a window that is not square.
    """

    side_px: int
    width_px: int
    height_px: int
    fit: Fit

    @property
    def scale(self) -> tuple[float, float]:
        """Frame pixels per window pixel, (x, y)."""
        if self.fit == "stretch":
            return self.side_px / self.width_px, self.side_px / self.height_px
        scale = self.side_px / max(self.width_px, self.height_px)
        return scale, scale

    @property
    def filled_px(self) -> tuple[int, int]:
        """(rows, columns) of the frame that hold the window."""
        scale_x, scale_y = self.scale
        return (
            min(self.side_px, max(1, round(self.height_px * scale_y))),
            min(self.side_px, max(1, round(self.width_px * scale_x))),
        )

    def points(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Window coordinates to frame coordinates; the last axis is (x, y) or (x, y, x, y)."""
        return (xy * np.tile(np.array(self.scale, dtype=np.float32), xy.shape[-1] // 2)).astype(np.float32)

    def resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window at frame scale, (rows, columns, 3), without padding."""
        import cv2

        rows, columns = self.filled_px
        shrinks = rows * columns < pixels.shape[0] * pixels.shape[1]
        resized = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.uint8)

    def square(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill a (rows, columns, 3) picture of `filled_px` up to the square, (side, side, 3)."""
        rows, columns = values.shape[:2]
        padding = ((0, self.side_px - rows), (0, self.side_px - columns), (0, 0))
        if self.fit == "repeat":
            return np.pad(values, padding, mode="edge")
        return np.pad(values, padding)

    def prompt_mask(self, artefact: NDArray[np.bool_], box: Box, *, side_px: int, logit: float) -> NDArray[np.float32]:
        """A region's shape as the coarse mask prompt of a network.

        Args:
            artefact: Shape of the region, `box.shape`.
            box: Where it is in the window; it may hang over.
            side_px: Side of the network's mask input.
            logit: Value inside; outside it is the negative, and linear between by the share of the cell.

        Returns:
            (side_px, side_px) float32.
        """
        import cv2

        scale_x, scale_y = (value * side_px / self.side_px for value in self.scale)
        # Averaged before it is sampled: a thin line keeps its share of a cell instead of falling between samples.
        kernel = (max(1, round(1 / scale_x)), max(1, round(1 / scale_y)))
        margin_x, margin_y = kernel
        canvas = np.pad(artefact.astype(np.float32), ((margin_y, margin_y), (margin_x, margin_x)))
        share = cv2.blur(canvas, kernel, borderType=cv2.BORDER_CONSTANT)
        matrix = np.array(
            [
                [scale_x, 0.0, (box.x0 - margin_x + 0.5) * scale_x - 0.5],
                [0.0, scale_y, (box.y0 - margin_y + 0.5) * scale_y - 0.5],
            ]
        )
        sampled = cv2.warpAffine(share, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR)
        return np.asarray((2.0 * sampled - 1.0) * logit, dtype=np.float32)

    def window_logits(self, logits: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        """Mask logits over the frame, sampled at the pixel centres of a box of the window.

        Args:
            logits: (h, w) float32 over the whole square.
            box: Part of the window.

        Returns:
            float32 of shape `box.shape`.
        """
        import cv2

        scale_x = self.scale[0] * logits.shape[1] / self.side_px
        scale_y = self.scale[1] * logits.shape[0] / self.side_px
        matrix = np.array(
            [
                [scale_x, 0.0, (box.x0 + 0.5) * scale_x - 0.5],
                [0.0, scale_y, (box.y0 + 0.5) * scale_y - 0.5],
            ]
        )
        sampled = cv2.warpAffine(
            logits,
            matrix,
            (box.width_px, box.height_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(sampled, dtype=np.float32)


def normalised_square(
    frame: SquareFrame,
    pixels: NDArray[np.uint8],
    *,
    mean: NDArray[np.float32] = IMAGENET_MEAN,
    std: NDArray[np.float32] = IMAGENET_STD,
) -> NDArray[np.float32]:
    """A window as (1, 3, side, side) float32, normalised per channel (mean and std of values 0..1) and then padded."""
    values = (frame.resized(pixels).astype(np.float32) / 255.0 - mean) / std
    return np.ascontiguousarray(frame.square(values).transpose(2, 0, 1)[None], dtype=np.float32)
