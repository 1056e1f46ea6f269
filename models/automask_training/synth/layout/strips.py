"""Strips along one edge: captions, veils, rows of buttons."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.framed import Framed, ink_for, letters, plain_colour, share_px, surrounded
from automask_training.synth.layout.paints import Pixels, Rng, random_colour


def caption_strip(picture: Pixels, rng: Rng) -> Framed:
    """A strip of one colour with a line or two of letters."""
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
    return Framed(pixels, truth, others={"plate": truth})


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


STRIPS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each for each in (caption_strip, translucent_strip, interface_strip)
}
