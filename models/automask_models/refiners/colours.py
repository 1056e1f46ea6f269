"""What a click, a box or a drawing means by colour alone: the answer of a server without a segmentation network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.geometry import Box
from automask.values.types import Image
from automask_models.refiners.standing_out import mark_at

GRABCUT, REGION_GROWING = "grabcut", "region-growing"

_LONGEST_PX = 384
_ITERATIONS = 3
_COLOUR_TOLERANCE = 10
_DISC_PX = 3
_SCORE = 0.5


class ColourPromptSession(PromptSession):
    """See `automask.protocols.PromptSession`. Boxes and drawings by GrabCut, clicks alone by region growing.

    Args:
        image: The pixels.
    """

    def __init__(self, image: Image) -> None:
        self._image = image

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        target = prompt.box or prompt.drawn_box
        if target is None:
            return PromptAnswer(self._grown(prompt), _SCORE, REGION_GROWING)
        return PromptAnswer(self._cut(target, prompt), _SCORE, GRABCUT)

    def _grown(self, prompt: Prompt) -> NDArray[np.bool_]:
        """Marks at the wanted clicks, else pixels like them and connected with them, less those of unwanted ones."""
        import cv2

        lab = cv2.cvtColor(cv2.medianBlur(self._image.pixels, 3), cv2.COLOR_RGB2LAB)
        tolerance = (_COLOUR_TOLERANCE,) * 3
        flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        height_px, width_px = self._image.box.shape
        parts = {True: np.zeros((height_px, width_px), dtype=bool), False: np.zeros((height_px, width_px), dtype=bool)}
        for (x, y), is_wanted in prompt.clicks:
            mark = mark_at(self._image.pixels, x, y) if is_wanted else None
            if mark is not None:
                parts[True] |= mark
                continue
            filled = np.zeros((height_px + 2, width_px + 2), dtype=np.uint8)
            cv2.floodFill(lab, filled, (int(x), int(y)), (0, 0, 0), tolerance, tolerance, flags)
            parts[is_wanted] |= filled[1:-1, 1:-1] > 0
        return np.asarray(parts[True] & ~parts[False], dtype=np.bool_)

    def _cut(self, target: Box, prompt: Prompt) -> NDArray[np.bool_]:
        """GrabCut in a window around the target, at no more pixels than are fast."""
        import cv2

        margin_px = max(8, max(target.shape) // 4)
        window = target.padded(margin_px, width_px=self._image.width_px, height_px=self._image.height_px)
        scale = min(1.0, _LONGEST_PX / max(window.shape))
        size = (max(2, round(window.width_px * scale)), max(2, round(window.height_px * scale)))
        pixels = cv2.resize(self._image.pixels[window.slices], size, interpolation=cv2.INTER_AREA)
        labels = np.full(window.shape, cv2.GC_BGD, dtype=np.uint8)
        inside = np.zeros(window.shape, dtype=bool)
        if prompt.drawn is None:
            inside[target.y0 - window.y0 : target.y1 - window.y0, target.x0 - window.x0 : target.x1 - window.x0] = True
        else:
            inside |= prompt.drawn[window.slices]
            near = cv2.dilate(inside.view(np.uint8), np.ones((2 * margin_px + 1,) * 2, np.uint8))
            labels[near > 0] = cv2.GC_PR_BGD
        labels[inside] = cv2.GC_PR_FGD
        for (x, y), is_wanted in prompt.clicks:
            centre = (int(x) - window.x0, int(y) - window.y0)
            cv2.circle(labels, centre, _DISC_PX, cv2.GC_FGD if is_wanted else cv2.GC_BGD, thickness=-1)
        small = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        if not np.isin(small, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():  # the whole image: its border is taken for background
            small[[0, -1]] = cv2.GC_BGD
        found = inside
        if np.isin(small, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
            models = np.zeros((2, 1, 65), dtype=np.float64)
            cv2.grabCut(pixels, small, None, models[0], models[1], _ITERATIONS, cv2.GC_INIT_WITH_MASK)
            cut = np.isin(small, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
            whole = cv2.resize(cut, (window.width_px, window.height_px), interpolation=cv2.INTER_NEAREST) > 0
            found = whole if whole.any() else inside
        out = np.zeros(self._image.box.shape, dtype=np.bool_)
        out[window.slices] = found
        return out
