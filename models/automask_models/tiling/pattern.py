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
TEXTURE_SHARE = 0.5
"""A shorter shift that is this share as prominent as the strongest longer one is the pitch of such a texture."""
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
        found = agreement.shifts()
        shifts = [shift for shift in found if shift.length_px >= SHORTEST_PX]
        if len(shifts) < MIN_SHIFTS:
            return None
        # A texture is repeated by whole numbers of its pitch, too.
        pitch = max((shift.prominence for shift in found if shift.length_px < SHORTEST_PX), default=0.0)
        if pitch >= TEXTURE_SHARE * shifts[0].prominence:
            return None
        copies = Copies(detail.shape, shifts)
        artefact = outline_of(detail, copies)
        return cls(
            shifts=tuple(shifts),
            closure=closure_of(shifts, agreement),
            coverage=coverage_of(detail, copies),
            contrast=contrast_of(levels, copies, artefact),
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


def coverage_of(detail: NDArray[np.float32], copies: Copies) -> float:
    """Share of the blocks of a picture that agree with their copies."""
    # The mean of many copies is less noisy, up to a point: they are not independent.
    mean = copies.sum_of(detail) / np.maximum(copies.count, 1)
    expected = mean * np.sqrt(np.minimum(copies.count, _COUNTED_COPIES))
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


def outline_of(detail: NDArray[np.float32], copies: Copies) -> NDArray[np.bool_]:
    """Pixels whose copies agree on being a stroke, (H, W) bool."""
    import cv2

    smooth = cv2.GaussianBlur(detail, (0, 0), SMOOTH_SIGMA_PX)
    count = copies.count + 1
    mean = (copies.sum_of(smooth) + smooth) / count
    squares = copies.sum_of(smooth * smooth) + smooth * smooth
    variance = np.maximum(squares / count - mean * mean, 0) * count / np.maximum(copies.count, 1)
    error = np.sqrt(variance / count) + 1e-3
    strength = np.abs(mean)
    agreed = (strength >= STRONG_SHARE * np.quantile(strength, 0.98)) & (strength >= AGREEMENT * error)
    # Shifts are whole pixels, the lattice is not: neighbours vote as well.
    share = cv2.GaussianBlur((copies.sum_of(agreed.astype(np.float32)) + agreed) / count, (0, 0), 1.0)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        (share >= AGREEING_COPIES).astype(np.uint8), connectivity=8
    )
    kept = statistics[:, cv2.CC_STAT_AREA] >= MIN_STROKE_PX
    kept[0] = False
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSE_PX, CLOSE_PX))
    return np.asarray(cv2.morphologyEx(kept[labels].astype(np.uint8), cv2.MORPH_CLOSE, ellipse), dtype=np.bool_)


def contrast_of(levels: NDArray[np.float32], copies: Copies, artefact: NDArray[np.bool_]) -> float:
    """How strong the fine detail (grey levels) of the strongest tenth of a pattern is in the mean of its copies."""
    if not artefact.any():
        return 0.0
    mean = np.abs(copies.sum_of(levels) + levels) / (copies.count + 1)
    return float(np.quantile(mean[artefact], 0.9))


class Copies:
    """The places of a picture that show the same as each of its pixels: those at all shifts and their opposites.

    Attributes:
        count: (H, W) float32, how many of them lie in the picture, by pixel.
    """

    def __init__(self, shape: tuple[int, ...], shifts: Sequence[Shift]) -> None:
        self._windows = [
            _windows(shape, dx, dy)
            for shift in shifts
            for dx, dy in ((shift.dx_px, shift.dy_px), (-shift.dx_px, -shift.dy_px))
        ]
        self.count = np.zeros(shape, dtype=np.float32)
        for here, _ in self._windows:
            self.count[here] += 1

    def sum_of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum of the values at the copies of each pixel, without its own."""
        total = np.zeros_like(values)
        for here, there in self._windows:
            total[here] += values[there]
        return total


_Window = tuple[slice, slice]


def _windows(shape: tuple[int, ...], dx: int, dy: int) -> tuple[_Window, _Window]:
    """The pixels whose copy lies in the picture, and those copies."""
    height, width = shape
    here = (slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx)))
    there = (slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx)))
    return here, there
