"""Framed pictures of every kind that a program can draw, with their truth: what `edges` is tested and measured on.

Each kind is a function of a picture and a random generator; the same seed gives the same image. Truth is 255 where
the frame is and 0 where the picture is; text on a plate belongs to the plate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from border_textures import Colour, Pixels, Rng, gradient, pattern, random_colour, texture
from numpy.typing import NDArray

Margins = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """A framed picture.

    Attributes:
        pixels: (H, W, 3) uint8.
        truth: (H, W) uint8, 255 = frame.
        alpha: (H, W) uint8 where the frame is transparent, or None.
    """

    pixels: Pixels
    truth: Pixels
    alpha: Pixels | None = None


def plain_colour(rng: Rng) -> Colour:
    """White or black as often as any other colour."""
    which = rng.random()
    if which < 0.3:
        return (255, 255, 255)
    return (0, 0, 0) if which < 0.5 else random_colour(rng)


def share_px(picture: Pixels, rng: Rng, low: float, high: float) -> int:
    """A random share of the shorter side, in pixels."""
    return max(2, round(min(picture.shape[:2]) * rng.uniform(low, high)))


def surrounded(picture: Pixels, margins: Margins, border: Pixels | Colour) -> Framed:
    """The picture in the middle of a border, which is one colour or an image of the whole size."""
    left, top, right, bottom = margins
    height_px, width_px = picture.shape[:2]
    canvas = np.empty((height_px + top + bottom, width_px + left + right, 3), np.uint8)
    canvas[:] = border
    truth = np.full(canvas.shape[:2], 255, np.uint8)
    canvas[top : top + height_px, left : left + width_px] = picture
    truth[top : top + height_px, left : left + width_px] = 0
    return Framed(canvas, truth)


def outer_shape(picture: Pixels, margins: Margins) -> tuple[int, int]:
    left, top, right, bottom = margins
    return picture.shape[0] + top + bottom, picture.shape[1] + left + right


def letters(rng: Rng, canvas: Pixels, x: int, y: int, width_px: int, height_px: int, colour: Colour) -> None:
    """Write a line of letters of the given height into the canvas."""
    scale, thick = height_px / 30.0, max(1, round(height_px / 14))
    words: list[str] = []
    while cv2.getTextSize(" ".join(words), cv2.FONT_HERSHEY_DUPLEX, scale, thick)[0][0] < 0.8 * width_px:
        words.append("".join(chr(97 + int(v)) for v in rng.integers(0, 26, int(rng.integers(2, 7)))))
        if len(words) > 40:
            break
    text = " ".join(words[:-1] or words).capitalize()
    cv2.putText(canvas, text, (x, y + height_px), cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def ink_for(ground: Colour) -> Colour:
    return (20, 20, 20) if sum(ground) > 380 else (240, 240, 240)


# Borders of one colour


def letterbox(picture: Pixels, rng: Rng) -> Framed:
    bar = share_px(picture, rng, 0.04, 0.3)
    grey = int(rng.choice([0, 0, 16, 255, 250]))
    return surrounded(picture, (0, bar, 0, bar + int(rng.integers(-1, 2))), (grey, grey, grey))


def pillarbox(picture: Pixels, rng: Rng) -> Framed:
    bar = share_px(picture, rng, 0.04, 0.4)
    grey = int(rng.choice([0, 0, 16, 255, 250]))
    return surrounded(picture, (bar, 0, bar + int(rng.integers(-1, 2)), 0), (grey, grey, grey))


def thin_border(picture: Pixels, rng: Rng) -> Framed:
    border = int(rng.integers(2, 19))
    return surrounded(picture, (border,) * 4, plain_colour(rng))


def two_tone_border(picture: Pixels, rng: Rng) -> Framed:
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
    side, end = share_px(picture, rng, 0.03, 0.2), share_px(picture, rng, 0.03, 0.2)
    level = int(rng.integers(240, 256))
    return surrounded(picture, (side, end, side, end), (level, level, int(rng.integers(level - 8, level + 1))))


def polaroid(picture: Pixels, rng: Rng) -> Framed:
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


# Borders of many colours


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
    return _many_coloured(picture, rng, gradient)


def textured_border(picture: Pixels, rng: Rng) -> Framed:
    return _many_coloured(picture, rng, texture)


def patterned_border(picture: Pixels, rng: Rng) -> Framed:
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


# Windows that are no rectangles


def _windowed(picture: Pixels, border: Pixels | Colour, window: NDArray[np.bool_]) -> Framed:
    ground = np.empty_like(picture)
    ground[:] = border
    soft = cv2.GaussianBlur(window.astype(np.float32), (0, 0), 0.6)[..., None]
    pixels = (soft * picture + (1 - soft) * ground).astype(np.uint8)
    return Framed(pixels, np.where(window, 0, 255).astype(np.uint8))


def rounded_rectangle(height_px: int, width_px: int, margin_px: int, radius_px: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height_px, :width_px]
    inner = margin_px + radius_px
    dx = np.maximum(0, np.maximum(inner - x, x - (width_px - 1 - inner)))
    dy = np.maximum(0, np.maximum(inner - y, y - (height_px - 1 - inner)))
    return np.hypot(dx, dy) <= radius_px


def rounded_window(picture: Pixels, rng: Rng) -> Framed:
    margin, radius = share_px(picture, rng, 0.02, 0.1), share_px(picture, rng, 0.03, 0.15)
    return _windowed(picture, plain_colour(rng), rounded_rectangle(*picture.shape[:2], margin, radius))


def rounded_corners(picture: Pixels, rng: Rng) -> Framed:
    """Only the corners are cut off; they are transparent in half of the images."""
    window = rounded_rectangle(*picture.shape[:2], 0, share_px(picture, rng, 0.04, 0.12))
    framed = _windowed(picture, (255, 255, 255), window)
    if rng.random() < 0.5:
        return framed
    return Framed(framed.pixels, framed.truth, np.where(window, 255, 0).astype(np.uint8))


def oval_window(picture: Pixels, rng: Rng) -> Framed:
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
    return _windowed(picture, ground, window)


# Strips along an edge


def caption_strip(picture: Pixels, rng: Rng) -> Framed:
    high = share_px(picture, rng, 0.06, 0.2)
    ground = plain_colour(rng)
    top = rng.random() < 0.25
    framed = surrounded(picture, (0, high, 0, 0) if top else (0, 0, 0, high), ground)
    y0 = 0 if top else picture.shape[0]
    lines = 1 if high < 40 else int(rng.integers(1, 3))
    line_px = high // lines
    for line in range(lines):
        y = y0 + line * line_px + line_px // 4
        letters(rng, framed.pixels, 16, y, picture.shape[1] - 32, max(7, line_px // 2), ink_for(ground))
    return framed


def translucent_strip(picture: Pixels, rng: Rng) -> Framed:
    """A caption on a veil over the picture."""
    height_px, width_px = picture.shape[:2]
    high = share_px(picture, rng, 0.08, 0.2)
    ground = plain_colour(rng)
    y0 = 0 if rng.random() < 0.25 else height_px - high
    pixels, truth = picture.copy(), np.zeros((height_px, width_px), np.uint8)
    opacity = rng.uniform(0.5, 0.85)
    strip = pixels[y0 : y0 + high]
    strip[:] = ((1 - opacity) * strip + opacity * np.array(ground)).astype(np.uint8)
    truth[y0 : y0 + high] = 255
    letters(rng, pixels, 16, y0 + high // 4, width_px - 32, max(8, high // 2), ink_for(ground))
    return Framed(pixels, truth)


def interface_strip(picture: Pixels, rng: Rng) -> Framed:
    """A status bar, a toolbar or a row of buttons, sometimes graded."""
    high = share_px(picture, rng, 0.04, 0.11)
    ground = plain_colour(rng)
    top = rng.random() < 0.5
    framed = surrounded(picture, (0, high, 0, 0) if top else (0, 0, 0, high), ground)
    y0 = 0 if top else picture.shape[0]
    strip = framed.pixels[y0 : y0 + high]
    if rng.random() < 0.4:
        strip[:] = np.clip(strip.astype(np.float32) + np.linspace(12, -12, high)[:, None, None], 0, 255)
    size = max(3, high // 3)
    for x in range(high, picture.shape[1] - high, round(high * rng.uniform(1.3, 3.5))):
        colour = ink_for(ground) if rng.random() < 0.7 else random_colour(rng)
        if rng.random() < 0.5:
            cv2.circle(strip, (x, high // 2), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(strip, (x - size, high // 2 - size), (x + size, high // 2 + size), colour, 2)
    return framed


# Pages


def comic_page(picture: Pixels, rng: Rng) -> Framed:
    """Panels cut from one picture, apart by gutters, most with an inked border."""
    height_px, width_px = picture.shape[:2]
    gutter = share_px(picture, rng, 0.015, 0.04)
    ground: Colour = (255, 255, 255) if rng.random() < 0.75 else (0, 0, 0)
    line = int(rng.integers(0, 4))
    page = np.empty_like(picture)
    page[:] = ground
    truth = np.full((height_px, width_px), 255, np.uint8)
    margin = gutter if rng.random() < 0.75 else 0
    rows = int(rng.integers(2, 4))
    edges_y = np.linspace(margin, height_px - margin + gutter, rows + 1)
    edges_y[1:-1] += rng.uniform(-0.08, 0.08, rows - 1) * height_px
    for top, bottom in pairwise(edges_y):
        columns = int(rng.integers(1, 4))
        edges_x = np.linspace(margin, width_px - margin + gutter, columns + 1)
        edges_x[1:-1] += rng.uniform(-0.08, 0.08, columns - 1) * width_px
        for left, right in pairwise(edges_x):
            x0, y0, x1, y1 = round(left), round(top), round(right) - gutter, round(bottom) - gutter
            page[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
            truth[y0:y1, x0:x1] = 0
            if line:
                cv2.rectangle(page, (x0, y0), (x1 - 1, y1 - 1), (0, 0, 0), 2 * line - 1)
                cv2.rectangle(truth, (x0, y0), (x1 - 1, y1 - 1), 255, 2 * line - 1)
    return Framed(page, truth)


def scanned(framed: Framed, rng: Rng, degrees: float) -> Framed:
    """Askew on the glass, a little blunt, with paper noise."""
    height_px, width_px = framed.truth.shape
    turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), degrees, 1.0)
    paper = tuple(int(v) for v in framed.pixels[0, 0])
    pixels = cv2.warpAffine(framed.pixels, turn, (width_px, height_px), borderValue=paper)
    truth = cv2.warpAffine(framed.truth, turn, (width_px, height_px), flags=cv2.INTER_NEAREST, borderValue=255)
    rough = cv2.GaussianBlur(pixels, (0, 0), 0.7) + rng.normal(0, rng.uniform(1, 4), pixels.shape)
    return Framed(np.clip(rough, 0, 255).astype(np.uint8), truth)


def skewed_scan(picture: Pixels, rng: Rng) -> Framed:
    framed = white_mat(picture, rng) if rng.random() < 0.5 else lined_border(picture, rng)
    return scanned(framed, rng, float(rng.uniform(0.3, 1.5) * rng.choice([-1, 1])))


SIMPLE_KINDS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each
    for each in (
        letterbox,
        pillarbox,
        blurred_bars,
        thin_border,
        two_tone_border,
        bevelled_border,
        white_mat,
        polaroid,
        lined_border,
        gradient_border,
        textured_border,
        patterned_border,
        rounded_window,
        rounded_corners,
        oval_window,
        caption_strip,
        translucent_strip,
        interface_strip,
        comic_page,
        skewed_scan,
    )
}
