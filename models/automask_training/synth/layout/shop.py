"""Pages of shops: telephones in pairs, screens on black, broad banners. Their ground is no frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed, ink_for, letters
from automask_training.synth.layout.isolated import fallen, on_ground, placed, plain_ground, scaled, thing
from automask_training.synth.layout.paints import Pixels, Rng, foil, gradient, marble, random_colour
from automask_training.synth.layout.pictures import PictureShelf
from automask_training.synth.layout.sheet import rounded

_BODIES = ((225, 200, 170), (235, 190, 190), (215, 215, 222), (245, 245, 246), (28, 28, 30), (60, 62, 70))


def case(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Lacquer or metal in one colour, lit from one side, (H, W, 3)."""
    colour = np.array(
        _BODIES[int(rng.integers(len(_BODIES)))] if rng.random() < 0.8 else random_colour(rng), np.float32
    )
    light = np.interp(np.linspace(0, 1, width_px), [0, 0.1, 0.9, 1], rng.uniform(0.8, 1.1, 4))
    return np.clip(colour * light[None, :, None] * np.ones((height_px, 1, 1)), 0, 255).astype(np.uint8)


def _wallpaper(shelf: PictureShelf, rng: Rng, height_px: int, width_px: int) -> Pixels:
    """What a screen shows: a run of colours, clouds, a shimmer, a portrait or a view."""
    which = rng.random()
    if which < 0.45:
        return filled(shelf.picture(rng), height_px, width_px, rng)
    return (gradient, marble, foil)[int(rng.integers(3))](rng, height_px, width_px)


