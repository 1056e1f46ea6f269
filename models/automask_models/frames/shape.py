"""From lines to pixels: the shape of a frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.sides import Line, Side


def outside_of(lines: Mapping[Side, Line], *, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Everything outside the picture that the four lines enclose, bool (H, W)."""
    outside = np.zeros((height_px, width_px), dtype=np.bool_)
    for side in Side:
        line = lines[side]
        if line.depth_px <= 0:
            continue
        length_px, extent_px = (height_px, width_px) if side.is_vertical else (width_px, height_px)
        depth = np.rint(line.depth_at(np.arange(length_px, dtype=np.float64), length_px=length_px))
        deepest = min(extent_px, max(0, int(depth.max())))
        oriented = _oriented(outside, side)[:, :deepest]
        oriented |= np.arange(deepest)[None, :] < depth[:, None]
    return outside


def inside_of(lines: Mapping[Side, Line], *, height_px: int, width_px: int) -> Box:
    """The box that the four lines enclose, at least one pixel wide and high."""
    left, top, right, bottom = (max(0, round(lines[side].depth_px)) for side in Side)
    x0, y0 = min(left, width_px - 1), min(top, height_px - 1)
    return Box(x0, y0, max(x0 + 1, width_px - right), max(y0 + 1, height_px - bottom))


def _oriented(mask: NDArray[np.bool_], side: Side) -> NDArray[np.bool_]:
    if side is Side.LEFT:
        return mask
    if side is Side.RIGHT:
        return mask[:, ::-1]
    return mask.T if side is Side.TOP else mask.T[:, ::-1]
