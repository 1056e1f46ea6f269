"""Small drawn things that marks are made of: round crests, red seals, seven-segment digits, bursts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.lettering import Font, arched, line
from automask_training.synth.raster import Bytes, Colour, Layer, resize, solid

_OVERSAMPLING = 2
_SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc",
    "8": "abcdefg", "9": "abcdfg", "-": "g",
}  # fmt: skip
_DOTS = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14), "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8), "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12), ":": (0, 12, 12, 0, 12, 12, 0), ".": (0, 0, 0, 0, 0, 12, 12),
    "'": (12, 4, 8, 0, 0, 0, 0), "/": (0, 1, 2, 4, 8, 16, 0), "-": (0, 0, 0, 31, 0, 0, 0),
}  # fmt: skip
"""Rows of five lamps from the top, as bits."""
_SEGMENT_BARS = {
    "a": ((0.1, 0.0), (0.9, 0.0)),
    "b": ((1.0, 0.05), (1.0, 0.45)),
    "c": ((1.0, 0.55), (1.0, 0.95)),
    "d": ((0.1, 1.0), (0.9, 1.0)),
    "e": ((0.0, 0.55), (0.0, 0.95)),
    "f": ((0.0, 0.05), (0.0, 0.45)),
    "g": ((0.1, 0.5), (0.9, 0.5)),
}


def polygon_points(centre_px: int, radius_px: float, corners: int, *, inner_share: float = 1.0) -> NDArray[np.int32]:
    """Return the corners of a regular polygon, or of a star when every other corner moves in to `inner_share`."""
    count = corners if inner_share == 1.0 else 2 * corners
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) - np.pi / 2
    radii = np.where(np.arange(count) % 2 == 0, radius_px, radius_px * inner_share)
    points: NDArray[np.float64] = centre_px + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return points.astype(np.int32)


def crest(
    rng: np.random.Generator,
    side_px: int,
    colour: Colour,
    *,
    initials: str,
    motto: str,
    font_of: Font,
    small_font: Font,
) -> Layer:
    """Draw a round or polygonal emblem with initials, at times with a motto along its rim.

    The fonts are for the initials and the motto at twice the final size.
    """
    import cv2

    side = max(24, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    middle, radius = side // 2, side // 2 - 3
    filled, round_shape = rng.random() < 0.35, rng.random() < 0.75
    stroke = max(2, side // int(rng.integers(16, 40)))
    if round_shape:
        cv2.circle(alpha, (middle, middle), radius, 255, -1 if filled else stroke, cv2.LINE_AA)
    else:
        points = polygon_points(middle, radius, int(rng.integers(3, 9)), inner_share=1.0 if rng.random() < 0.8 else 0.6)
        if filled:
            cv2.fillPoly(alpha, [points], 255, cv2.LINE_AA)
        else:
            cv2.polylines(alpha, [points], True, 255, stroke, cv2.LINE_AA)
    if round_shape and not filled and rng.random() < 0.6:
        cv2.circle(alpha, (middle, middle), radius * 2 // 3, 255, max(1, stroke // 2), cv2.LINE_AA)
        ring = arched(solid(line(motto, small_font), colour), float(rng.uniform(150, 300)))
        bound = 2 * (radius - stroke - 2)
        ring_alpha = resize(ring.alpha, bound, max(1, round(bound * ring.size_px[1] / ring.size_px[0])))[: side - 8]
        _draw_in(alpha, ring_alpha, middle - ring_alpha.shape[1] // 2, middle - bound // 2, erase=False)
    letters = line(initials, font_of)
    room = radius
    factor = min(1.0, room / letters.shape[1], room / letters.shape[0])
    letters = resize(letters, max(1, int(letters.shape[1] * factor)), max(1, int(letters.shape[0] * factor)))
    _draw_in(alpha, letters, middle - letters.shape[1] // 2, middle - letters.shape[0] // 2, erase=filled)
    return solid(resize(alpha, side_px, side_px), colour)


def _draw_in(sheet: Bytes, ink: Bytes, x_px: int, y_px: int, *, erase: bool) -> None:
    x, y = max(0, x_px), max(0, y_px)
    window = sheet[y : y + ink.shape[0], x : x + ink.shape[1]]
    piece = ink[: window.shape[0], : window.shape[1]]
    window[:] = np.minimum(window, 255 - piece) if erase else np.maximum(window, piece)


def seal(rng: np.random.Generator, characters: Sequence[Bytes], side_px: int, colour: Colour) -> Layer:
    """Draw a painter's seal: one to four characters (coverages) in a square or disc, cut out of it or in relief."""
    import cv2

    side = max(20, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    carved = rng.random() < 0.5
    thick = -1 if carved else max(2, side // 16)
    if rng.random() < 0.75:
        cv2.rectangle(alpha, (3, 3), (side - 4, side - 4), 255, thick)
    else:
        cv2.circle(alpha, (side // 2, side // 2), side // 2 - 3, 255, thick, cv2.LINE_AA)
    per_row = 1 if len(characters) == 1 else 2
    cell = int(side * 0.74) // per_row
    start = (side - cell * per_row) // 2
    for number, each in enumerate(characters[: per_row * per_row]):
        x, y = start + (per_row - 1 - number // per_row) * cell, start + (number % per_row) * cell
        _draw_in(alpha, resize(each, cell - 4, cell - 4), x + 2, y + 2, erase=carved)
    return solid(resize(alpha, side_px, side_px), colour)


def segment_line(text: str, size_px: int, *, slant: float) -> Bytes:
    """Return the coverage of digits as seven-segment displays show them; other characters become dots or gaps."""
    import cv2

    high = size_px * _OVERSAMPLING
    wide, thick, gap = int(high * 0.52), max(2, high // 8), int(high * 0.28)
    pad = thick + int(abs(slant) * high)
    sheet = np.zeros((high + 2 * thick, (wide + gap) * len(text) + 2 * pad), dtype=np.uint8)
    x = pad

    def spot(place: tuple[float, float]) -> tuple[int, int]:
        return round(x + place[0] * wide + slant * (1 - place[1]) * high), round(thick + place[1] * high)

    for each in text:
        for segment in _SEGMENTS.get(each, ""):
            start, end = _SEGMENT_BARS[segment]
            cv2.line(sheet, spot(start), spot(end), 255, thick, cv2.LINE_AA)
        if each == ":":
            for place in ((0.2, 0.3), (0.2, 0.7)):
                cv2.circle(sheet, spot(place), thick // 2 + 1, 255, -1, cv2.LINE_AA)
        elif each in ".,":
            cv2.circle(sheet, spot((0.1, 1.0)), thick // 2 + 1, 255, -1, cv2.LINE_AA)
        elif each == "/":
            cv2.line(sheet, spot((0.1, 1.0)), spot((0.7, 0.0)), 255, thick, cv2.LINE_AA)
        elif each == "'":
            cv2.line(sheet, spot((0.1, 0.0)), spot((0.05, 0.2)), 255, thick, cv2.LINE_AA)
        x += (wide if each not in ":.,'" else wide // 3) + gap
    used = sheet[:, : min(sheet.shape[1], x + pad)]
    return resize(used, used.shape[1] // _OVERSAMPLING, used.shape[0] // _OVERSAMPLING)


def dot_line(text: str, size_px: int) -> Bytes:
    """Return the coverage of digits as displays of five by seven lamps show them; other characters become gaps."""
    import cv2

    pitch = max(2, round(size_px * _OVERSAMPLING / 7))
    sheet = np.zeros((8 * pitch, (6 * len(text) + 2) * pitch), dtype=np.uint8)
    x = pitch
    for each in text:
        for row, bits in enumerate(_DOTS.get(each, ())):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    place = x + column * pitch, pitch // 2 + row * pitch
                    cv2.circle(sheet, place, max(1, round(0.42 * pitch)), 255, -1, cv2.LINE_AA)
        x += (6 if each not in ":.'" else 3) * pitch
    used = sheet[:, :x]
    return resize(used, max(1, used.shape[1] // _OVERSAMPLING), max(1, used.shape[0] // _OVERSAMPLING))


def badge(rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
    """Draw the disc, burst or hexagon that prices stand on."""
    import cv2

    side = max(16, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    which = rng.random()
    if which < 0.5:
        cv2.circle(alpha, (side // 2, side // 2), side // 2 - 2, 255, -1, cv2.LINE_AA)
    else:
        corners, inner = (int(rng.integers(10, 24)), rng.uniform(0.75, 0.9)) if which < 0.8 else (6, 1.0)
        cv2.fillPoly(alpha, [polygon_points(side // 2, side / 2 - 2, corners, inner_share=inner)], 255, cv2.LINE_AA)
    return solid(resize(alpha, side_px, side_px), colour)
