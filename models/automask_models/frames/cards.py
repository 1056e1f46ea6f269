"""Cards on a plain ground: everything but the art window, found from the frame's mirror symmetry.

The frame of a game card is drawn once and is nearly its own mirror image; the picture in its window is not. A single
image proves less than a set of cards that share the frame, so the confidence stays modest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.bands import commonest_colour
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.picture import detail_of

WORK_PX = 320
"""Longest side of the copy that is searched: ornaments are then a few pixels wide, letters about one."""
GROUND_NOISE = 4.0
"""A ground rougher than this, in levels, is a table or a wall, and a straight thing on it belongs to the scene."""
GROUND_TOLERANCE = 24.0
MIN_STRAIGHT = 0.4
"""Share of the height along which both flanks of the silhouette must run straight: gems and scrolls break them."""
CARD_TRUST = 0.7
"""Confidence of a perfect card: what edges alone draw while no more than two sevenths of it is in doubt (`ACCEPT`), and
less than a window with straight edges has (`windows.CARD_TRUST`). Where there is a layout map, its judge has a say."""
WINDOW_DETAIL = (0.3, 0.45)
"""Share of detail that makes the window a painting: signs and screens in drawings stay below."""
LETTER_LEVELS = 12.0
"""Contrast at which the structure of letters and gems is cut, so that they do not outweigh the ornament."""
MIRRORED = (0.22, 0.32)
"""Correlation with the mirror image that makes a frame an ornament: photographs reach .2, rarely more."""
PLAIN_RECTANGLE = 0.96
"""Straightness of a photograph in a mat; an ornamented card has parts that stand out of its flanks."""
STEP_PX = 3
"""How fast the window's half width may change from row to row: 3 lets an arch close in a few rows."""


@dataclass(frozen=True, slots=True, eq=False)
class CardWindow:
    """A card with its picture.

    Attributes:
        outside: (H, W) bool, everything but the art window.
        confidence: 0..1.
    """

    outside: NDArray[np.bool_]
    confidence: float


