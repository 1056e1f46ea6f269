"""Collectible cards with a picture: plain ones, ornamented ones, cards whose plates lie over the picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.framed import Framed, ink_for, letters, rounded_rectangle, scanned
from automask_training.synth.layout.paints import Colour, Pixels, Rng, gradient, pattern, random_colour, texture

CARD_PX = (900, 645)
"""Height and width: 88 x 63 mm."""


def filled(picture: Pixels, height_px: int, width_px: int, rng: Rng) -> Pixels:
    """A part of the picture, as large as a window."""
    factor = max(height_px / picture.shape[0], width_px / picture.shape[1])
    size = round(picture.shape[1] * factor) + 1, round(picture.shape[0] * factor) + 1
    zoomed = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    y = int(rng.integers(0, zoomed.shape[0] - height_px + 1))
    x = int(rng.integers(0, zoomed.shape[1] - width_px + 1))
    return np.asarray(zoomed[y : y + height_px, x : x + width_px], dtype=np.uint8)


def _ground(rng: Rng) -> Pixels:
    draw = (gradient, texture, pattern)[int(rng.integers(3))] if rng.random() < 0.7 else None
    if draw is None:
        return np.full((*CARD_PX, 3), random_colour(rng), np.uint8)
    ground = draw(rng, *CARD_PX)
    if draw is pattern:  # printed patterns are faint
        ground = (0.25 * ground + 0.75 * np.array(random_colour(rng))).astype(np.uint8)
    return ground


def _ornament(rng: Rng, pixels: Pixels, truth: Pixels, centre: tuple[int, int], radius_px: int) -> None:
    colour, rim = random_colour(rng), random_colour(rng)
    cv2.circle(pixels, centre, radius_px, rim, -1, cv2.LINE_AA)
    cv2.circle(pixels, centre, round(0.7 * radius_px), colour, -1, cv2.LINE_AA)
    cv2.circle(truth, centre, radius_px, 255, -1)


def _plate(rng: Rng, pixels: Pixels, truth: Pixels, box: tuple[int, int, int, int], *, lines: int) -> None:
    """A flat or graded plate with lines of text, often with a rim."""
    x0, y0, x1, y1 = box
    ground: Colour = random_colour(rng)
    pixels[y0:y1, x0:x1] = ground
    if rng.random() < 0.5:
        shade = np.linspace(15, -15, y1 - y0)[:, None, None]
        pixels[y0:y1, x0:x1] = np.clip(np.array(ground) + shade, 0, 255)
    if rng.random() < 0.6:
        cv2.rectangle(pixels, (x0, y0), (x1 - 1, y1 - 1), ink_for(ground), int(rng.integers(1, 5)))
    truth[y0:y1, x0:x1] = 255
    line_px = (y1 - y0) // lines
    for line in range(lines):
        height_px = max(8, round(line_px * 0.45))
        letters(rng, pixels, x0 + 14, y0 + line * line_px + line_px // 4, x1 - x0 - 28, height_px, ink_for(ground))


def _card(picture: Pixels, rng: Rng, window: tuple[int, int, int, int], radius_px: int) -> tuple[Pixels, Pixels]:
    """A frame with the art in its window, and the truth."""
    x0, y0, x1, y1 = window
    pixels = _ground(rng)
    truth = np.full(CARD_PX, 255, np.uint8)
    if rng.random() < 0.7:  # the outer border
        border = int(rng.integers(10, 34))
        colour: Colour = (
            random_colour(rng) if rng.random() < 0.4 else ((0, 0, 0), (250, 250, 250))[int(rng.integers(2))]
        )
        inner = pixels[border:-border, border:-border].copy()
        pixels[:] = colour
        pixels[border:-border, border:-border] = inner
    hole = rounded_rectangle(y1 - y0, x1 - x0, 0, radius_px)
    art = filled(picture, y1 - y0, x1 - x0, rng)
    pixels[y0:y1, x0:x1][hole] = art[hole]
    truth[y0:y1, x0:x1][hole] = 0
    if rng.random() < 0.7:
        rim = int(rng.integers(2, 6))
        outline = (cv2.morphologyEx((truth == 0).view(np.uint8), cv2.MORPH_GRADIENT, np.ones((rim, rim), np.uint8))) > 0
        pixels[outline] = random_colour(rng)
        truth[outline] = 255
    return pixels, truth


def plated_card(picture: Pixels, rng: Rng) -> Framed:
    """A title plate above the window and a text plate below it."""
    height_px, width_px = CARD_PX
    side = int(rng.integers(24, 60))
    top, bottom = int(rng.integers(90, 130)), int(rng.integers(240, 360))
    pixels, truth = _card(picture, rng, (side, top, width_px - side, height_px - bottom), 0)
    _plate(rng, pixels, truth, (side, 36, width_px - side, top - 16), lines=1)
    _plate(rng, pixels, truth, (side, height_px - bottom + 20, width_px - side, height_px - 40), lines=5)
    return Framed(pixels, truth)


def overlapped_card(picture: Pixels, rng: Rng) -> Framed:
    """A full-height window; the title plate and the text plate lie over the picture."""
    height_px, width_px = CARD_PX
    side = int(rng.integers(16, 44))
    radius = int(rng.integers(0, 30)) if rng.random() < 0.5 else 0
    pixels, truth = _card(picture, rng, (side, side, width_px - side, height_px - side), radius)
    before = truth.copy()
    inset = side + int(rng.integers(0, 2)) * int(rng.integers(6, 30))
    bottom = height_px - side - (inset - side)
    _plate(rng, pixels, truth, (inset, bottom - int(rng.integers(60, 240)), width_px - inset, bottom), lines=3)
    if rng.random() < 0.6:
        top = side + (inset - side)
        _plate(rng, pixels, truth, (inset, top, width_px - inset, top + int(rng.integers(40, 70))), lines=1)
    return Framed(pixels, truth, others={"plate": truth - before})


def ornamented_card(picture: Pixels, rng: Rng) -> Framed:
    """A frame with gems in its corners and at the middle of its sides, which reach into the window."""
    height_px, width_px = CARD_PX
    side, top, bottom = int(rng.integers(40, 80)), int(rng.integers(40, 110)), int(rng.integers(110, 260))
    pixels, truth = _card(picture, rng, (side, top, width_px - side, height_px - bottom), int(rng.integers(0, 40)))
    _plate(rng, pixels, truth, (side, height_px - bottom + 14, width_px - side, height_px - 36), lines=3)
    radius = int(rng.integers(16, 44))
    places = [(side, top), (width_px - side, top), (side, height_px - bottom), (width_px - side, height_px - bottom)]
    for centre in places[: int(rng.integers(1, 3)) * 2]:
        _ornament(rng, pixels, truth, centre, radius)
    if rng.random() < 0.5:
        _ornament(rng, pixels, truth, (width_px // 2, height_px - bottom), round(1.3 * radius))
    return Framed(pixels, truth)


def scanned_card(picture: Pixels, rng: Rng) -> Framed:
    """Any of these, askew on a scanner's glass."""
    draw = (plated_card, overlapped_card, ornamented_card)[int(rng.integers(3))]
    card = draw(picture, rng)
    margin = int(rng.integers(6, 30))
    level = int(rng.choice([255, 245, 20]))
    pixels = cv2.copyMakeBorder(
        card.pixels, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(level, level, level)
    )
    truth = cv2.copyMakeBorder(card.truth, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=255)
    return scanned(Framed(pixels, truth), rng, float(rng.uniform(-1.0, 1.0)))


CARD_KINDS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each for each in (plated_card, overlapped_card, ornamented_card, scanned_card)
}