def lit_screen(shelf: PictureShelf, rng: Rng, body: Pixels, *, side_px: int, end_px: int) -> None:
    """Fill the body but for its margins with a lit screen, its clock and its row of icons."""
    height_px, width_px = body.shape[:2]
    tall, broad = height_px - 2 * end_px, width_px - 2 * side_px
    body[end_px : height_px - end_px, side_px : width_px - side_px] = _wallpaper(shelf, rng, tall, broad)
    if rng.random() < 0.6:
        size = max(6, broad // int(rng.integers(5, 12)))
        letters(rng, body, side_px + size // 2, end_px + size, broad // 2, size, (245, 245, 250))
    if rng.random() < 0.4:
        y = height_px - end_px - max(6, tall // 20)
        for x in range(side_px + broad // 8, width_px - side_px, max(8, broad // 4)):
            cv2.circle(body, (x, y), max(2, broad // 24), (240, 240, 240), -1, cv2.LINE_AA)


def telephone(shelf: PictureShelf, rng: Rng, *, front: bool) -> Pixels:
    """A telephone upright, its screen or its back with camera and name, (H, W, 4)."""
    height_px, width_px = int(rng.integers(360, 460)), int(rng.integers(180, 230))
    body = case(rng, height_px, width_px)
    side, end = int(rng.integers(2, 12)), int(rng.integers(4, 60))
    if front:
        lit_screen(shelf, rng, body, side_px=side, end_px=end)
        if end > 20:
            cv2.circle(body, (width_px // 2, height_px - end // 2), end // 4, random_colour(rng), 1, cv2.LINE_AA)
            cv2.line(body, (width_px * 2 // 5, end // 2), (width_px * 3 // 5, end // 2), (40, 40, 45), 2)
    else:
        x = int(rng.choice([width_px // 5, width_px // 2, width_px * 4 // 5]))
        for turn in range(int(rng.integers(1, 4))):
            cv2.circle(body, (x, 40 + 34 * turn), int(rng.integers(8, 17)), (25, 25, 30), -1, cv2.LINE_AA)
        if rng.random() < 0.7:
            letters(
                rng, body, width_px // 3, round(height_px * rng.uniform(0.55, 0.9)), width_px // 2, 12, (90, 90, 95)
            )
    return np.dstack([body, rounded(height_px, width_px, int(rng.integers(8, 34)))])


def large_screen(shelf: PictureShelf, rng: Rng) -> Pixels:
    """A television or a portable computer with a thin rim, on feet or a keyboard, (H, W, 4)."""
    height_px, width_px = int(rng.integers(200, 260)), int(rng.integers(340, 430))
    rim = int(rng.integers(2, 10))
    body = case(rng, height_px, width_px)
    lit_screen(shelf, rng, body, side_px=rim, end_px=rim)
    foot = int(rng.integers(6, 50))
    below = np.zeros((foot, width_px, 4), np.uint8)
    if rng.random() < 0.5:
        for x in (width_px // 8, width_px * 7 // 8):
            cv2.line(below, (x, 0), (x + int(rng.integers(-15, 15)), foot), (60, 60, 65, 255), 4)
    else:
        below[:] = (*(int(v) for v in body[-1, width_px // 2]), 255)
    return np.vstack([np.dstack([body, np.full((height_px, width_px), 255, np.uint8)]), below])


def turned(own: Pixels, degrees: float) -> Pixels:
    """A thing (h, w, 4) turned about its middle, cut to what is not transparent."""
    height_px, width_px = own.shape[:2]
    size = int(np.hypot(height_px, width_px))
    turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), degrees, 1.0)
    turn[:, 2] += (size - width_px) / 2, (size - height_px) / 2
    found = cv2.warpAffine(own, turn, (size, size))
    rows, columns = np.flatnonzero(found[..., 3].any(axis=1)), np.flatnonzero(found[..., 3].any(axis=0))
    return np.asarray(found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def device_pair(shelf: PictureShelf, rng: Rng) -> Framed:
    """One to three telephones side by side or one before the other, front and back, up to the rim of the image."""
    height_px = int(rng.integers(280, 480))
    canvas = plain_ground(rng, height_px, round(height_px * rng.uniform(0.75, 1.4)))
    if rng.random() < 0.5:
        canvas[:] = 255 if rng.random() < 0.8 else 0
    covered = np.zeros(canvas.shape[:2], np.float32)
    number = int(rng.choice([1, 2, 2, 2, 3]))
    fronts = [turn == number - 1 or rng.random() < 0.3 for turn in range(number)]
    pieces = [telephone(shelf, rng, front=front) for front in fronts]
    size = rng.uniform(0.55, 1.0) * height_px
    step = rng.uniform(0.4, 1.1)
    broad = max(piece.shape[1] * size / piece.shape[0] for piece in pieces)
    room = canvas.shape[1] / (broad * (1 + step * (number - 1)))
    size, broad = size * min(1.0, room), broad * min(1.0, room)
    degrees = float(rng.normal(0, 20)) if rng.random() < 0.25 else 0.0
    left = (canvas.shape[1] - broad * (1 + step * (number - 1))) / 2
    for turn, piece in enumerate(pieces):
        own = scaled(piece, size / piece.shape[0])
        own = turned(own, degrees) if degrees else own
        x, y = round(left + turn * step * broad), (height_px - own.shape[0]) // 2
        fallen(rng, canvas, own, x, y)
        placed(canvas, covered, own, x, y)
    return on_ground(canvas, covered)


def screen_alone(shelf: PictureShelf, rng: Rng) -> Framed:
    """A television or a portable computer on black, white or grey, seen straight on or a little turned."""
    height_px = int(rng.integers(260, 460))
    canvas = plain_ground(rng, height_px, round(height_px * rng.uniform(0.9, 1.5)))
    if rng.random() < 0.6:
        canvas[:] = rng.choice([0.0, 255.0])
    covered = np.zeros(canvas.shape[:2], np.float32)
    own = large_screen(shelf, rng)
    own = turned(own, float(rng.normal(0, 12))) if rng.random() < 0.25 else own
    own = scaled(own, rng.uniform(0.5, 0.98) * min(height_px / own.shape[0], canvas.shape[1] / own.shape[1]))
    x, y = (canvas.shape[1] - own.shape[1]) // 2, round((height_px - own.shape[0]) * rng.uniform(0.3, 0.7))
    placed(canvas, covered, own, x, y)
    return on_ground(canvas, covered)


def banner(shelf: PictureShelf, rng: Rng) -> Framed:
    """A thing at one side of a broad or tall ground, lines of lettering and a button at the other."""
    height_px = int(rng.integers(170, 300))
    width_px = round(height_px * rng.uniform(1.5, 3.6))
    tall = rng.random() < 0.3
    if tall:
        height_px, width_px = width_px, round(height_px * 1.3)
    canvas = plain_ground(rng, height_px, width_px)
    covered = np.zeros(canvas.shape[:2], np.float32)
    which = rng.random()
    own = (
        telephone(shelf, rng, front=True)
        if which < 0.3
        else large_screen(shelf, rng)
        if which < 0.5
        else thing(shelf, rng)
    )
    own = turned(own, float(rng.normal(0, 15))) if rng.random() < 0.3 else own
    room = (height_px * 0.6, width_px) if tall else (height_px * 1.2, width_px * 0.5)
    own = scaled(own, rng.uniform(0.6, 1.0) * min(room[0] / own.shape[0], room[1] / own.shape[1]))
    right = rng.random() < 0.7
    x = (width_px - own.shape[1]) // 2 if tall else round(width_px * (0.72 if right else 0.25) - own.shape[1] / 2)
    y = round((height_px - own.shape[0]) * rng.uniform(0.4, 1.0)) if not tall else height_px - own.shape[0] - 10
    placed(canvas, covered, own, x, y)
    ground: NDArray[np.float32] = canvas[2, 2]
    ink = ink_for((int(ground[0]), int(ground[1]), int(ground[2]))) if rng.random() < 0.7 else random_colour(rng)
    found = on_ground(canvas, covered)
    size = max(8, (width_px if tall else height_px) // int(rng.integers(8, 16)))
    x0, y0 = (width_px // 8, size) if tall else (width_px // 12 if right else width_px // 2, height_px // 4)
    for line in range(int(rng.integers(1, 4))):
        letters(
            rng, found.pixels, x0, y0 + line * size * 2, round(width_px * 0.4), max(5, size // (1 + (line > 0))), ink
        )
    if rng.random() < 0.4:
        y1 = y0 + size * 7
        cv2.rectangle(found.pixels, (x0, y1), (x0 + size * 4, y1 + size * 3 // 2), random_colour(rng), -1)
    return found


SHOP: dict[str, Callable[[PictureShelf, Rng], Framed]] = {
    each.__name__: each for each in (device_pair, screen_alone, banner)
}
