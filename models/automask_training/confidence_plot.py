"""The picture beside the confidence model: reliability on the left, the queue on the right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.files.atomic import write_atomic

Point = tuple[float, float]

_SIDE_PX = 420
_MARGIN_PX = 62
_INK, _GRID, _OURS, _OTHER = "#222222", "#dddddd", "#1f5fbf", "#999999"


def draw_plot(
    path: Path,
    *,
    bins: Sequence[tuple[float, float, float]],
    error: float,
    queue: Sequence[Point],
    perfect_queue: Sequence[Point],
) -> None:
    """Write a PNG.

    Args:
        path: Where to.
        bins: (probability, share of fine masks, mass) a bin.
        error: The calibration error.
        queue: (share of images looked at, share of bad masks found).
        perfect_queue: The same for a perfect ordering.

    Raises:
        OutputError: It cannot be written.
    """
    size = (2 * (_SIDE_PX + 2 * _MARGIN_PX), _SIDE_PX + 2 * _MARGIN_PX)
    picture = PillowImage.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    left = _Axes(
        draw, _MARGIN_PX, title=f"Reliability, ECE {error:.3f}", across="probability", up="share of fine masks"
    )
    left.line([(0.0, 0.0), (1.0, 1.0)], colour=_OTHER)
    left.line([(probability, share) for probability, share, _ in bins], colour=_OURS)
    for probability, share, _ in bins:
        left.dot((probability, share))
    right = _Axes(
        draw,
        _SIDE_PX + 3 * _MARGIN_PX,
        title="Bad masks found by the queue (grey: perfect)",
        across="share of images looked at",
        up="share of bad masks found",
    )
    right.line([(0.0, 0.0), *perfect_queue], colour=_OTHER)
    right.line([(0.0, 0.0), *queue], colour=_OURS)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    write_atomic(path, out.getvalue())


class _Axes:
    """A square of 0..1 by 0..1 with a grid."""

    def __init__(self, draw: ImageDraw.ImageDraw, left_px: int, *, title: str, across: str, up: str) -> None:
        self._draw = draw
        self._left_px = left_px
        font = ImageFont.load_default(15)
        small = ImageFont.load_default(13)
        for step in range(6):
            value = step / 5
            draw.line([self._at((value, 0.0)), self._at((value, 1.0))], fill=_GRID)
            draw.line([self._at((0.0, value)), self._at((1.0, value))], fill=_GRID)
            x, y = self._at((value, 0.0))
            draw.text((x, y + 6), f"{value:.1f}", fill=_INK, font=small, anchor="mt")
            x, y = self._at((0.0, value))
            draw.text((x - 6, y), f"{value:.1f}", fill=_INK, font=small, anchor="rm")
        x, y = self._at((0.5, 1.0))
        draw.text((x, y - 30), title, fill=_INK, font=font, anchor="mt")
        x, y = self._at((0.5, 0.0))
        draw.text((x, y + 28), across, fill=_INK, font=small, anchor="mt")
        x, y = self._at((0.0, 1.0))
        draw.text((x + 6, y + 4), up, fill=_INK, font=small, anchor="lt")

    def line(self, points: Sequence[Point], *, colour: str) -> None:
        self._draw.line([self._at(point) for point in points], fill=colour, width=3, joint="curve")

    def dot(self, point: Point) -> None:
        x, y = self._at(point)
        self._draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_OURS)

    def _at(self, point: Point) -> Point:
        return self._left_px + point[0] * _SIDE_PX, _MARGIN_PX + (1.0 - point[1]) * _SIDE_PX
