"""Frames of one deck that differ by a plate: whether an image has the plate, or only a ground of its colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PLATE_PX = 15
"""What one frame claims beyond another in narrower places is the play with which prints are cut."""
REACH_PX = 10
"""Prints have their plates within this distance of the frame's."""
EDGE_LEVELS = 8.0
"""Difference to the next pixel from which there is an edge."""
EDGED_SHARE = 0.6
"""A plate has an edge of one direction along this share of its outline; lines of a drawing cross it here and there."""
_NORMAL_SIGMA_PX = 3.0


def has_plates(pixels: NDArray[np.uint8], artefact: NDArray[np.bool_], rival: NDArray[np.bool_]) -> bool:
    """Whether what a frame claims beyond its rival ends at an edge of the image.

    Args:
        pixels: (h, w, 3) uint8 RGB, the image at the place of the frame.
        artefact: (h, w) bool, the frame.
        rival: (h, w) bool, the frame that claims less.

    Returns:
        True also where the frame has no plate that its rival lacks.
    """
    import cv2

    outline = _plate_outline(artefact, rival)
    rows, columns = np.nonzero(outline)
    if not rows.size:
        return True
    soft = cv2.GaussianBlur(artefact.astype(np.float32), (0, 0), _NORMAL_SIGMA_PX)
    across, down = (cv2.Sobel(soft, cv2.CV_32F, dx, 1 - dx)[rows, columns] for dx in (1, 0))
    length = np.hypot(across, down) + np.float32(1e-6)
    across, down = across / length, down / length
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    slopes = [cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0)]
    height_px, width_px = outline.shape
    best = 0.0
    for distance in range(-REACH_PX, REACH_PX + 1):
        ys = np.clip(np.rint(rows + distance * down).astype(np.intp), 0, height_px - 1)
        xs = np.clip(np.rint(columns + distance * across).astype(np.intp), 0, width_px - 1)
        step = slopes[0][ys, xs] * across + slopes[1][ys, xs] * down
        best = max(best, float((step > EDGE_LEVELS).mean()), float((step < -EDGE_LEVELS).mean()))
    return best >= EDGED_SHARE


def _plate_outline(artefact: NDArray[np.bool_], rival: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rim of what a frame claims beyond its rival, where it meets the frame's window."""
    import cv2

    kernel = np.ones((PLATE_PX, PLATE_PX), np.uint8)
    plates = cv2.morphologyEx((artefact & ~rival).view(np.uint8), cv2.MORPH_OPEN, kernel).astype(np.bool_)
    beside_window = cv2.dilate((~artefact).view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    # Where the window of the rival ends too, the edge is that of both.
    beside_rival = cv2.dilate(rival.view(np.uint8), np.ones((REACH_PX, REACH_PX), np.uint8)).astype(np.bool_)
    rim: NDArray[np.bool_] = plates & beside_window & ~beside_rival
    return rim
