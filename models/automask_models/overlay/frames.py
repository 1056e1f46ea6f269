"""The frame that images of one type share, from colours that stay while the picture inside changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.consistency import Consistency
from automask_models.overlay.relations import SAME_COLOUR_LEVELS

FIXED_SHARE = 0.5
"""A place belongs to the frame when most images have the same colour there; text on a plate leaves the plate so."""
STEADY_SHARE = 0.7
"""Places by which a frame is recognised."""
SMALLEST_WINDOW = 0.02
"""Share of the image; smaller changing areas are numbers, names and gems on the frame."""
SECOND_WINDOW = 0.3
"""A further window has at least this share of the largest one's area; text boxes change less than that."""
STEP_PX = 6
"""Within this distance from a window's outline the change from fixed to changing is complete in a print."""
STEP = 0.4
"""Least difference between the shares of images that agree outside and inside of the outline."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameShape:
    """What is fixed around a window.

    Attributes:
        outside: (h, w) bool, all but the windows.
        share: (h, w) float32, share of the images that have the median colour.
        colours: (h, w, 3) uint8, median.
        stepped: Share of the windows' outline where agreement ends abruptly, 0..1. A subject before a fixed background
            has an outline that moves.
        edged: Share of the outline that is a consistent edge in all images, 0..1. A plain ground around different
            drawings has none.
        border: Share of the image's border that belongs to the frame, 0..1.
    """

    outside: NDArray[np.bool_]
    share: NDArray[np.float32]
    colours: NDArray[np.uint8]
    stepped: float
    edged: float
    border: float


def frame_of(stack: Sequence[NDArray[np.uint8]], consistency: Consistency) -> FrameShape | None:
    """The frame of (h, w, 3) uint8 images of one type, or None where no window or no frame is left."""
    import cv2

    colours = _median(stack)
    blurred = cv2.blur(colours, (3, 3)).astype(np.int16)
    share = np.zeros(colours.shape[:2], dtype=np.float32)
    for pixels in stack:
        share += np.abs(cv2.blur(pixels, (3, 3)).astype(np.int16) - blurred).max(axis=2) <= SAME_COLOUR_LEVELS
    share /= len(stack)
    windows = _windows(share < FIXED_SHARE, consistency.energy > consistency.high)
    if not windows.any() or windows.all():
        return None
    outline = windows & (cv2.erode(windows.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    smooth = cv2.blur(share, (3, 3))
    reach = np.ones((2 * STEP_PX + 1, 2 * STEP_PX + 1), dtype=np.uint8)
    step = cv2.dilate(smooth, reach) - cv2.erode(smooth, reach)
    edge = cv2.dilate(consistency.energy, reach) > consistency.high
    outside = ~windows
    border = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
    return FrameShape(
        outside=outside,
        share=share,
        colours=colours,
        stepped=float((step[outline] >= STEP).mean()) if outline.any() else 0.0,
        edged=float(edge[outline].mean()) if outline.any() else 0.0,
        border=float(border.mean()),
    )


def _median(stack: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Median per pixel and channel, a band of rows at a time so that no copy of the stack is made."""
    height_px = stack[0].shape[0]
    out = np.empty_like(stack[0])
    for top in range(0, height_px, 32):
        rows = np.stack([pixels[top : top + 32] for pixels in stack])
        rows.partition(len(stack) // 2, axis=0)
        out[top : top + 32] = rows[len(stack) // 2]
    return out


def _windows(changing: NDArray[np.bool_], edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Large connected areas that change, without their holes and their fringes; (h, w) bool."""
    import cv2

    opened = cv2.morphologyEx(changing.view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    # Consistent edges keep windows apart from changing text and numbers beside them, but pooled evidence is wider than
    # the edge: it only cuts, and each window then takes back the changing pixels next to it.
    apart = cv2.morphologyEx((opened.astype(np.bool_) & ~edges).view(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=4)
    windows = np.zeros_like(changing)
    if count < 2:
        return windows
    areas = stats[1:, cv2.CC_STAT_AREA]
    least = max(SMALLEST_WINDOW * changing.size, SECOND_WINDOW * float(areas.max()))
    for label in np.flatnonzero(areas >= least) + 1:
        grown = cv2.dilate((labels == label).view(np.uint8), np.ones((9, 9), np.uint8)) & opened
        windows |= _without_holes(grown.astype(np.bool_))
    return windows


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill background that does not reach the border and is smaller than the mask itself."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    height_px, width_px = mask.shape
    out = mask.copy()
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        enclosed = left > 0 and top > 0 and left + width < width_px and top + height < height_px
        if enclosed and area < SMALLEST_WINDOW * mask.size:
            out |= labels == label
    return out
