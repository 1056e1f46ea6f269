"""Crops that drop frames and bars, and what they lose. Arrays in, boxes out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

_COARSE_CELLS = 256


class Reason(enum.StrEnum):
    """Why an image is not cropped."""

    NOTHING_MASKED = "nothing-masked"
    """Nothing of it is masked."""
    NO_FRAME = "no-frame"
    """What is masked is no frame: text, marks and the like, which a crop does not drop."""
    ALL_FRAME = "all-frame"
    """All of it is masked as frame: nothing would be left."""
    SMALL_ALREADY = "small-already"
    """The image itself has a shorter side than the crop must have."""
    TOO_SMALL = "too-small"
    """The crop would have a shorter side than it must have."""
    CONTENT_LOST = "content-lost"
    """Too much of the picture lies beside the crop, as where it reaches into the frame or the frame is crooked."""
    EXCLUDED = "excluded"
    """A person left the image out in review."""
    UNREADABLE = "unreadable"
    """The image is gone, damaged, or not the one that the mask was made for."""


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


def why_not(
    frame: NDArray[np.bool_], other: NDArray[np.bool_], crop: Crop | None, *, most_lost: float, least_side_px: int
) -> Reason | None:
    """Why an image should stay whole, or None where it should be cropped.

    Args:
        frame: (H, W) bool, True = frame, border or bar.
        other: (H, W) bool, True = anything else that is masked.
        crop: What was proposed.
        most_lost: The largest share of the content that a crop may cost, 0..1.
        least_side_px: The shortest side that a crop may have.
    """
    if crop is None:
        if frame.any():
            return Reason.ALL_FRAME
        return Reason.NO_FRAME if other.any() else Reason.NOTHING_MASKED
    if min(frame.shape) < least_side_px:
        return Reason.SMALL_ALREADY
    if min(crop.box.shape) < least_side_px:
        return Reason.TOO_SMALL
    return Reason.CONTENT_LOST if crop.content_lost > most_lost else None


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
