"""Whole pictures without a frame that a program may take for framed ones: drawings, charts, maps, skies, dark rims."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.drawings import redrawn
from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import IGNORED, Framed, ink_for, letters
from automask_training.synth.layout.paints import Pixels, Rng, clouds, gradient, paper, random_colour, texture
from automask_training.synth.layout.pictures import PictureShelf


def _size(rng: Rng) -> tuple[int, int]:
    return int(rng.integers(240, 480)), int(rng.integers(240, 480))


def unframed(pixels: Pixels) -> Framed:
    """A picture without a frame."""
    return Framed(pixels, np.zeros(pixels.shape[:2], np.uint8))


def as_it_is(shelf: PictureShelf, rng: Rng) -> Framed:
    """A picture, sometimes redrawn."""
    picture = shelf.picture(rng)
    return unframed(redrawn(rng, picture) if rng.random() < 0.15 else picture)


def vertical_still(shelf: PictureShelf, rng: Rng) -> Framed:
    """A tall or broad cut of a picture, darker or lighter at its ends, with a figure before it."""
    long_px, short_px = int(rng.integers(360, 520)), int(rng.integers(160, 280))
    size = (long_px, short_px) if rng.random() < 0.75 else (short_px, long_px)
    pixels = filled(shelf.picture(rng), *size, rng).astype(np.float32)
    ends = np.interp(np.linspace(0, 1, size[0]), [0, 0.3, 0.7, 1], [rng.uniform(0.3, 1.2), 1, 1, rng.uniform(0.1, 1.1)])
    pixels *= ends[:, None, None]
    if rng.random() < 0.4:
        figure = shelf.cutout(rng)
        factor = rng.uniform(0.5, 1.1) * min(size[0] / figure.shape[0], size[1] / figure.shape[1])
        figure = cv2.resize(figure, (max(2, int(figure.shape[1] * factor)), max(2, int(figure.shape[0] * factor))))
        figure = figure[: size[0], : size[1]]
        y, x = size[0] - figure.shape[0], (size[1] - figure.shape[1]) // 2
        share = figure[..., 3:].astype(np.float32) / 255
        part = pixels[y : y + figure.shape[0], x : x + figure.shape[1]]
        part[:] = part * (1 - share) + figure[..., :3] * share
    return unframed(np.clip(pixels, 0, 255).astype(np.uint8))


def faded_drawing(shelf: PictureShelf, rng: Rng) -> Framed:
    """A drawing that ends in its paper without an edge."""
    picture = redrawn(rng, shelf.picture(rng))
    height_px, width_px = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j].astype(np.float32)
    reach = np.hypot(x / rng.uniform(0.6, 1.1), y / rng.uniform(0.6, 1.1)) + 0.6 * (clouds(rng, *x.shape) - 0.5)
    share = np.clip((rng.uniform(0.7, 0.95) - reach) * rng.uniform(3, 40) + 0.5, 0, 1)[..., None]
    sheet = paper(rng, height_px, width_px)
    ground = np.where(share[..., 0] < 0.2, 255, 0).astype(np.uint8)
    return Framed((picture * share + sheet * (1 - share)).astype(np.uint8), np.zeros_like(ground),
                  others={"ground": ground})  # fmt: skip


def natural_frame(shelf: PictureShelf, rng: Rng) -> Framed:
    """A view through leaves, a cave, a gate or curtains: what is around it belongs to the scene."""
    picture = shelf.picture(rng)
    height_px, width_px = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j].astype(np.float32)
    corner = rng.choice([1.5, 2.0, 4.0])
    reach = (np.abs(x / rng.uniform(0.7, 1)) ** corner + np.abs(y / rng.uniform(0.7, 1)) ** corner) ** (1 / corner)
    rough = cv2.GaussianBlur(rng.normal(0, 1, x.shape).astype(np.float32), (0, 0), float(rng.uniform(1, 5)))
    reach = reach + rng.uniform(0.3, 0.8) * (clouds(rng, *x.shape) - 0.5) + 0.06 * rough / rough.std()
    share = np.clip((1 - reach) * rng.uniform(6, 30) + 0.5, 0, 1)[..., None]
    around = texture(rng, height_px, width_px) * rng.uniform(0.1, 0.6)
    if rng.random() < 0.5:
        around = filled(shelf.picture(rng), height_px, width_px, rng) * rng.uniform(0.2, 0.7)
    return unframed((picture * share + around * (1 - share)).astype(np.uint8))


def dark_rim(shelf: PictureShelf, rng: Rng) -> Framed:
    """A picture that falls off to black, or to white, towards its rim."""
    picture = shelf.picture(rng).astype(np.float32)
    height_px, width_px = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j].astype(np.float32)
    power = rng.choice([2.0, 4.0, 8.0])
    fall = np.clip((np.abs(x) ** power + np.abs(y) ** power) * rng.uniform(0.3, 1.0), 0, 1)[..., None]
    return unframed((picture * (1 - fall) + (255 if rng.random() < 0.25 else 0) * fall).astype(np.uint8))


def night_sky(shelf: PictureShelf, rng: Rng) -> Framed:
    """Stars, a moon and a black ridge, or a lit thing before black."""
    height_px, width_px = _size(rng)
    sky = (gradient(rng, height_px, width_px) * rng.uniform(0.02, 0.35)).astype(np.uint8)
    for _ in range(int(rng.integers(5, 150))):
        point = int(rng.integers(width_px)), int(rng.integers(height_px))
        cv2.circle(sky, point, int(rng.integers(0, 3)), (int(rng.integers(90, 256)),) * 3, -1, cv2.LINE_AA)
    if rng.random() < 0.4:
        centre = int(rng.integers(width_px)), int(rng.integers(height_px))
        cv2.circle(sky, centre, int(rng.integers(6, 70)), (230, 228, 210), -1, cv2.LINE_AA)
    if rng.random() < 0.7:
        ridge = height_px * (rng.uniform(0.5, 0.95) - 0.25 * (clouds(rng, 8, width_px)[0] - 0.5))
        sky[np.arange(height_px)[:, None] > ridge[None]] = rng.integers(0, 12, 3)
    return unframed(sky)


def flat_drawing(shelf: PictureShelf, rng: Rng) -> Framed:
    """Flat shapes on a flat ground, symmetric in some: emblems, ornaments, flags, cartoons, doors and windows."""
    height_px, width_px = _size(rng)
    sheet = np.full((height_px, width_px, 3), random_colour(rng), np.uint8)
    mirrored, outlined = rng.random() < 0.4, rng.random() < 0.5
    for _ in range(int(rng.integers(3, 22))):
        x, y = int(rng.integers(width_px)), int(rng.integers(height_px))
        a, b = (int(v) for v in rng.integers(5, max(8, width_px // 2), 2))
        colour, thick = random_colour(rng), -1 if rng.random() < 0.85 else int(rng.integers(1, 12))
        which = rng.random()
        if which < 0.4:
            cv2.ellipse(sheet, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, thick, cv2.LINE_AA)
        elif which < 0.65:
            cv2.rectangle(sheet, (x, y), (x + a, y + b), colour, thick)
        else:
            points = np.array([[x, y]]) + rng.normal(0, 0.5 * a, (int(rng.integers(3, 8)), 2))
            cv2.fillPoly(sheet, [points.astype(np.int32)], colour, cv2.LINE_AA)
            if outlined:
                cv2.polylines(sheet, [points.astype(np.int32)], True, (15, 15, 20), 2, cv2.LINE_AA)
    if mirrored:
        sheet[:, width_px - width_px // 2 :] = sheet[:, : width_px // 2][:, ::-1]
    return unframed(sheet)


def chart(shelf: PictureShelf, rng: Rng) -> Framed:
    """Axes with bars, lines or points, labels and a title."""
    height_px, width_px = _size(rng)
    level = int(rng.choice([255, 250, 30]))
    sheet = np.full((height_px, width_px, 3), level, np.uint8)
    ink = ink_for((level,) * 3)
    x0, y0, x1, y1 = width_px // 8, height_px // 8, width_px * 15 // 16, height_px * 7 // 8
    for step in range(int(rng.integers(0, 9))):
        y = y0 + (y1 - y0) * step // 8
        cv2.line(sheet, (x0, y), (x1, y), (200 - level // 4,) * 3, 1)
        letters(rng, sheet, 3, y - 4, x0 - 4, 7, ink)
    number = int(rng.integers(3, 14))
    values = rng.uniform(0.05, 1, number)
    places = np.linspace(x0, x1, number + 1)
    colour, which = random_colour(rng), rng.random()
    for k, value in enumerate(values):
        top = round(y1 - value * (y1 - y0))
        if which < 0.5:
            cv2.rectangle(sheet, (round(places[k]) + 2, top), (round(places[k + 1]) - 2, y1), colour, -1)
        else:
            cv2.circle(sheet, (round(places[k]), top), int(rng.integers(2, 8)), colour, -1, cv2.LINE_AA)
    if which > 0.7:
        line = np.stack([places[:-1], y1 - values * (y1 - y0)], axis=-1).astype(np.int32)
        cv2.polylines(sheet, [line], False, colour, 2, cv2.LINE_AA)
    cv2.line(sheet, (x0, y1), (x1, y1), ink, 1)
    cv2.line(sheet, (x0, y0), (x0, y1), ink, 1)
    letters(rng, sheet, width_px // 4, 6, width_px // 2, max(8, height_px // 24), ink)
    truth = np.full((height_px, width_px), IGNORED, np.uint8)  # whether a title belongs to a chart, nobody can say
    truth[y0:y1, x0:x1] = 0
    return Framed(sheet, truth)


def map_sheet(shelf: PictureShelf, rng: Rng) -> Framed:
    """Land and water with contours, a grid and names, right up to the edge."""
    height_px, width_px = _size(rng)
    height = clouds(rng, height_px, width_px)
    levels = np.array([random_colour(rng) for _ in range(int(rng.integers(2, 7)))], np.float32)
    steps = np.clip((height * len(levels)).astype(int), 0, len(levels) - 1)
    sheet = (levels[steps] * 0.6 + 90).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        edges = cv2.morphologyEx(steps.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        sheet[edges] = random_colour(rng)
    for at in range(0, max(height_px, width_px), int(rng.integers(40, 120))) if rng.random() < 0.4 else ():
        cv2.line(sheet, (at, 0), (at, height_px), (150, 150, 150), 1)
        cv2.line(sheet, (0, at), (width_px, at), (150, 150, 150), 1)
    for _ in range(int(rng.integers(0, 9))):
        x, y = int(rng.integers(width_px * 3 // 4)), int(rng.integers(height_px - 20))
        letters(rng, sheet, x, y, 90, int(rng.integers(6, 14)), (30, 25, 20))
    return unframed(sheet)


PLAIN: dict[str, Callable[[PictureShelf, Rng], Framed]] = {
    each.__name__: each
    for each in (
        as_it_is,
        vertical_still,
        faded_drawing,
        natural_frame,
        dark_rim,
        night_sky,
        flat_drawing,
        chart,
        map_sheet,
    )
}
