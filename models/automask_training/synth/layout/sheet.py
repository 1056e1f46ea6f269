"""A sheet that a frame is drawn on piece by piece, with its truth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.framed import Framed, ink_for, letters
from automask_training.synth.layout.paints import Colour, Pixels, Rng, metal, painted, random_colour

Box = tuple[int, int, int, int]
"""Half-open xyxy, pixels."""


class Sheet:
    """Pixels and truth that grow together: it begins as nothing but frame, windows let the picture in.

    Attributes:
        pixels: (H, W, 3) uint8.
        frame: (H, W) uint8, 255 where the frame is.
        plate: (H, W) uint8, 255 where the frame lies over a picture.
    """

    def __init__(self, ground: Pixels) -> None:
        """Start with a ground that is all frame."""
        self.pixels = ground.copy()
        self.frame = np.full(ground.shape[:2], 255, np.uint8)
        self.plate = np.zeros(ground.shape[:2], np.uint8)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        height_px, width_px = self.pixels.shape[:2]
        return height_px, width_px

    def framed(self) -> Framed:
        """What was drawn."""
        return Framed(self.pixels, self.frame, others={"plate": self.plate})

    def let_in(self, art: Pixels, box: Box, shape: NDArray[np.uint8]) -> None:
        """Show `art`, as large as the box, where `shape` (255 = open) has a hole."""
        x0, y0, x1, y1 = box
        share = shape.astype(np.float32)[..., None] / 255
        part = self.pixels[y0:y1, x0:x1]
        part[:] = (part * (1 - share) + art * share).astype(np.uint8)
        self.frame[y0:y1, x0:x1][shape > 127] = 0
        self.plate[y0:y1, x0:x1][shape > 127] = 0

    def cover(self, paint: Pixels | Colour, shape: NDArray[np.uint8], box: Box, *, opacity: float = 1.0) -> None:
        """Lay paint over a box where `shape` (255 = covered) is; what it covers is frame, over a picture a plate."""
        x0, y0, x1, y1 = box
        sheet = np.empty((y1 - y0, x1 - x0, 3), np.float32)
        sheet[:] = paint
        share = shape.astype(np.float32)[..., None] * (opacity / 255)
        part = self.pixels[y0:y1, x0:x1]
        part[:] = (part * (1 - share) + sheet * share).astype(np.uint8)
        over = shape > 127
        self.plate[y0:y1, x0:x1][over & (self.frame[y0:y1, x0:x1] == 0)] = 255
        self.frame[y0:y1, x0:x1][over] = 255

    def outline(self, rng: Rng, thick_px: int) -> None:
        """Draw a rim around every window."""
        edge = cv2.morphologyEx(self.frame, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        edge = cv2.dilate(edge, np.ones((thick_px, thick_px), np.uint8)) if thick_px > 1 else edge
        paint = metal(rng, *self.size_px) if rng.random() < 0.5 else np.full_like(self.pixels, random_colour(rng))
        self.pixels[edge > 0] = paint[edge > 0]
        self.frame[edge > 0] = 255

    def write(self, rng: Rng, box: Box, *, lines: int, colour: Colour) -> None:
        """Write lines of letters into a box."""
        x0, y0, x1, y1 = box
        line_px = (y1 - y0) / max(1, lines)
        for line in range(lines):
            height_px = max(3, round(line_px * 0.5))
            wide = (x1 - x0) if line < lines - 1 else (x1 - x0) * rng.uniform(0.3, 1.0)
            drawn = rng.integers(97, 123, max(2, int(wide / (0.72 * height_px))))
            drawn[rng.random(drawn.size) < 0.16] = 32
            text = bytes(drawn.astype(np.uint8)).decode().capitalize()
            at = (x0, round(y0 + (line + 0.7) * line_px))
            cv2.putText(self.pixels, text, at, cv2.FONT_HERSHEY_DUPLEX, height_px / 30, colour, 1, cv2.LINE_AA)


def box_shape(rng: Rng, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """The form of a plate: square, rounded, pointed or with cut corners, (H, W) uint8."""
    which = rng.random()
    if which < 0.4:
        return np.full((height_px, width_px), 255, np.uint8)
    if which < 0.75:
        return rounded(height_px, width_px, round(min(height_px, width_px) * rng.uniform(0.08, 0.5)))
    cut = min(height_px / 2, width_px / 3) * rng.uniform(0.3, 1.0)
    return polygon_shape(height_px, width_px, cut, cut if which < 0.9 else height_px / 2)


def polygon_shape(height_px: int, width_px: int, across_px: float, down_px: float) -> NDArray[np.uint8]:
    """A rectangle whose corners are cut off, (H, W) uint8."""
    x, y = width_px - 1, height_px - 1
    a, d = across_px, down_px
    corners = [(a, 0), (x - a, 0), (x, d), (x, y - d), (x - a, y), (a, y), (0, y - d), (0, d)]
    shape = np.zeros((height_px, width_px), np.uint8)
    cv2.fillPoly(shape, [np.array(corners).round().astype(np.int32)], 255, cv2.LINE_AA)
    return shape


def rounded(height_px: int, width_px: int, radius_px: int) -> NDArray[np.uint8]:
    """A rectangle with rounded corners, (H, W) uint8."""
    shape = np.zeros((height_px, width_px), np.uint8)
    r = max(0, min(radius_px, (min(height_px, width_px) - 1) // 2))
    cv2.rectangle(shape, (r, 0), (width_px - 1 - r, height_px - 1), 255, -1)
    cv2.rectangle(shape, (0, r), (width_px - 1, height_px - 1 - r), 255, -1)
    for x in (r, width_px - 1 - r):
        for y in (r, height_px - 1 - r):
            cv2.circle(shape, (x, y), r, 255, -1, cv2.LINE_AA)
    return shape


def window_shape(rng: Rng, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """The form of a window: mostly a rectangle; rounded, arched, oval, cut or torn ones, (H, W) uint8."""
    which = rng.random()
    if which < 0.52:
        return np.full((height_px, width_px), 255, np.uint8)
    if which < 0.68:
        return rounded(height_px, width_px, round(min(height_px, width_px) * rng.uniform(0.03, 0.25)))
    if which < 0.78:
        return _arch(height_px, width_px, rng.uniform(0.1, 0.5))
    shape = np.zeros((height_px, width_px), np.uint8)
    if which < 0.88:
        centre = (width_px // 2, height_px // 2)
        cv2.ellipse(shape, centre, (width_px // 2 - 1, height_px // 2 - 1), 0, 0, 360, 255, -1, cv2.LINE_AA)
        return shape
    if which < 0.95:
        return polygon_shape(height_px, width_px, width_px * rng.uniform(0.03, 0.2), height_px * rng.uniform(0.03, 0.2))
    return torn(rng, height_px, width_px, rng.uniform(0.02, 0.08))


def _arch(height_px: int, width_px: int, rise: float) -> NDArray[np.uint8]:
    shape = np.zeros((height_px, width_px), np.uint8)
    top = round(height_px * rise)
    cv2.rectangle(shape, (0, top), (width_px - 1, height_px - 1), 255, -1)
    cv2.ellipse(shape, (width_px // 2, top), (width_px // 2, top), 0, 180, 360, 255, -1, cv2.LINE_AA)
    return shape


def torn(rng: Rng, height_px: int, width_px: int, depth: float) -> NDArray[np.uint8]:
    """A rectangle with ragged sides, `depth` of the shorter side deep, (H, W) uint8."""
    reach = max(1.0, min(height_px, width_px) * depth)
    sides = []
    for length in (height_px, height_px, width_px, width_px):
        knots = rng.random(max(3, length // int(rng.integers(4, 30)))).astype(np.float32)
        sides.append(cv2.resize(knots[None], (length, 1), interpolation=cv2.INTER_LINEAR)[0] * reach)
    y, x = np.mgrid[:height_px, :width_px]
    left, right, top, bottom = sides
    inside = (x >= left[:, None]) & (x < width_px - right[:, None]) & (y >= top[None]) & (y < height_px - bottom[None])
    return np.where(inside, 255, 0).astype(np.uint8)


def plate(rng: Rng, sheet: Sheet, box: Box, *, lines: int, opacity: float | None = None) -> None:
    """Draw a plate with lines of text; over a picture it may be translucent."""
    x0, y0, x1, y1 = box
    height_px, width_px = y1 - y0, x1 - x0
    if height_px < 5 or width_px < 12:
        return
    paint = painted(rng, height_px, width_px)
    if rng.random() < 0.4:
        paint = (paint * 0.25 + np.array(random_colour(rng)) * 0.75).astype(np.uint8)
    shape = box_shape(rng, height_px, width_px)
    sheet.cover(paint, shape, box, opacity=opacity or (1.0 if rng.random() < 0.75 else rng.uniform(0.45, 0.95)))
    if rng.random() < 0.5:
        inner = cv2.erode(shape, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3)), borderValue=0)
        sheet.cover(random_colour(rng), shape - inner, box)
    red, green, blue = (int(v) for v in paint.reshape(-1, 3).mean(axis=0))
    pad = max(3, height_px // (6 * max(1, lines)))
    sheet.write(rng, (x0 + pad + 3, y0 + pad, x1 - pad - 3, y1 - pad), lines=lines, colour=ink_for((red, green, blue)))


def gem(rng: Rng, sheet: Sheet, centre: tuple[int, int], radius_px: int) -> None:
    """Draw a round, six-cornered or four-cornered stone with a rim, and often a numeral."""
    (cx, cy), (height_px, width_px) = centre, sheet.size_px
    r = max(3, radius_px)
    x0, y0, x1, y1 = max(0, cx - r), max(0, cy - r), min(width_px, cx + r), min(height_px, cy + r)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return
    corners = int(rng.choice([4, 6, 24]))
    turn = rng.choice([0.0, np.pi / corners])
    whole = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for share, first in ((1.0, True), (rng.uniform(0.6, 0.85), False)):
        angles = np.arange(corners) * 2 * np.pi / corners + turn
        points = np.stack([cx - x0 + share * r * np.cos(angles), cy - y0 + share * r * np.sin(angles)], axis=-1)
        whole[:] = 0
        cv2.fillPoly(whole, [points.round().astype(np.int32)], 255, cv2.LINE_AA)
        colour = random_colour(rng)
        sheet.cover(metal(rng, *whole.shape) if first and rng.random() < 0.5 else colour, whole, (x0, y0, x1, y1))
    if rng.random() < 0.6:
        letters(rng, sheet.pixels, cx - r // 2, cy - r // 2, 2 * r, max(5, r), ink_for(colour))
