"""Shifts by which a picture repeats itself: sharp peaks in the autocorrelation of its fine detail.

A mark that is tiled over a picture, or a net of lines, is the same at every place of a lattice while the picture under
it changes. One place may drown in texture; the sum over all of them, which is what an autocorrelation is, does not.
Things that a picture repeats by itself (windows, waves, leaves) are never equal to the pixel: their peaks are blunt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FINE_SIGMA_PX = 3.0
"""Detail finer than this is looked at: strokes, not areas."""
LOCAL_PX = 25
"""Detail is measured against its strength within twice this, so that a busy corner does not outweigh a plain sky."""
QUIET_LEVELS = 1.5
"""Strength of detail, in grey levels, that is still taken for noise of the file."""
CLIPPED_AT = 2.5
_LOUDEST = 1e4

REACH_SHARE = 0.58
"""Shifts up to this share of a side are looked at: farther ones have too little left to agree on."""
NEAREST_PX = 12
"""Shifts below this are no repetition but the width of a stroke."""
BLUNT_PX = 13
"""What the autocorrelation has in common with its surroundings within this is no peak."""
RING_PX = (6, 9)
"""A peak must stand out from what lies at this distance around it: ridges (long straight edges) do not."""
MIN_PROMINENCE = 8.0
"""In deviations of the noise. On 231 clean pictures one reached 7; marks of opacity .1 reach 10 to 80."""
RELATIVE_PROMINENCE = 0.2
"""Peaks below this share of the first are left out."""
APART_PX = 8
MAX_SHIFTS = 24
_MAX_CANDIDATES = 2_000
_NEAR_PX = 2


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift by which a picture repeats itself; its opposite is meant as well.

    Attributes:
        dx_px: To the right.
        dy_px: Downwards, 0 or more.
        prominence: How far its peak stands out, in deviations of the noise.
    """

    dx_px: int
    dy_px: int
    prominence: float

    @property
    def length_px(self) -> float:
        """How far it goes."""
        return math.hypot(self.dx_px, self.dy_px)


def fine_detail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is finer than areas in an (H, W, 3) uint8 picture; (H, W) float32 grey levels around 0."""
    import cv2

    grey = cv2.transform(pixels.astype(np.float32), np.full((1, 3), 1 / 3, dtype=np.float32))
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), FINE_SIGMA_PX), dtype=np.float32)


def whitened(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fine detail of about the same strength everywhere, (H, W) float32 around 0."""
    strength = np.sqrt(np.maximum(_smoothed(np.minimum(detail * detail, _LOUDEST), LOCAL_PX), 0))
    return np.asarray(np.clip(detail / (strength + QUIET_LEVELS), -CLIPPED_AT, CLIPPED_AT), dtype=np.float32)


