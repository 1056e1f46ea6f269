"""The thing at a click, by colour alone: the lettering or mark around it, else the patch of like colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.geometry import Box
from automask.types import Image, Patch

_WORKING_PX = 1024
"""Longer side of the picture that is looked at: marks are larger than its pixels."""
_BACKGROUND_SHARE = 1 / 12
_WINDOW_SHARE = 0.3
_NEAR_SHARE = 1 / 40
_JOIN_SHARE = 1 / 60
_LEAST_CONTRAST = 5.0
_MOST_SHARE = 0.5
_ALIKE = 7
_SCORE = 0.5


class ColourClicker:
    """No weights. Lettering and marks stand out from their background, which a median wider than strokes shows."""

    name = "colour"

    def load(self) -> None:
        """Nothing to load."""

    def click(self, image: Image, x: int, y: int) -> Patch:
        """See `automask.protocols.Clicker`."""
        import cv2

        scale = min(1.0, _WORKING_PX / max(image.width_px, image.height_px))
        size = (max(1, round(image.width_px * scale)), max(1, round(image.height_px * scale)))
        small = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
        at = (min(size[0] - 1, int(x * scale)), min(size[1] - 1, int(y * scale)))
        lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), dtype=np.uint8)
        found = _mark_at(lab, at)
        if found is None:
            found = _alike_at(lab, at)
        artefact = cv2.resize(found.view(np.uint8), (image.width_px, image.height_px), interpolation=cv2.INTER_NEAREST)
        return patch_of(artefact.astype(np.bool_), x, y, score=_SCORE, refiner=self.name)


def patch_of(artefact: NDArray[np.bool_], x: int, y: int, *, score: float, refiner: str) -> Patch:
    """The patch of an (H, W) bool array over the image, with the clicked pixel in it."""
    artefact[y, x] = True
    box = Box.of_artefact(artefact)
    assert box is not None
    return Patch(box=box, artefact=np.ascontiguousarray(artefact[box.slices]), score=score, refiner=refiner)


def _mark_at(lab: NDArray[np.uint8], at: tuple[int, int]) -> NDArray[np.bool_] | None:
    """What stands out from its background at or near a point, letters joined to lines; None where nothing does."""
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


def _alike_at(lab: NDArray[np.uint8], at: tuple[int, int]) -> NDArray[np.bool_]:
    """The connected pixels whose colour is like that of a point, step by step."""
    import cv2

    mask = np.zeros((lab.shape[0] + 2, lab.shape[1] + 2), dtype=np.uint8)
    tolerance = (_ALIKE, _ALIKE, _ALIKE)
    cv2.floodFill(
        lab.copy(), mask, at, 0, tolerance, tolerance, 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | 1 << 8
    )
    return mask[1:-1, 1:-1].astype(np.bool_)
