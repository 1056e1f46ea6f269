"""The four sides of a picture, seen alike: position along the side, depth from the border inwards."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class Side(enum.StrEnum):
    """One side of the image."""

    LEFT = "left"
    TOP = "top"
    RIGHT = "right"
    BOTTOM = "bottom"

    @property
    def opposite(self) -> Side:
        """The side across the image."""
        return _OPPOSITE[self]

    @property
    def is_vertical(self) -> bool:
        """Whether the side runs from top to bottom (left and right do)."""
        return self in (Side.LEFT, Side.RIGHT)

    @property
    def neighbours(self) -> tuple[Side, Side]:
        """The sides at the low and at the high end of this one's positions."""
        return (Side.TOP, Side.BOTTOM) if self.is_vertical else (Side.LEFT, Side.RIGHT)


_OPPOSITE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, Side.TOP: Side.BOTTOM, Side.BOTTOM: Side.TOP}


@dataclass(frozen=True, slots=True)
class Line:
    """A nearly straight boundary along one side.

    Attributes:
        depth_px: Distance from the image border at the middle of the side, full-resolution pixels.
        slope: Change of depth per pixel of position; scans are a little askew.
    """

    depth_px: float = 0.0
    slope: float = 0.0

    def depth_at(self, position_px: NDArray[np.float64], *, length_px: int) -> NDArray[np.float64]:
        """Depth at positions along a side of the given length, float64 of the same shape."""
        depth: NDArray[np.float64] = self.depth_px + self.slope * (position_px - (length_px - 1) / 2)
        return depth


@dataclass(frozen=True, slots=True, eq=False)
class SideView:
    """What one side looks like from outside: a band of pixels that starts at a line.

    Attributes:
        side: Which side.
        pixels: (P, D, 3) uint8; row = sampled position, column = whole pixels inwards from the line.
        position_px: (P,) float64, position along the side of each row.
        length_px: Length of the side.
        extent_px: Size of the image across this side.
        line: Where the view starts.
    """

    side: Side
    pixels: NDArray[np.uint8]
    position_px: NDArray[np.float64]
    length_px: int
    extent_px: int
    line: Line


def view_side(
    pixels: NDArray[np.uint8],
    side: Side,
    lines: Mapping[Side, Line],
    *,
    depth_px: int,
    positions: int,
) -> SideView | None:
    """Cut the view of one side that starts at its line, between the lines of its neighbours.

    Args:
        pixels: (H, W, 3) uint8 image.
        side: Which side.
        lines: Current line of every side.
        depth_px: How far to look inwards from the line; cut at the middle of the image.
        positions: How many positions to sample at most; depth is never subsampled, so edges stay exact to the pixel.

    Returns:
        The view, or None where nothing is left to look at.
    """
    oriented = oriented_pixels(pixels, side)
    length_px, extent_px = oriented.shape[:2]
    low, high = (lines[neighbour] for neighbour in side.neighbours)
    first = int(np.ceil(low.depth_px))
    last = length_px - int(np.ceil(high.depth_px))
    depth_px = min(depth_px, extent_px // 2 - int(lines[side].depth_px))
    if last - first < MIN_SPAN_PX or depth_px < 3:
        return None
    count = min(positions, last - first)
    position = first + ((np.arange(count) + 0.5) * ((last - first) / count)).astype(np.int64)
    start = np.rint(lines[side].depth_at(position.astype(np.float64), length_px=length_px)).astype(np.int64)
    if (start == start[0]).all() and 0 <= start[0] <= extent_px - depth_px:  # a level line, as most are
        seen = oriented[position, int(start[0]) : int(start[0]) + depth_px]
    else:
        columns = start[:, None] + np.arange(depth_px)[None, :]
        np.clip(columns, 0, extent_px - 1, out=columns)
        seen = oriented[position[:, None], columns]
    return SideView(
        side=side,
        pixels=seen,
        position_px=position.astype(np.float64),
        length_px=length_px,
        extent_px=extent_px,
        line=lines[side],
    )


MIN_SPAN_PX = 16
"""A side shorter than this holds too few positions to tell a line from chance."""


def oriented_pixels(pixels: NDArray[np.uint8], side: Side) -> NDArray[np.uint8]:
    """A view of the image whose rows are positions along the side and whose columns go inwards; nothing is copied."""
    if side is Side.LEFT:
        return pixels
    if side is Side.RIGHT:
        return pixels[:, ::-1]
    turned = pixels.transpose(1, 0, 2)
    return turned if side is Side.TOP else turned[:, ::-1]
