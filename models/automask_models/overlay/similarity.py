"""Whether two templates show the same thing, as after another estimate from more images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.template import Template

SAME_ASPECT = 0.04
"""Greatest difference in log aspect."""
SAME_PLACE = 0.5
"""Least intersection over union of the covered pixels; thin marks are compared with a pixel or two of play."""
PLAY_PX = 5


def is_same(one: Template, other: Template) -> bool:
    """Whether both cover the same place of images of the same shape."""
    if one.kind != other.kind:
        return False
    aspects = [math.log(template.width_px / template.height_px) for template in (one, other)]
    if abs(aspects[0] - aspects[1]) > SAME_ASPECT:
        return False
    first = _covered(one, width_px=one.width_px, height_px=one.height_px)
    second = _covered(other, width_px=one.width_px, height_px=one.height_px)
    return float((first & second).sum()) >= SAME_PLACE * float((first | second).sum())


def _covered(template: Template, *, width_px: int, height_px: int) -> NDArray[np.bool_]:
    import cv2

    canvas = np.zeros((template.height_px, template.width_px), np.uint8)
    canvas[template.box.slices] = template.artefact
    canvas = cv2.dilate(canvas, np.ones((PLAY_PX, PLAY_PX), np.uint8))
    if canvas.shape != (height_px, width_px):
        canvas = cv2.resize(canvas, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    covered: NDArray[np.bool_] = canvas.astype(np.bool_)
    return covered
