"""Small differences in how frames were cut or scanned: each side of an image may be off by a few pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.reduction import Gradients

PLAY_PX = 10
"""Greatest offset of a side at the compared size: two percent of the long side."""
SURE_PEAK = 3.0
"""How far the best offset must stand above the answers of the others, in their standard deviations."""


@dataclass(frozen=True, slots=True)
class Play:
    """Offsets of an image against a reference along one axis: `position + offset` for both outer thirds.

    Attributes:
        start_px: Centre of the edges in the first third of the reference.
        start_offset_px: Where they are found, relative to it.
        end_px: Centre of the edges in the last third.
        end_offset_px: Where those are found.
    """

    start_px: float
    start_offset_px: int
    end_px: float
    end_offset_px: int

    @property
    def scale_and_shift(self) -> tuple[float, float]:
        """(a, b) with image position = a * reference position + b."""
        if self.end_px - self.start_px < 1:
            return 1.0, 0.0
        scale = 1 + (self.end_offset_px - self.start_offset_px) / (self.end_px - self.start_px)
        return scale, self.start_px + self.start_offset_px - scale * self.start_px


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the sides of a reference lie in an image, along x and y."""

    x: Play
    y: Play

    @property
    def is_identity(self) -> bool:
        """Whether nothing is to be moved."""
        return not any((self.x.start_offset_px, self.x.end_offset_px, self.y.start_offset_px, self.y.end_offset_px))

    def to_reference(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An (h, w, 3) uint8 image with its frame moved to the reference's."""
        import cv2

        if self.is_identity:
            return pixels
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out: NDArray[np.uint8] = cv2.warpAffine(
            pixels, self._matrix(), pixels.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return out

    def to_image(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A reference's (h, w) bool mask as it lies in the image."""
        import cv2

        if self.is_identity:
            return mask
        moved = cv2.warpAffine(
            mask.astype(np.float32), self._matrix(), mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE
        )
        out: NDArray[np.bool_] = moved >= 0.5
        return out

    def _matrix(self) -> NDArray[np.float64]:
        (ax, bx), (ay, by) = self.x.scale_and_shift, self.y.scale_and_shift
        return np.array([[ax, 0.0, bx], [0.0, ay, by]])


def align(gradients: Gradients, reference: Gradients) -> Alignment:
    """Find the outer edges of a reference in an image of the same size; both (2, h, w) whitened gradients."""
    return Alignment(
        x=_play(gradients[0], reference[0]),
        y=_play(np.ascontiguousarray(gradients[1].T), np.ascontiguousarray(reference[1].T)),
    )


def _play(across: NDArray[np.float32], reference: NDArray[np.float32]) -> Play:
    """Offsets along the columns of (h, w) gradients taken across them."""
    third = max(1, across.shape[1] // 3)
    start = _offset(across, reference, slice(0, third))
    end = _offset(across, reference, slice(across.shape[1] - third, across.shape[1]))
    return Play(start[0], start[1], end[0], end[1])


def _offset(across: NDArray[np.float32], reference: NDArray[np.float32], columns: slice) -> tuple[float, int]:
    import cv2

    part = reference[:, columns]
    weights = (part**2).sum(axis=0)
    if weights.sum() == 0:
        return (columns.start + columns.stop) / 2, 0
    centre = float((weights * np.arange(columns.start, columns.stop)).sum() / weights.sum())
    padded = np.pad(across, ((0, 0), (PLAY_PX, PLAY_PX)))
    window = np.ascontiguousarray(padded[:, columns.start : columns.stop + 2 * PLAY_PX])
    answers = cv2.matchTemplate(window, np.ascontiguousarray(part), cv2.TM_CCORR)[0].astype(np.float64)
    best = int(np.argmax(answers))
    others = np.delete(answers, slice(max(0, best - 2), best + 3))
    spread = float(others.std())
    sure = spread > 0 and answers[best] - float(np.median(others)) >= SURE_PEAK * spread
    return centre, best - PLAY_PX if sure else 0
