"""What a picture repeats at given shifts: whether it does so everywhere, and which pixels belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask_models.tiling.shifts import Autocorrelation, Shift, fine_detail, whitened

SHORTEST_PX = 28
"""Shorter shifts are texture: weaves, screens of print, bricks."""
MIN_SHIFTS = 4
CLOSED_AMONG = 10
CLOSING_PROMINENCE = 3.5
BLOCKS = 6
BLOCK_AGREEMENT = 6.0
"""A block of the picture shows the pattern when it agrees with its copies by this many deviations."""
_COUNTED_COPIES = 8

SMOOTH_SIGMA_PX = 0.8
STRONG_SHARE = 0.15
"""A stroke is at least this share as strong as the strongest fiftieth of the pattern."""
AGREEMENT = 2.0
"""A pixel belongs to the pattern when the mean of its copies is this many standard errors from zero."""
AGREEING_COPIES = 0.4
"""Share of the copies of a pixel that must belong, too."""
MIN_STROKE_PX = 30
CLOSE_PX = 15
"""Gaps up to this wide are closed: fine detail shows the outlines of a bold letter, not its inside."""


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Something that a picture repeats.

    Attributes:
        shifts: By which it is repeated.
        closure: Share of the sums and differences of shifts that are shifts themselves, 0..1: 1 for a lattice.
        coverage: Share of the picture's blocks that show it, 0..1.
        contrast: Of its strokes with what is around them, in grey levels.
        artefact: (H, W) bool, its pixels.
    """

    shifts: tuple[Shift, ...]
    closure: float
    coverage: float
    contrast: float
    artefact: NDArray[np.bool_]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Self | None:
        """The pattern of an (H, W, 3) uint8 picture at the resolution of training, or None where nothing repeats."""
        levels = fine_detail(pixels)
        detail = whitened(levels)
        agreement = Autocorrelation.of(detail)
        shifts = [shift for shift in agreement.shifts() if shift.length_px >= SHORTEST_PX]
        if len(shifts) < MIN_SHIFTS:
            return None
        artefact = outline_of(detail, shifts)
        return cls(
            shifts=tuple(shifts),
            closure=closure_of(shifts, agreement),
            coverage=coverage_of(detail, shifts),
            contrast=contrast_of(levels, shifts, artefact),
            artefact=artefact,
        )


def closure_of(shifts: Sequence[Shift], agreement: Autocorrelation) -> float:
    """Share of the sums and differences of the strongest shifts that the picture repeats, too.

    Two shifts of a lattice add up to a third. Copies of one thing at odd places do not.
    """
    answers = [
        agreement.has_peak(a.dx_px + sign * b.dx_px, a.dy_px + sign * b.dy_px, prominence=CLOSING_PROMINENCE)
        for a, b in combinations(shifts[:CLOSED_AMONG], 2)
        for sign in (1, -1)
        if np.hypot(a.dx_px + sign * b.dx_px, a.dy_px + sign * b.dy_px) >= SHORTEST_PX
    ]
    known = [answer for answer in answers if answer is not None]
    return sum(known) / len(known) if known else 0.0


def coverage_of(detail: NDArray[np.float32], shifts: Sequence[Shift]) -> float:
    """Share of the blocks of a picture that agree with their copies."""
    total, copies = _sum_of_copies(detail, shifts)
    # The mean of many copies is less noisy, up to a point: they are not independent.
    expected = total / np.maximum(copies, 1) * np.sqrt(np.minimum(copies, _COUNTED_COPIES))
    product, power = detail * expected, np.square(detail * expected)
    height, width = detail.shape
    agreeing = 0
    for row in range(BLOCKS):
        for column in range(BLOCKS):
            block = (
                slice(row * height // BLOCKS, (row + 1) * height // BLOCKS),
                slice(column * width // BLOCKS, (column + 1) * width // BLOCKS),
            )
            agreeing += float(product[block].sum()) > BLOCK_AGREEMENT * float(np.sqrt(power[block].sum())) > 0
    return agreeing / BLOCKS**2


def outline_of(detail: NDArray[np.float32], shifts: Sequence[Shift]) -> NDArray[np.bool_]:
    """Pixels whose copies agree on being a stroke, (H, W) bool."""
    import cv2

    smooth = cv2.GaussianBlur(detail, (0, 0), SMOOTH_SIGMA_PX)
    total, copies = _sum_of_copies(smooth, shifts)
    squares, _ = _sum_of_copies(smooth * smooth, shifts)
    count = copies + 1
    mean = (total + smooth) / count
    variance = np.maximum((squares + smooth * smooth) / count - mean * mean, 0) * count / np.maximum(copies, 1)
    error = np.sqrt(variance / count) + 1e-3
    strength = np.abs(mean)
    agreed = (strength >= STRONG_SHARE * np.quantile(strength, 0.98)) & (strength >= AGREEMENT * error)
    votes, _ = _sum_of_copies(agreed.astype(np.float32), shifts)
    # Shifts are whole pixels, the lattice is not: neighbours vote as well.
    share = cv2.GaussianBlur((votes + agreed) / count, (0, 0), 1.0)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        (share >= AGREEING_COPIES).astype(np.uint8), connectivity=8
    )
    kept = statistics[:, cv2.CC_STAT_AREA] >= MIN_STROKE_PX
    kept[0] = False
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSE_PX, CLOSE_PX))
    return np.asarray(cv2.morphologyEx(kept[labels].astype(np.uint8), cv2.MORPH_CLOSE, ellipse), dtype=np.bool_)


def contrast_of(levels: NDArray[np.float32], shifts: Sequence[Shift], artefact: NDArray[np.bool_]) -> float:
    """How strong the fine detail (grey levels) of the strongest tenth of a pattern is in the mean of its copies."""
    if not artefact.any():
        return 0.0
    total, copies = _sum_of_copies(levels, shifts)
    mean = np.abs(total + levels) / (copies + 1)
    return float(np.quantile(mean[artefact], 0.9))


def _sum_of_copies(
    values: NDArray[np.float32], shifts: Sequence[Shift]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sum of the values at all shifts and their opposites, and how many of those lie in the picture, by pixel."""
    height, width = values.shape
    total, copies = np.zeros_like(values), np.zeros_like(values)
    for shift in shifts:
        for dx, dy in ((shift.dx_px, shift.dy_px), (-shift.dx_px, -shift.dy_px)):
            here = (slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx)))
            there = (slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx)))
            total[here] += values[there]
            copies[here] += 1
    return total, copies
