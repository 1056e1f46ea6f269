"""What stands out from its background at a click: lettering, a mark, a logo, without any weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORKING_PX = 1024
"""Longer side of the picture that is looked at: marks are larger than its pixels."""
_BACKGROUND_SHARE = 1 / 12
_WINDOW_SHARE = 0.3
_NEAR_SHARE = 1 / 40
_JOIN_SHARE = 1 / 60
_LEAST_CONTRAST = 5.0
_MOST_SHARE = 0.5


def mark_at(pixels: NDArray[np.uint8], x: float, y: float) -> NDArray[np.bool_] | None:
    """The lettering or mark at or near a pixel, its letters joined to lines.

    A median that is wider than strokes shows the background; what differs from it is ink.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        x: Column.
        y: Row.

    Returns:
        (H, W) bool, or None where nothing stands out, or a texture does.
    """
    import cv2

    height_px, width_px = pixels.shape[:2]
    scale = min(1.0, _WORKING_PX / max(width_px, height_px))
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    lab = np.asarray(cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB))
    found = _mark_at(lab, (min(size[0] - 1, int(x * scale)), min(size[1] - 1, int(y * scale))))
    if found is None:
        return None
    whole = cv2.resize(found.view(np.uint8), (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole > 0, dtype=np.bool_)


def _mark_at(lab: NDArray[np.uint8], at: tuple[int, int]) -> NDArray[np.bool_] | None:
    import cv2

    longest = max(lab.shape[:2])
    side = int(longest * _BACKGROUND_SHARE) | 1
    background = cv2.medianBlur(lab, min(255, side))
    contrast = np.sqrt(np.square(lab.astype(np.float32) - background.astype(np.float32)).sum(axis=2))
    reach = int(longest * _WINDOW_SHARE)
    rows, columns = slice(max(0, at[1] - reach), at[1] + reach), slice(max(0, at[0] - reach), at[0] + reach)
    window = np.clip(contrast[rows, columns], 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(window, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink = (window >= max(_LEAST_CONTRAST, threshold)).view(np.uint8)
    join = max(3, int(longest * _JOIN_SHARE))
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, (2 * join, join)))
    _, labels = cv2.connectedComponents(joined)
    near = max(2, int(longest * _NEAR_SHARE))
    y, x = at[1] - rows.start, at[0] - columns.start
    around = labels[max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1]
    if labels[y, x] == 0 and not around.any():
        return None
    chosen = labels[y, x] or int(np.bincount(around[around > 0]).argmax())
    mark = labels == chosen
    if mark.mean() > _MOST_SHARE:
        return None  # a texture, not a mark
    out = np.zeros(lab.shape[:2], dtype=np.bool_)
    out[rows, columns] = mark
    return out
