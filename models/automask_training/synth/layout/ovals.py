"""Oval, round and arched windows, and portraits that melt into their paper."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import IGNORED, Framed, Margins, outer_shape, plain_colour, share_px
from automask_training.synth.layout.laid import lines_of_text
from automask_training.synth.layout.paints import Pixels, Rng, metal, painted, random_colour
from automask_training.synth.layout.sheet import Sheet, rounded


def _oval(rng: Rng, height_px: int, width_px: int) -> tuple[NDArray[np.float32], float]:
    """How far each pixel is from the middle of an oval, a circle or an arch that fits; 1 is its edge."""
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j].astype(np.float32)
    which = rng.random()
    if which < 0.3:  # a circle
        x, y = x * max(1.0, width_px / height_px), y * max(1.0, height_px / width_px)
    reach = np.hypot(x, y)
    if which > 0.85:  # an arch
        reach = np.where(y > 0, np.maximum(np.abs(x), np.abs(y)), reach)
    return reach, rng.uniform(0.55, 0.98)


def oval_mat(picture: Pixels, rng: Rng) -> Framed:
    """An oval, round or arched window in a mat, with lines along it, in a moulding in some."""
    margins: Margins = (share_px(picture, rng, 0.0, 0.12),) * 4
    size = outer_shape(picture, margins)
    art = filled(picture, *size, rng)
    reach, edge = _oval(rng, *size)
    share = np.clip((edge - reach) * min(size) / 2 / rng.uniform(0.8, 2) + 0.5, 0, 1)[..., None]
    mat = painted(rng, *size) if rng.random() < 0.5 else np.full((*size, 3), plain_colour(rng), np.uint8)
    pixels = (art * share + mat * (1 - share)).astype(np.uint8)
    truth = np.where(share[..., 0] > 0.5, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 3))):
        at = edge + rng.uniform(0.0, 0.12)
        line = (reach > at) & (reach < at + rng.uniform(0.01, 0.06))
        pixels[line] = (metal(rng, *size) if rng.random() < 0.5 else np.full_like(pixels, random_colour(rng)))[line]
    if rng.random() < 0.3:
        moulding = share_px(picture, rng, 0.02, 0.09)
        hole = np.zeros(size, np.uint8)
        hole[moulding:-moulding, moulding:-moulding] = 255
        paint = metal(rng, *size) if rng.random() < 0.5 else painted(rng, *size)
        pixels, truth = np.where(hole[..., None] > 0, pixels, paint), np.maximum(truth, 255 - hole)
    return Framed(pixels, truth)


def soft_oval(picture: Pixels, rng: Rng) -> Framed:
    """A portrait that melts into the paper around it along an oval; where it does, nobody can say."""
    size = picture.shape[:2]
    reach, edge = _oval(rng, *size)
    edge = min(edge, 0.85)
    soft = rng.uniform(0.06, 0.3)
    share = np.clip((edge + soft / 2 - reach) / soft, 0, 1)
    level = int(rng.choice([255, 250, 238, 12]))
    paper = np.full((*size, 3), (level, level, max(0, level - int(rng.integers(0, 25)))), np.float32)
    if rng.random() < 0.3:
        paper = painted(rng, *size).astype(np.float32)
    pixels = picture * share[..., None] + paper * (1 - share[..., None])
    truth = np.where(share <= 0.05, 255, np.where(share < 0.9, IGNORED, 0)).astype(np.uint8)
    return Framed(pixels.astype(np.uint8), truth)


def round_photograph(picture: Pixels, rng: Rng) -> Framed:
    """A picture cut to a disc or rounded tile, as profiles show it, on a ground with a name below it."""
    tile = rng.random() < 0.4
    height_px, width_px = picture.shape[:2]
    hole = rounded(height_px, width_px, round(min(height_px, width_px) * rng.uniform(0.08, 0.4)))
    if not tile:
        height_px = width_px = min(height_px, width_px)
        hole = np.zeros((height_px, width_px), np.uint8)
        cv2.circle(hole, (width_px // 2, height_px // 2), width_px // 2 - 1, 255, -1, cv2.LINE_AA)
    side, top, bottom = (share_px(picture, rng, 0.01, high) for high in (0.3, 0.25, 0.5))
    size = height_px + top + bottom, width_px + 2 * side
    sheet = Sheet(painted(rng, *size) if rng.random() < 0.5 else np.full((*size, 3), plain_colour(rng), np.uint8))
    sheet.let_in(filled(picture, height_px, width_px, rng), (side, top, side + width_px, top + height_px), hole)
    if rng.random() < 0.4:
        sheet.outline(rng, int(rng.integers(1, 8)))
    if bottom > 20:
        box = (side + 4, size[0] - bottom + 6, size[1] - side - 4, size[0] - 4)
        lines_of_text(rng, sheet.pixels, box, head=rng.random() < 0.5)
    return Framed(sheet.pixels, sheet.frame)


OVALS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each for each in (oval_mat, soft_oval, round_photograph)
}