class Autocorrelation:
    """How well a picture agrees with itself, by shift, in deviations of what chance does."""

    def __init__(self, values: NDArray[np.float32], *, reach_px: tuple[int, int], rows_above: int) -> None:
        self._values = values
        self._reach_x, self._reach_y = reach_px
        self._rows_above = rows_above

    @classmethod
    def of(cls, detail: NDArray[np.float32]) -> Self:
        """That of `whitened` detail, (H, W) float32."""
        import cv2

        height, width = detail.shape
        reach_x, reach_y = int(width * REACH_SHARE), int(height * REACH_SHARE)
        padded = np.zeros(
            (cv2.getOptimalDFTSize(height + reach_y), cv2.getOptimalDFTSize(width + reach_x)), dtype=np.float32
        )
        padded[:height, :width] = detail
        spectrum = cv2.dft(padded, nonzeroRows=height)
        power = cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True)
        sums = cv2.dft(power, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
        # Opposite shifts agree equally: the upper half is left out but for what surrounds the peaks of row 0.
        above = 2 * RING_PX[1]
        sums = np.concatenate([sums[-above:], sums[: reach_y + 1]])
        sums = np.concatenate([sums[:, -reach_x:], sums[:, : reach_x + 1]], axis=1)
        rows = np.abs(np.arange(-above, reach_y + 1, dtype=np.float32))[:, None]
        columns = np.abs(np.arange(-reach_x, reach_x + 1, dtype=np.float32))[None]
        shared = (height - rows) * (width - columns)
        mean = sums / (shared * max(float(np.square(detail).mean()), 1e-6))
        values = (mean - _smoothed(mean, BLUNT_PX)) * np.sqrt(shared)
        far = np.hypot(rows, columns)[::3, ::3] > NEAREST_PX
        noise = 1.4826 * float(np.median(np.abs(values[::3, ::3][far]))) if far.any() else 1.0
        # A picture without noise (drawn by a program) would make everything significant: chance alone does about 1.
        return cls(values / np.float32(max(noise, 1.0)), reach_px=(reach_x, reach_y), rows_above=above)

    def shifts(self) -> list[Shift]:
        """The shifts that stand out, most prominent first."""
        found: list[Shift] = []
        for shift in sorted(self._candidates(), key=lambda each: -each.prominence):
            if shift.prominence < max(MIN_PROMINENCE, RELATIVE_PROMINENCE * (found or [shift])[0].prominence):
                break
            if all(max(abs(shift.dx_px - kept.dx_px), abs(shift.dy_px - kept.dy_px)) > APART_PX for kept in found):
                found.append(shift)
            if len(found) == MAX_SHIFTS:
                break
        return found

    def has_peak(self, dx_px: int, dy_px: int, *, prominence: float) -> bool | None:
        """Whether something stands out by this much there, give or take two pixels; None beyond what was looked at."""
        if dy_px < 0:
            dx_px, dy_px = -dx_px, -dy_px
        reach = _NEAR_PX + RING_PX[1]
        if abs(dx_px) + reach > self._reach_x or dy_px + reach > self._reach_y:
            return None
        x, y = dx_px + self._reach_x, dy_px + self._rows_above
        near = self._values[y - _NEAR_PX : y + _NEAR_PX + 1, x - _NEAR_PX : x + _NEAR_PX + 1]
        row, column = divmod(int(near.argmax()), near.shape[1])
        return self._prominence(y - _NEAR_PX + row, x - _NEAR_PX + column) >= prominence

    def _candidates(self) -> Iterator[Shift]:
        import cv2

        values = self._values
        peaks = (values >= MIN_PROMINENCE) & (values == cv2.dilate(values, np.ones((3, 3), dtype=np.uint8)))
        rim = RING_PX[1]
        peaks[: self._rows_above] = False
        peaks[self._rows_above, : self._reach_x] = False  # of row 0 only one half
        peaks[-rim:] = peaks[:, :rim] = peaks[:, -rim:] = False
        rows, columns = np.nonzero(peaks)
        strongest = np.argsort(-values[rows, columns])[:_MAX_CANDIDATES]
        for y, x in zip(rows[strongest], columns[strongest], strict=True):
            shift = Shift(
                dx_px=int(x) - self._reach_x,
                dy_px=int(y) - self._rows_above,
                prominence=self._prominence(int(y), int(x)),
            )
            if shift.length_px >= NEAREST_PX:
                yield shift

    def _prominence(self, y: int, x: int) -> float:
        rim = RING_PX[1]
        around = self._values[y - rim : y + rim + 1, x - rim : x + rim + 1]
        return float(self._values[y, x] - max(0.0, float(around[_RING].max())))


def _smoothed(values: NDArray[np.float32], width_px: int) -> NDArray[np.float32]:
    """Averaged twice over squares of an odd width: nearly a Gaussian, at a seventh of its time."""
    import cv2

    size_px = (width_px, width_px)
    return np.asarray(cv2.boxFilter(cv2.boxFilter(values, -1, size_px), -1, size_px), dtype=np.float32)


def _ring() -> NDArray[np.bool_]:
    inner, outer = RING_PX
    y, x = np.mgrid[-outer : outer + 1, -outer : outer + 1]
    return np.asarray(y * y + x * x >= inner * inner, dtype=np.bool_)


_RING = _ring()
