"""Crops that drop frames and bars, and what they lose. Arrays in, boxes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.geometry import Box

_COARSE_CELLS = 256


@dataclass(frozen=True, slots=True)
class Crop:
    """A proposed crop of one image.

    Attributes:
        box: What stays.
        area_lost: Share of the image that goes, 0..1.
        content_lost: Share of the pixels outside of frames that goes with them, 0..1: what the crop costs.
    """

    box: Box
    area_lost: float
    content_lost: float


def propose_crop(frame: NDArray[np.bool_]) -> Crop | None:
    """The largest rectangle without a pixel of a frame.

    Args:
        frame: (H, W) bool, True = frame, border or bar.

    Returns:
        The crop, or None where there is no frame or nothing but frame.
    """
    if not frame.any() or frame.all():
        return None
    box = _grown(_largest_free_box(frame), frame)
    height_px, width_px = frame.shape
    content_px = int((~frame).sum())
    return Crop(
        box=box,
        area_lost=1.0 - box.area_px / (height_px * width_px),
        content_lost=1.0 - box.area_px / content_px,
    )


def _largest_free_box(frame: NDArray[np.bool_]) -> Box:
    """The largest free rectangle on a coarse grid, or on the pixels themselves where the grid has none."""
    height_px, width_px = frame.shape
    step_px = max(1, -(-max(height_px, width_px) // _COARSE_CELLS))
    rows, columns = -(-height_px // step_px), -(-width_px // step_px)
    padded = np.zeros((rows * step_px, columns * step_px), dtype=np.bool_)
    padded[:height_px, :width_px] = frame
    free: NDArray[np.bool_] = np.logical_not(padded.reshape(rows, step_px, columns, step_px).any(axis=(1, 3)))
    if not free.any():
        y, x = np.argwhere(~frame)[0]
        return Box(int(x), int(y), int(x) + 1, int(y) + 1)
    x0, y0, x1, y1 = _largest_rectangle(free)
    return Box(x0 * step_px, y0 * step_px, min(x1 * step_px, width_px), min(y1 * step_px, height_px))


def _largest_rectangle(free: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the largest all-True rectangle, from the histogram of run heights above each row."""
    best, best_area = (0, 0, 0, 0), 0
    heights = np.zeros(free.shape[1], dtype=np.int64)
    for row, line in enumerate(free):
        heights = np.where(line, heights + 1, 0)
        stack: list[tuple[int, int]] = []  # (first column, height), heights rising
        for column, height in enumerate([*heights.tolist(), 0]):
            start = column
            while stack and stack[-1][1] >= height:
                start, tall = stack.pop()
                area = tall * (column - start)
                if area > best_area:
                    best, best_area = (start, row + 1 - tall, column, row + 1), area
            if height:
                stack.append((start, height))
    return best


def _grown(box: Box, frame: NDArray[np.bool_]) -> Box:
    """Push every side out, pixel by pixel, as long as the new row or column is free."""
    height_px, width_px = frame.shape
    x0, y0, x1, y1 = box.xyxy
    while y0 > 0 and not frame[y0 - 1, x0:x1].any():
        y0 -= 1
    while y1 < height_px and not frame[y1, x0:x1].any():
        y1 += 1
    while x0 > 0 and not frame[y0:y1, x0 - 1].any():
        x0 -= 1
    while x1 < width_px and not frame[y0:y1, x1].any():
        x1 += 1
    return Box(x0, y0, x1, y1)
