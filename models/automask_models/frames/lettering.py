"""Whether marks on a plain ground are letters: how many there are, and that they are written in one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_LETTER_PX = 4
ENOUGH = (4, 9)
"""How many letters, or parts of words, make a line of text."""
_SAME = 0.4
"""How far a letter's height may be from that of the middle one, as a share of it."""


def letters_in(ink: NDArray[np.bool_], *, low_px: float, high_px: float) -> tuple[int, float]:
    """How many letters an ink mask (h, w) holds, and the share of them about as high as the middle one, 0..1.

    Args:
        ink: bool, True = differs from its ground.
        low_px: Least height of a letter, if it is more than `MIN_LETTER_PX`.
        high_px: Largest height of a letter.
    """
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
    heights = stats[1:, cv2.CC_STAT_HEIGHT]
    heights = heights[(heights >= max(MIN_LETTER_PX, low_px)) & (heights <= high_px)]
    if heights.size == 0:
        return 0, 0.0
    middle = float(np.median(heights))
    return int(heights.size), float((np.abs(heights - middle) <= _SAME * middle).mean())
