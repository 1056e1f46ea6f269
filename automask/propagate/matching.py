"""Finding a mark of one image on another: normalised correlation of gradients, near where it would be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

_REACH_SHARE = 0.04
"""How far a mark may be from its place, as a share of the shorter side."""
_LEAST_REACH_PX = 8
_RING_PX = 3
_LEAST_ENERGY = 1e-6


class MarkFinder:
    """Looks for one mark. Gradients, not colours, are compared: marks are often half transparent.

    Args:
        pixels: (H, W, 3) uint8 RGB of the image that shows the mark.
        box: Where it is.
        artefact: bool of shape `box.shape`: its pixels.
    """

    def __init__(self, pixels: NDArray[np.uint8], box: Box, artefact: NDArray[np.bool_]) -> None:
        import cv2

        self._box = box
        self._size_px = (pixels.shape[1], pixels.shape[0])
        grown = cv2.dilate(artefact.astype(np.uint8), np.ones((2 * _RING_PX + 1,) * 2, dtype=np.uint8))
        self._weight = grown.astype(np.float32)
        self._mark = _gradients(pixels)[box.slices] * self._weight[..., None]
        self._energy = float((self._mark**2).sum())

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Box, float] | None:
        """The best place on another image and how alike it is, -1..1; None where the mark does not fit."""
        width_px, height_px = pixels.shape[1], pixels.shape[0]
        if self._box.width_px > width_px or self._box.height_px > height_px or self._energy < _LEAST_ENERGY:
            return None
        gradients = _gradients(pixels)
        reach_px = max(_LEAST_REACH_PX, round(min(width_px, height_px) * _REACH_SHARE))
        found = [self._best_near(gradients, place, reach_px) for place in self._places(width_px, height_px)]
        return max(found, key=lambda each: each[1])

    def _places(self, width_px: int, height_px: int) -> set[tuple[int, int]]:
        """Top left corners that keep the distance to a corner of the image, or the share of its sides."""
        own_width_px, own_height_px = self._size_px
        box = self._box
        across = {box.x0, box.x0 + width_px - own_width_px, round(box.x0 * width_px / own_width_px)}
        down = {box.y0, box.y0 + height_px - own_height_px, round(box.y0 * height_px / own_height_px)}
        across.add(round(box.x0 + (width_px - own_width_px) / 2))
        down.add(round(box.y0 + (height_px - own_height_px) / 2))
        most_x, most_y = width_px - box.width_px, height_px - box.height_px
        return {(min(max(x, 0), most_x), min(max(y, 0), most_y)) for x in across for y in down}

    def _best_near(self, gradients: NDArray[np.float32], place: tuple[int, int], reach_px: int) -> tuple[Box, float]:
        import cv2

        height_px, width_px = gradients.shape[:2]
        x0, y0 = max(0, place[0] - reach_px), max(0, place[1] - reach_px)
        x1 = min(width_px, place[0] + self._box.width_px + reach_px)
        y1 = min(height_px, place[1] + self._box.height_px + reach_px)
        window = gradients[y0:y1, x0:x1]
        common = sum(
            cv2.matchTemplate(
                np.ascontiguousarray(window[..., axis]), np.ascontiguousarray(self._mark[..., axis]), cv2.TM_CCORR
            )
            for axis in range(2)
        )
        energy = cv2.matchTemplate(
            np.ascontiguousarray((window**2).sum(axis=2)), np.ascontiguousarray(self._weight), cv2.TM_CCORR
        )
        score = np.asarray(common) / np.sqrt(np.maximum(energy, _LEAST_ENERGY) * self._energy)
        top, left = np.unravel_index(int(score.argmax()), score.shape)
        corner_x, corner_y = x0 + int(left), y0 + int(top)
        box = Box(corner_x, corner_y, corner_x + self._box.width_px, corner_y + self._box.height_px)
        return box, float(score[top, left])


def _gradients(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 2) float32: differences across and down of the grey image, without its mean level."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)
    return np.stack([across, down], axis=2)