def find_card(pixels: NDArray[np.uint8], *, inside: Box) -> CardWindow | None:
    """Find a card and its art window in an (H, W, 3) uint8 image, or None where there is no card.

    Args:
        pixels: The image.
        inside: What plain borders leave; their symmetry says nothing.
    """
    import cv2

    height_px, width_px = pixels.shape[:2]
    rim = np.concatenate([pixels[:2].reshape(-1, 3), pixels[-2:].reshape(-1, 3), pixels[:, :2].reshape(-1, 3)])
    colour, share, noise = commonest_colour(rim[:, None])
    if share < 0.9 or noise > GROUND_NOISE or min(height_px, width_px) < 64:
        return None
    scale = min(1.0, WORK_PX / max(height_px, width_px))
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    card = _silhouette(largest_channel(np.abs(small - colour)) > GROUND_TOLERANCE)
    if card is None:
        return None
    straightness, left, right = _flanks(card)
    if straightness < MIN_STRAIGHT or right - left < 32:
        return None
    fullness = float(card[:, left : right + 1][card.any(axis=1)].mean())
    rows = np.flatnonzero(card.any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    asymmetry = _asymmetry(small[top:bottom, left : right + 1])
    half_width = _window(asymmetry)
    if half_width is None:
        return None
    in_window = np.abs(np.arange(asymmetry.shape[1]) - (asymmetry.shape[1] - 1) / 2)[None, :] < half_width[:, None]
    if in_window.all() or not in_window.any():
        return None
    ratio = float(asymmetry[in_window].mean() / max(1.0, asymmetry[~in_window].mean()))
    ornament = _eroded(card) & ~_within(in_window, card.shape, top=top, left=left)
    rows_inside = slice(math.ceil(inside.y0 * scale) + 2, max(0, math.floor(inside.y1 * scale) - 2))
    columns_inside = slice(math.ceil(inside.x0 * scale) + 2, max(0, math.floor(inside.x1 * scale) - 2))
    bounded = np.zeros_like(card)
    bounded[rows_inside, columns_inside] = True
    correlation = _mirror_correlation(
        small[top:bottom, left : right + 1], (ornament & bounded)[top:bottom, left : right + 1]
    )
    window_share = float(in_window.mean())
    confidence = (
        ramp(straightness, MIN_STRAIGHT, 0.55)
        * ramp(straightness, PLAIN_RECTANGLE, PLAIN_RECTANGLE - 0.06)
        * ramp(fullness, 0.7, 0.85)
        * ramp(ratio, 1.3, 2.2)
        * ramp(correlation, *MIRRORED)
        * ramp(window_share, 0.06, 0.14)
        * ramp(window_share, 0.75, 0.6)
    )
    window = np.zeros(small.shape[:2], dtype=np.uint8)
    window[top:bottom, left : right + 1] = in_window
    window_rows, window_columns = (np.flatnonzero(window.any(axis=axis)) for axis in (1, 0))
    detail = detail_of(
        pixels[
            int(window_rows[0] / scale) : int(window_rows[-1] / scale) + 1,
            int(window_columns[0] / scale) : int(window_columns[-1] / scale) + 1,
        ]
    )
    outside = cv2.resize(window, (width_px, height_px), interpolation=cv2.INTER_NEAREST) == 0
    return CardWindow(outside, CARD_TRUST * confidence * ramp(detail, *WINDOW_DETAIL))


def _within(part: NDArray[np.bool_], shape: tuple[int, ...], *, top: int, left: int) -> NDArray[np.bool_]:
    """The part put back where it was cut from."""
    whole = np.zeros(shape, dtype=np.bool_)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return whole


def _eroded(card: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The card without its rim, whose edge against the ground is symmetric for anything upright."""
    import cv2

    eroded: NDArray[np.bool_] = cv2.erode(card.view(np.uint8), np.ones((13, 13), np.uint8)).astype(np.bool_)
    return eroded


def _mirror_correlation(card: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Correlation -1..1 of the fine structure of a (h, w, 3) card with its mirror image, at the given pixels."""
    import cv2

    both = where & where[:, ::-1]
    if both.mean() < 0.05:
        return 0.0
    grey = card.mean(axis=2)
    fine = cv2.GaussianBlur(grey, (0, 0), 2.0) - cv2.GaussianBlur(grey, (0, 0), 8.0)
    fine = np.clip(fine, -LETTER_LEVELS, LETTER_LEVELS)
    # A horizon is its own mirror image as well: what whole rows share is no ornament.
    share = both.sum(axis=1, keepdims=True)
    fine = fine - np.where(both, fine, 0.0).sum(axis=1, keepdims=True) / np.maximum(share, 1)
    straight, mirrored = fine[both], fine[:, ::-1][both]
    return float((straight * mirrored).mean() / max(1e-6, (straight**2).mean()))


def _silhouette(differs: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest thing on the ground without its holes, or None where it touches the border or is small."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(differs.view(np.uint8), connectivity=8)
    if count < 2:
        return None
    label = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    thing = labels == label
    if thing[0].any() or thing[-1].any() or thing[:, 0].any() or thing[:, -1].any():
        return None
    padded = np.pad(~thing, 1, constant_values=True).astype(np.uint8)
    _, ground = cv2.connectedComponents(padded, connectivity=4)
    filled: NDArray[np.bool_] = (ground != ground[0, 0])[1:-1, 1:-1]
    return filled if filled.mean() > 0.2 else None


def _flanks(card: NDArray[np.bool_]) -> tuple[float, int, int]:
    """Straightness 0..1 and the columns of the left and right flank (the commonest ends of the rows)."""
    rows = card[card.any(axis=1)]
    first = rows.argmax(axis=1)
    last = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    shares, columns = [], []
    for ends in (first, last):
        column = int(np.bincount(ends).argmax())
        shares.append(float((np.abs(ends - column) <= 2).mean()))
        columns.append(column)
    return min(shares), columns[0], columns[1]


def _asymmetry(card: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each pixel of a (h, w, 3) card differs from its mirror image, in levels, letters ignored."""
    import cv2

    smooth = cv2.GaussianBlur(card, (0, 0), 1.5)
    difference = largest_channel(np.abs(smooth - smooth[:, ::-1]))
    levels = np.clip(difference, 0, 255).astype(np.uint8)
    without_letters: NDArray[np.float32] = cv2.medianBlur(levels, 9).astype(np.float32)
    return without_letters


def _window(asymmetry: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """Half width of the window in each row, 0 outside it: the connected mirror-symmetric shape that differs most.

    Dynamic programming over rows; each row adds how much more its inside differs from its mirror image than the card
    does on average.
    """
    height, width = asymmetry.shape
    half = width // 2
    folded = asymmetry[:, half - 1 :: -1][:, :half]
    threshold = float(folded.mean())
    gain = np.cumsum(folded - threshold, axis=1)  # gain[y, h]: half width h + 1
    best = np.full((height, half), -np.inf)
    came = np.full((height, half), -1, dtype=np.int64)
    best[0] = gain[0]
    for row in range(1, height):
        padded = np.pad(best[row - 1], STEP_PX, constant_values=-np.inf)
        reachable = np.lib.stride_tricks.sliding_window_view(padded, 2 * STEP_PX + 1)
        step = reachable.argmax(axis=1)
        previous = reachable[np.arange(half), step]
        goes_on = previous > 0
        came[row] = np.where(goes_on, np.arange(half) + step - STEP_PX, -1)
        best[row] = gain[row] + np.where(goes_on, previous, 0.0)
    row, column = (int(v) for v in np.unravel_index(int(best.argmax()), best.shape))
    if not best[row, column] > 0:
        return None
    widths = np.zeros(height, dtype=np.int64)
    while column >= 0:
        widths[row] = column + 1
        column = int(came[row, column])
        row -= 1
    return widths
