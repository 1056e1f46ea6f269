"""The stress figures as a curve: recall by opacity, a line per number of images, as one SVG file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .stress import StressFigures, StressPoint

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 130, 24, 52
_COLOURS = ("#d55e00", "#0072b2", "#009e73")


def curve_svg(figures: StressFigures) -> str:
    """An SVG document; opacity on a logarithmic axis."""
    opacities = sorted({point.opacity for point in figures.points})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for recall in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(recall)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{recall:.2f}</text>')
    for opacity in opacities:
        x = _x(opacity, opacities)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{opacity:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 12}" text-anchor="middle">opacity of the mark</text>')
    parts.append(
        f'<text transform="translate(18 {(_TOP + _HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle">'
        "recall of marked cells</text>"
    )
    counts = sorted({point.images for point in figures.points})
    for index, (count, colour) in enumerate(zip(counts, _COLOURS, strict=False)):
        line = sorted((p for p in figures.points if p.images == count), key=lambda point: point.opacity)
        parts += _line(line, opacities, colour)
        y = _TOP + 14 + 20 * index
        parts.append(f'<path d="M{_WIDTH - _RIGHT + 14} {y - 4}h22" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 42}" y="{y}">{count} images</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(points: Sequence[StressPoint], opacities: Sequence[float], colour: str) -> list[str]:
    places = [(_x(point.opacity, opacities), _y(point.recall)) for point in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
    return [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>', *dots]


def _x(opacity: float, opacities: Sequence[float]) -> float:
    span = math.log(opacities[-1] / opacities[0]) or 1.0
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(opacity / opacities[0]) / span


def _y(recall: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - recall)
