"""Whether marks on a plain ground are letters: how many there are, in one size, and that they stand in rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_LETTER_PX = 4
ENOUGH = (4, 9)
"""How many letters, or parts of words, make a line of text."""
IN_ROWS = (0.1, 0.35)
"""Share of the letters that stand in rows: more than half of a text, hardly any of the things in a drawn picture."""
_SAME = 0.4
"""How far a letter's height may be from that of the middle one, as a share of it."""
_LEVEL = 0.2
_APART = 6.0
"""How far the upper or lower ends of neighbours in a row differ at most, and how far they stand apart, in heights."""
_NEIGHBOURS = 2
_MOST_COMPARED = 400
"""Of more letters than this, so many of the middle are compared: they are numbered from above."""


@dataclass(frozen=True, slots=True)
class Letters:
    """What an ink mask holds that may be letters.

    Attributes:
        count: How many.
        alike: Share of them about as high as the middle one, 0..1.
        in_rows: Share of those that have neighbours at the same height, as in a line of text, 0..1.
    """

    count: int
    alike: float
    in_rows: float


def letters_in(ink: NDArray[np.bool_], *, low_px: float, high_px: float) -> Letters:
    """What an ink mask (h, w) holds.

    Args:
        ink: bool, True = differs from its ground.
        low_px: Least height of a letter, if it is more than `MIN_LETTER_PX`.
        high_px: Largest height of a letter.
    """
    import cv2

    _, _, stats, centres = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
    heights = stats[1:, cv2.CC_STAT_HEIGHT]
    fits = (heights >= max(MIN_LETTER_PX, low_px)) & (heights <= high_px)
    if not fits.any():
        return Letters(0, 0.0, 0.0)
    middle = float(np.median(heights[fits]))
    alike = fits & (np.abs(heights - middle) <= _SAME * middle)
    if not alike.any():  # two sizes, and the middle between them
        return Letters(int(fits.sum()), 0.0, 0.0)
    tops = stats[1:, cv2.CC_STAT_TOP][alike].astype(np.float32)
    return Letters(
        count=int(fits.sum()),
        alike=float(alike.sum() / fits.sum()),
        in_rows=_in_rows(tops, tops + heights[alike], centres[1:, 0][alike], height_px=middle),
    )


def _in_rows(
    tops: NDArray[np.floating], bottoms: NDArray[np.floating], middles: NDArray[np.floating], *, height_px: float
) -> float:
    """Share of the letters, given by their rows and the middle of their columns, that have neighbours in a row."""
    first = max(0, (len(tops) - _MOST_COMPARED) // 2)
    tops, bottoms, middles = (each[first : first + _MOST_COMPARED] for each in (tops, bottoms, middles))
    close = np.abs(middles[:, None] - middles[None]) <= _APART * height_px
    np.fill_diagonal(close, val=False)
    level = [np.abs(ends[:, None] - ends[None]) <= _LEVEL * height_px for ends in (tops, bottoms)]
    return float(np.logical_or.reduce([(close & each).sum(axis=1) >= _NEIGHBOURS for each in level]).mean())
