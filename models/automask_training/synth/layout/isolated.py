"""Things shown alone on a plain ground: products, figures, devices, sheets of characters. Their ground is no frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed, letters
from automask_training.synth.layout.paints import Pixels, Rng, random_colour
from automask_training.synth.layout.pictures import PictureShelf
from automask_training.synth.layout.sheet import rounded


def plain_ground(rng: Rng, height_px: int, width_px: int) -> NDArray[np.float32]:
    """White, grey, black or coloured, flat, graded, lit in the middle, or with a floor, (H, W, 3)."""
    which = rng.random()
    colour = np.array(random_colour(rng), np.float32)
    if which < 0.4:
        colour[:] = 255
    elif which < 0.58:
        colour[:] = rng.uniform(120, 250)
    elif which < 0.72:
        colour[:] = rng.uniform(0, 45)
    ground = np.empty((height_px, width_px, 3), np.float32)
    ground[:] = colour
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j].astype(np.float32)
    kind = rng.random()
    if kind < 0.25:
        angle = rng.uniform(0, 2 * np.pi)
        ground *= 1 + rng.uniform(0, 0.35) * (np.cos(angle) * x + np.sin(angle) * y)[..., None]
    elif kind < 0.42:
        centre = rng.uniform(-0.4, 0.4, 2)
        ground *= (1.15 - rng.uniform(0.1, 0.6) * np.hypot(x - centre[0], y - centre[1]))[..., None]
    elif kind < 0.55:
        floor = rng.uniform(0.1, 0.8)
        ground[y > floor] *= rng.uniform(0.7, 1.15)
    return np.clip(ground, 0, 255)


def placed(canvas: NDArray[np.float32], covered: NDArray[np.float32], thing: Pixels, x: int, y: int) -> None:
    """Put an (h, w, 4) thing onto the canvas, and note what it covers; it may reach over the rim."""
    height_px, width_px = covered.shape
    y0, x0, y1, x1 = max(0, y), max(0, x), min(height_px, y + thing.shape[0]), min(width_px, x + thing.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    part = thing[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32)
    share = part[..., 3:] / 255
    canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * (1 - share) + part[..., :3] * share
    covered[y0:y1, x0:x1] = np.maximum(covered[y0:y1, x0:x1], share[..., 0])


def fallen(rng: Rng, canvas: NDArray[np.float32], thing: Pixels, x: int, y: int) -> None:
    """A shadow under a thing, or its mirror image in the table."""
    which = rng.random()
    height_px, width_px = thing.shape[:2]
    none = np.zeros(canvas.shape[:2], np.float32)
    if which < 0.3:
        mirrored = thing[::-1].copy()
        fade = np.linspace(rng.uniform(80, 150), 0, height_px)[:, None] / 255
        mirrored[..., 3] = (mirrored[..., 3] * fade).astype(np.uint8)
        placed(canvas, none, mirrored, x, y + height_px)
    elif which < 0.65:
        low = max(4, height_px // int(rng.integers(6, 14)))
        shadow = np.zeros((3 * low, width_px + 2 * low, 4), np.uint8)
        cv2.ellipse(shadow, (width_px // 2 + low, low + low // 2), (width_px // 2, low // 2), 0, 0, 360,
                    (20, 20, 25, int(rng.integers(60, 200))), -1)  # fmt: skip
        placed(canvas, none, cv2.GaussianBlur(shadow, (0, 0), 1 + low / 4), x - low, y + height_px - 2 * low)


def thing(shelf: PictureShelf, rng: Rng) -> Pixels:
    """A cut-out figure, or a piece of a picture in the form of a ball, a box, a stone or a bottle, (H, W, 4)."""
    if rng.random() < 0.5:
        return shelf.cutout(rng)
    picture = shelf.picture(rng)
    height_px, width_px = picture.shape[:2]
    which = rng.random()
    shape = np.zeros((height_px, width_px), np.uint8)
    if which < 0.25:
        cv2.ellipse(shape, (width_px // 2, height_px // 2), (width_px * 9 // 20, height_px * 9 // 20),
                    rng.uniform(0, 180), 0, 360, 255, -1)  # fmt: skip
    elif which < 0.5:
        shape = rounded(height_px, width_px, round(min(height_px, width_px) * rng.uniform(0.02, 0.3)))
    elif which < 0.8:
        points = rng.uniform(0.03, 0.97, (8, 2)) * (width_px, height_px)
        cv2.fillPoly(shape, [cv2.convexHull(points.astype(np.int32))], 255)
    else:  # turned on a lathe
        knots = rng.uniform(0.25, 1.0, 6).astype(np.float32)
        half = cv2.resize(knots[:, None], (1, height_px), interpolation=cv2.INTER_CUBIC) * width_px / 2
        shape[np.abs(np.arange(width_px)[None] - width_px / 2) < half] = 255
    if rng.random() < 0.5:  # one material rather than a scene
        picture = (cv2.GaussianBlur(picture, (0, 0), 6) * rng.uniform(0.5, 1.1)).clip(0, 255).astype(np.uint8)
    return np.dstack([picture, shape])


def device(shelf: PictureShelf, rng: Rng) -> Pixels:
    """A telephone, a tablet or a screen that shows a picture, (H, W, 4)."""
    height_px, width_px = (420, 210) if rng.random() < 0.6 else (260, 420)
    body = np.full((height_px, width_px, 3), random_colour(rng) if rng.random() < 0.4 else
                   int(rng.choice([15, 35, 200, 240])), np.uint8)  # fmt: skip
    shape = rounded(height_px, width_px, int(rng.integers(2, 36)))
    side, end = int(rng.integers(3, 14)), int(rng.integers(5, 56))
    if rng.random() < 0.75:  # seen from behind otherwise
        hole = (height_px - 2 * end, width_px - 2 * side)
        body[end : height_px - end, side : width_px - side] = filled(shelf.picture(rng), *hole, rng)
        if rng.random() < 0.5:
            letters(rng, body, width_px // 4, end + 30, width_px // 2, int(rng.integers(8, 30)), (250, 250, 250))
    if rng.random() < 0.7:
        cv2.circle(body, (width_px // 2, height_px - end // 2), max(2, end // 3), random_colour(rng), 1, cv2.LINE_AA)
    turned = np.dstack([body, shape])
    if rng.random() < 0.35:
        size = int(np.hypot(height_px, width_px))
        turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), float(rng.normal(0, 18)), 0.95)
        turn[:, 2] += (size - width_px) / 2, (size - height_px) / 2
        turned = cv2.warpAffine(turned, turn, (size, size))
    return turned


def isolated(shelf: PictureShelf, rng: Rng) -> Framed:
    """One to three things, cut-outs or devices, with shadows or reflections."""
    height_px, width_px = (int(v) for v in rng.integers(240, 520, 2))
    canvas = plain_ground(rng, height_px, width_px)
    covered = np.zeros((height_px, width_px), np.float32)
    draw = device if rng.random() < 0.3 else thing
    number = int(rng.choice([1, 1, 1, 2, 3]))
    for turn in range(number):
        own = draw(shelf, rng)
        factor = rng.uniform(0.35, 1.08) * min(height_px / own.shape[0], width_px / own.shape[1])
        own = scaled(own, factor)
        spread = (turn + 0.5) / number if number > 1 else 0.5
        x = round(width_px * (spread + rng.normal(0, 0.06)) - own.shape[1] / 2)
        y = round((height_px - own.shape[0]) * np.clip(rng.normal(0.55, 0.15), -0.1, 1.1))
        fallen(rng, canvas, own, x, y)
        placed(canvas, covered, own, x, y)
    found = on_ground(canvas, covered)
    if rng.random() < 0.2:
        tall = int(rng.integers(8, 26))
        letters(rng, found.pixels, width_px // 8, tall, width_px * 3 // 4, tall, (120, 120, 120))
    return found


def character_sheet(shelf: PictureShelf, rng: Rng) -> Framed:
    """The same or several figures in a row on grey, with shadows, swatches of colour and notes."""
    height_px, width_px = int(rng.integers(260, 420)), int(rng.integers(320, 600))
    canvas = plain_ground(rng, height_px, width_px)
    if rng.random() < 0.6:
        canvas[:] = rng.uniform(110, 250)
    covered = np.zeros((height_px, width_px), np.float32)
    number = int(rng.integers(2, 6))
    own = thing(shelf, rng)
    for turn in range(number):
        own = thing(shelf, rng) if rng.random() < 0.4 else own[:, ::-1]
        room = min(height_px * 0.9 / own.shape[0], width_px * 1.1 / number / own.shape[1])
        sized = scaled(own, room * rng.uniform(0.7, 1.0))
        x = round(width_px * (turn + 0.5) / number - sized.shape[1] / 2)
        y = round(height_px * 0.95 - sized.shape[0])
        fallen(rng, canvas, sized, x, y)
        placed(canvas, covered, sized, x, y)
    for turn in range(int(rng.integers(0, 7))):
        x, size = 8 + 24 * turn, int(rng.integers(8, 22))
        cv2.rectangle(canvas, (x, 8), (x + size, 8 + size), random_colour(rng), -1)
        covered[8 : 8 + size, x : x + size] = 1
    return on_ground(canvas, covered)


def sprite_grid(shelf: PictureShelf, rng: Rng) -> Framed:
    """Small figures in rows on one colour or on the checks that stand for transparency."""
    cell, rows, columns = int(rng.integers(40, 110)), int(rng.integers(2, 6)), int(rng.integers(2, 7))
    height_px, width_px = rows * cell, columns * cell
    canvas = plain_ground(rng, height_px, width_px)
    if rng.random() < 0.25:
        size = int(rng.integers(4, 12))
        y, x = np.mgrid[:height_px, :width_px]
        canvas[:] = np.where(((x // size + y // size) % 2 < 1)[..., None], 255, rng.uniform(190, 235))
    covered = np.zeros((height_px, width_px), np.float32)
    own = thing(shelf, rng)
    for row in range(rows):
        for column in range(columns):
            own = thing(shelf, rng) if rng.random() < 0.15 else own
            sized = scaled(own, cell * rng.uniform(0.7, 1.0) / max(own.shape[:2]))
            x = column * cell + (cell - sized.shape[1]) // 2
            placed(canvas, covered, sized, x, row * cell + (cell - sized.shape[0]) // 2)
    return on_ground(canvas, covered)


def scaled(thing: Pixels, factor: float) -> Pixels:
    """A thing of any number of channels, larger or smaller."""
    size = max(4, round(thing.shape[1] * factor)), max(4, round(thing.shape[0] * factor))
    return np.asarray(cv2.resize(thing, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR))


def on_ground(canvas: NDArray[np.float32], covered: NDArray[np.float32]) -> Framed:
    """What was drawn, as a picture without a frame; what nothing covers is ground."""
    ground = np.where(covered < 0.5, 255, 0).astype(np.uint8)
    pixels = np.clip(canvas, 0, 255).astype(np.uint8)
    return Framed(pixels, np.zeros(ground.shape, np.uint8), others={"ground": ground})


ISOLATED: dict[str, Callable[[PictureShelf, Rng], Framed]] = {
    each.__name__: each for each in (isolated, character_sheet, sprite_grid)
}
