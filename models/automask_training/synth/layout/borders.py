"""Borders, bars, mats and windows around a picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.framed import (
    Framed,
    ink_for,
    letters,
    outer_shape,
    plain_colour,
    rounded_rectangle,
    scanned,
    share_px,
    surrounded,
    windowed,
)
from automask_training.synth.layout.paints import Pixels, Rng, gradient, pattern, texture


def letterbox(picture: Pixels, rng: Rng) -> Framed:
    """Bars above and below."""
    bar = share_px(picture, rng, 0.04, 0.3)
    grey = int(rng.choice([0, 0, 16, 255, 250]))
    return surrounded(picture, (0, bar, 0, bar + int(rng.integers(-1, 2))), (grey, grey, grey))


def pillarbox(picture: Pixels, rng: Rng) -> Framed:
    """Bars on the left and on the right."""
    bar = share_px(picture, rng, 0.04, 0.4)
    grey = int(rng.choice([0, 0, 16, 255, 250]))
    return surrounded(picture, (bar, 0, bar + int(rng.integers(-1, 2)), 0), (grey, grey, grey))


def thin_border(picture: Pixels, rng: Rng) -> Framed:
    """A border of a few pixels."""
    border = int(rng.integers(2, 19))
    return surrounded(picture, (border,) * 4, plain_colour(rng))


def two_tone_border(picture: Pixels, rng: Rng) -> Framed:
    """A thin border of two colours."""
    border = int(rng.integers(4, 19))
    framed = surrounded(picture, (border,) * 4, plain_colour(rng))
    outer = int(rng.integers(1, border - 1))
    height_px, width_px = framed.truth.shape
    cv2.rectangle(framed.pixels, (0, 0), (width_px - 1, height_px - 1), plain_colour(rng), 2 * outer - 1)
    return framed


def bevelled_border(picture: Pixels, rng: Rng) -> Framed:
    """A thin border that runs from one colour to another, noisy in half of the images."""
    border = int(rng.integers(4, 19))
    framed = surrounded(picture, (border,) * 4, (0, 0, 0))
    height_px, width_px = framed.truth.shape
    first, last = np.array(plain_colour(rng), np.float32), np.array(plain_colour(rng), np.float32)
    for at in range(border):
        colour = [float(v) for v in first + (last - first) * at / (border - 1)]
        cv2.rectangle(framed.pixels, (at, at), (width_px - 1 - at, height_px - 1 - at), colour, 1)
    noise = rng.normal(0, 5, framed.pixels.shape) * (framed.truth > 0)[..., None] * int(rng.integers(2))
    return Framed(np.clip(framed.pixels + noise, 0, 255).astype(np.uint8), framed.truth)


def white_mat(picture: Pixels, rng: Rng) -> Framed:
    """Nearly white margins, equal on opposite sides."""
    side, end = share_px(picture, rng, 0.03, 0.2), share_px(picture, rng, 0.03, 0.2)
    level = int(rng.integers(240, 256))
    return surrounded(picture, (side, end, side, end), (level, level, int(rng.integers(level - 8, level + 1))))


def polaroid(picture: Pixels, rng: Rng) -> Framed:
    """A white border that is broad at the bottom, sometimes written on."""
    side = share_px(picture, rng, 0.03, 0.08)
    bottom = round(side * rng.uniform(2.5, 5))
    framed = surrounded(picture, (side, side, side, bottom), (250, 250, 246))
    if rng.random() < 0.5:
        height_px = max(8, bottom // 3)
        y = framed.pixels.shape[0] - bottom + bottom // 4
        letters(rng, framed.pixels, 2 * side, y, picture.shape[1] // 2, height_px, (50, 40, 90))
    return framed


def lined_border(picture: Pixels, rng: Rng) -> Framed:
    """A border with one or two key lines."""
    border = share_px(picture, rng, 0.04, 0.12)
    ground = plain_colour(rng)
    framed = surrounded(picture, (border,) * 4, ground)
    height_px, width_px = framed.truth.shape
    thick = int(rng.integers(1, 5))
    inset = round(border * rng.uniform(0.3, 0.7))
    for step in range(int(rng.integers(1, 3))):
        at = min(border - 1, inset + step * (2 * thick + 3))
        corner = width_px - 1 - at, height_px - 1 - at
        cv2.rectangle(framed.pixels, (at, at), corner, ink_for(ground), thick)
    picture_box = np.ix_(range(border, height_px - border), range(border, width_px - border))
    framed.pixels[picture_box] = picture
    return framed


def _many_coloured(picture: Pixels, rng: Rng, draw: Callable[[Rng, int, int], Pixels]) -> Framed:
    margins = (share_px(picture, rng, 0.04, 0.14),) * 4
    framed = surrounded(picture, margins, draw(rng, *outer_shape(picture, margins)))
    if rng.random() < 0.5:  # the bevel or line that most such frames end with
        x, y = margins[0], margins[1]
        corner = x + picture.shape[1] - 1, y + picture.shape[0] - 1
        cv2.rectangle(framed.pixels, (x - 2, y - 2), (corner[0] + 2, corner[1] + 2), plain_colour(rng), 2)
        framed.pixels[y : corner[1] + 1, x : corner[0] + 1] = picture
    return framed


def gradient_border(picture: Pixels, rng: Rng) -> Framed:
    """A border that runs from one colour to another."""
    return _many_coloured(picture, rng, gradient)


def textured_border(picture: Pixels, rng: Rng) -> Framed:
    """A border of wood, paper or cloth."""
    return _many_coloured(picture, rng, texture)


def patterned_border(picture: Pixels, rng: Rng) -> Framed:
    """A border of stripes, checks or dots."""
    return _many_coloured(picture, rng, pattern)


def blurred_bars(picture: Pixels, rng: Rng) -> Framed:
    """The picture before a blurred, enlarged copy of itself, as video editors fill a screen of another shape."""
    height_px, width_px = picture.shape[:2]
    bar = share_px(picture, rng, 0.08, 0.4)
    margins = (bar, 0, bar, 0) if rng.random() < 0.5 else (0, bar, 0, bar)
    rows, columns = outer_shape(picture, margins)
    factor = max(rows / height_px, columns / width_px)
    zoomed = cv2.resize(picture, (round(width_px * factor) + 2, round(height_px * factor) + 2))
    y, x = (zoomed.shape[0] - rows) // 2, (zoomed.shape[1] - columns) // 2
    copy = cv2.GaussianBlur(zoomed[y : y + rows, x : x + columns], (0, 0), float(rng.uniform(8, 30)))
    return surrounded(picture, margins, (copy * rng.uniform(0.5, 1.0)).astype(np.uint8))


def rounded_window(picture: Pixels, rng: Rng) -> Framed:
    """A window with rounded corners in a border of one colour."""
    margin, radius = share_px(picture, rng, 0.02, 0.1), share_px(picture, rng, 0.03, 0.15)
    return windowed(picture, plain_colour(rng), rounded_rectangle(picture.shape[0], picture.shape[1], margin, radius))


def rounded_corners(picture: Pixels, rng: Rng) -> Framed:
    """Only the corners are cut off, and white."""
    window = rounded_rectangle(picture.shape[0], picture.shape[1], 0, share_px(picture, rng, 0.04, 0.12))
    return windowed(picture, (255, 255, 255), window)


def oval_window(picture: Pixels, rng: Rng) -> Framed:
    """An oval window in one colour or a texture."""
    height_px, width_px = picture.shape[:2]
    margin = share_px(picture, rng, 0.02, 0.1)
    y, x = np.mgrid[:height_px, :width_px]
    window = (
        np.hypot(
            (x - (width_px - 1) / 2) / (width_px / 2 - margin), (y - (height_px - 1) / 2) / (height_px / 2 - margin)
        )
        <= 1
    )
    ground = texture(rng, height_px, width_px) if rng.random() < 0.3 else plain_colour(rng)
    return windowed(picture, ground, window)


def skewed_scan(picture: Pixels, rng: Rng) -> Framed:
    """A mat or a lined border, scanned askew."""
    framed = white_mat(picture, rng) if rng.random() < 0.5 else lined_border(picture, rng)
    return scanned(framed, rng, float(rng.uniform(0.3, 1.5) * rng.choice([-1, 1])))


BORDERS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each
    for each in (
        letterbox,
        pillarbox,
        thin_border,
        two_tone_border,
        bevelled_border,
        white_mat,
        polaroid,
        lined_border,
        gradient_border,
        textured_border,
        patterned_border,
        blurred_bars,
        rounded_window,
        rounded_corners,
        oval_window,
        skewed_scan,
    )
}
