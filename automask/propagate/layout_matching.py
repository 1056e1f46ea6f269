"""Finding the layout of a card again: a frame around a window, drawn by hand on one image, on others of the same deck.

What such images share is where the frame ends, not what is printed on it: names and rules differ from card to card.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_SIDE_PX = 512
"""Images are compared at this longer side: enough to tell where a line is, whatever size they were scanned at."""
_ASPECT_PLAY = 0.03
"""How far the shapes of two images of one layout may differ: scans are cut by hand."""
_BAND_PX = 6
"""The edge of the window is compared in a band so wide on both sides, at the reduced size."""
_PLAY_PX = 5
"""How far a print may be shifted, at the reduced size: one percent."""
_LEAST_EDGE_SHARE = 0.8
"""Share of the image's outermost pixels that a frame covers."""
_LEAST_WINDOW_SHARE = 0.05
"""Share of the image that its window has at least."""
_LEAST_ENERGY = 1e-6


def frames_a_window(artefact: NDArray[np.bool_]) -> bool:
    """Whether (H, W) pixels are a frame: all around the image, with a window that they enclose."""
    border = np.concatenate((artefact[0], artefact[-1], artefact[:, 0], artefact[:, -1]))
    return bool(border.mean() >= _LEAST_EDGE_SHARE) and _window_of(artefact) is not None


def fit_frame(
    artefact: NDArray[np.bool_], size_px: tuple[int, int], *, move_px: tuple[int, int] = (0, 0)
) -> NDArray[np.bool_]:
    """A frame on an image of another size: scaled with the image, its window moved, up to the edges as before.

    Args:
        artefact: (H, W) bool of the image that it is from.
        size_px: (width, height) of the other image.
        move_px: How far its window goes to the right and down.
    """
    import cv2

    width_px, height_px = size_px
    whole: NDArray[np.bool_] = cv2.resize(artefact.view(np.uint8), size_px, interpolation=cv2.INTER_NEAREST) > 0
    across, down = (max(-side, min(side, move)) for move, side in zip(move_px, size_px, strict=True))
    whole = np.pad(whole, ((max(down, 0), max(-down, 0)), (max(across, 0), max(-across, 0))), mode="edge")
    top, left = max(-down, 0), max(-across, 0)
    return np.ascontiguousarray(whole[top : top + height_px, left : left + width_px])


class LayoutFinder:
    """Looks for one frame. Where lines are is compared, not their colours or which side of them is brighter.

    Args:
        pixels: (H, W, 3) uint8 RGB of the image that the frame was drawn on.
        artefact: (H, W) bool, for which `frames_a_window` holds.
    """

    def __init__(self, pixels: NDArray[np.uint8], artefact: NDArray[np.bool_]) -> None:
        import cv2

        window = _window_of(artefact)
        if window is None:
            raise ValueError("the pixels enclose no window")
        self._size_px = (pixels.shape[1], pixels.shape[0])
        scale = _SIDE_PX / max(self._size_px)
        self._reduced_px = (max(1, round(scale * self._size_px[0])), max(1, round(scale * self._size_px[1])))
        shape = cv2.resize(window.view(np.uint8), self._reduced_px, interpolation=cv2.INTER_AREA)
        kernel = np.ones((2 * _BAND_PX + 1,) * 2, np.uint8)
        self._band = (cv2.dilate(shape, kernel) != cv2.erode(shape, kernel, borderValue=0)).astype(np.bool_)
        self._lines = _lines(pixels, self._reduced_px)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[tuple[int, int], float] | None:
        """Where the upper left corner (x, y) of the frame goes on another image, and how alike both are, 0..1.

        The frame is scaled to that image. None where the image is of another shape.
        """
        width_px, height_px = pixels.shape[1], pixels.shape[0]
        own = self._size_px[0] / self._size_px[1]
        if abs(width_px / height_px / own - 1.0) > _ASPECT_PLAY:
            return None
        theirs = np.pad(_lines(pixels, self._reduced_px), ((_PLAY_PX, _PLAY_PX), (_PLAY_PX, _PLAY_PX), (0, 0)))
        mine = self._lines[self._band]
        mine = mine - mine.mean(axis=0)
        best, place = -1.0, (0, 0)
        rows, columns = self._band.shape
        for y in range(2 * _PLAY_PX + 1):
            for x in range(2 * _PLAY_PX + 1):
                other = theirs[y : y + rows, x : x + columns][self._band]
                other = other - other.mean(axis=0)
                energy = float((mine**2).sum() * (other**2).sum())
                score = float((mine * other).sum()) / math.sqrt(max(energy, _LEAST_ENERGY))
                if score > best:
                    best, place = score, (x - _PLAY_PX, y - _PLAY_PX)
        factor = max(width_px, height_px) / _SIDE_PX
        return (round(place[0] * factor), round(place[1] * factor)), max(0.0, best)


def _window_of(artefact: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest opening that a frame encloses, or None."""
    import cv2

    count, labels, statistics, _ = cv2.connectedComponentsWithStats((~artefact).view(np.uint8), connectivity=4)
    height_px, width_px = artefact.shape
    best, most = 0, _LEAST_WINDOW_SHARE * artefact.size
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in statistics[label])
        is_inside = x > 0 and y > 0 and x + width < width_px and y + height < height_px
        if is_inside and area >= most:
            best, most = label, float(area)
    if best == 0:
        return None
    window: NDArray[np.bool_] = labels == best
    return window


def _lines(pixels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W, 2) float32 of a reduced image: how strong upright and level lines are, without their sign."""
    import cv2

    grey = cv2.cvtColor(cv2.resize(pixels, size_px, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    grey = grey.astype(np.float32) / 255.0
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis, ksize=3) for axis in ((1, 0), (0, 1)))
    strength: NDArray[np.float32] = np.sqrt(np.abs(np.stack([across, down], axis=2)))
    return strength
