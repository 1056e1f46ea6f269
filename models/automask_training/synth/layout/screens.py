"""Screens that are things in a scene: televisions in rooms, tablets in hands, consoles. They have no frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed
from automask_training.synth.layout.isolated import device, fallen, on_ground, placed, plain_ground, scaled
from automask_training.synth.layout.paints import Pixels, Rng, gradient, marble, painted, paper, random_colour, texture
from automask_training.synth.layout.pictures import PictureShelf
from automask_training.synth.layout.plain_pictures import unframed
from automask_training.synth.layout.sheet import rounded
from automask_training.synth.layout.shop import case, large_screen, lit_screen, telephone, turned


def _room(shelf: PictureShelf, rng: Rng) -> Pixels:
    """A wall above a floor or a table top, or a blurred photograph of a place, often dim."""
    height_px = int(rng.integers(260, 440))
    width_px = round(height_px * rng.uniform(0.8, 1.7))
    if rng.random() < 0.3:
        place = filled(shelf.picture(rng), height_px, width_px, rng)
        return np.asarray(cv2.GaussianBlur(place, (0, 0), float(rng.uniform(2, 12))))
    wall = (gradient, marble, paper, texture)[int(rng.integers(4))](rng, height_px, width_px)
    floor = round(height_px * rng.uniform(0.6, 0.95))
    wall[floor:] = painted(rng, height_px - floor, width_px)
    light = np.linspace(rng.uniform(0.3, 1.0), rng.uniform(0.5, 1.0), width_px)[None, :, None]
    return (wall * light).astype(np.uint8)


def _furniture(rng: Rng, room: Pixels, x0: int, x1: int, y: int) -> None:
    """A board below a screen, and lamps, boxes and pots beside it."""
    height_px, width_px = room.shape[:2]
    if y < height_px - 8 and rng.random() < 0.7:
        reach = round((x1 - x0) * rng.uniform(-0.1, 0.4))
        low = min(height_px, y + int(rng.integers(6, 90)))
        left, right = max(0, x0 - reach), min(width_px, x1 + reach)
        room[y:low, left:right] = texture(rng, low - y, right - left)
    for _ in range(int(rng.integers(0, 5))):
        broad, tall = (int(v) for v in rng.integers(10, 70, 2))
        x = (
            int(rng.integers(0, max(1, x0)))
            if rng.random() < 0.5
            else int(rng.integers(min(x1, width_px - 1), width_px))
        )
        corners = (x - broad // 2, y - tall), (x + broad // 2, y)
        if rng.random() < 0.5:
            cv2.rectangle(room, *corners, random_colour(rng), -1)
        else:
            cv2.ellipse(
                room, (x, y - tall // 2), (broad // 2, tall // 2), 0, 0, 360, random_colour(rng), -1, cv2.LINE_AA
            )


def _seen(rng: Rng, own: Pixels) -> Pixels:
    """A flat thing (h, w, 4) seen from a little beside."""
    height_px, width_px = own.shape[:2]
    corners = np.array([[0, 0], [width_px, 0], [width_px, height_px], [0, height_px]], np.float32)
    inward = rng.uniform(0, 0.12, (4, 2)).astype(np.float32) * (width_px, height_px)
    moved = corners + inward * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return np.asarray(cv2.warpPerspective(own, warp, (width_px, height_px), flags=cv2.INTER_LINEAR))


def screen_in_room(shelf: PictureShelf, rng: Rng) -> Framed:
    """A television or a monitor that shows a picture, in a room, straight on or from beside."""
    room = _room(shelf, rng)
    height_px, width_px = room.shape[:2]
    own = large_screen(shelf, rng)
    own = _seen(rng, own) if rng.random() < 0.3 else own
    own = scaled(own, rng.uniform(0.4, 0.88) * min(height_px / own.shape[0], width_px / own.shape[1]))
    x = round((width_px - own.shape[1]) * rng.uniform(0.2, 0.8))
    y = round((height_px - own.shape[0]) * rng.uniform(0.1, 0.8))
    _furniture(rng, room, x, x + own.shape[1], y + own.shape[0])
    canvas = room.astype(np.float32)
    if rng.random() < 0.4:  # the wall behind it shines
        glow = np.zeros((height_px, width_px), np.float32)
        glow[max(0, y) : y + own.shape[0], max(0, x) : x + own.shape[1]] = rng.uniform(0.2, 0.8)
        canvas += cv2.GaussianBlur(glow, (0, 0), height_px / 12)[..., None] * 90
    placed(canvas, np.zeros((height_px, width_px), np.float32), own, x, y)
    return unframed(np.clip(canvas, 0, 255).astype(np.uint8))


def device_in_scene(shelf: PictureShelf, rng: Rng) -> Framed:
    """A telephone or a tablet on a table, before a blurred place or in a hand."""
    room = _room(shelf, rng)
    height_px, width_px = room.shape[:2]
    own = telephone(shelf, rng, front=True) if rng.random() < 0.5 else device(shelf, rng)
    own = turned(own, float(rng.normal(0, 15))) if rng.random() < 0.4 else own
    own = scaled(own, rng.uniform(0.45, 1.0) * min(height_px / own.shape[0], width_px / own.shape[1]))
    x, y = (round((free - length) * rng.uniform(0.2, 0.8)) for free, length in zip((width_px, height_px),
            (own.shape[1], own.shape[0]), strict=True))  # fmt: skip
    canvas, covered = room.astype(np.float32), np.zeros((height_px, width_px), np.float32)
    fallen(rng, canvas, own, x, y)
    placed(canvas, covered, own, x, y)
    found = unframed(np.clip(canvas, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:  # fingers over its rim
        skin = np.clip(np.array((224, 172, 135)) * rng.uniform(0.35, 1.1), 0, 255)
        colour = (int(skin[0]), int(skin[1]), int(skin[2]))
        for side in (x, x + own.shape[1]):
            for turn in range(int(rng.integers(1, 5))):
                centre = side, y + round(own.shape[0] * (0.45 + 0.13 * turn))
                axes = max(3, own.shape[1] // 8), max(3, own.shape[0] // 22)
                cv2.ellipse(found.pixels, centre, axes, float(rng.normal(0, 20)), 0, 360, colour, -1, cv2.LINE_AA)
    return found


def console(shelf: PictureShelf, rng: Rng) -> Pixels:
    """A handheld player: a lit screen between or above its knobs, (H, W, 4)."""
    broad = rng.random() < 0.6
    height_px, width_px = (int(rng.integers(170, 230)), 420) if broad else (420, int(rng.integers(230, 280)))
    body = case(rng, height_px, width_px)
    side, end = (round(width_px * rng.uniform(0.14, 0.26)), int(rng.integers(6, 26))) if broad else (
        int(rng.integers(12, 40)), int(rng.integers(14, 40)))  # fmt: skip
    low = height_px - end if broad else round(height_px * rng.uniform(0.45, 0.6))
    screen = np.ascontiguousarray(body[end:low, side : width_px - side])
    lit_screen(shelf, rng, screen, side_px=int(rng.integers(1, 8)), end_px=int(rng.integers(1, 8)))
    body[end:low, side : width_px - side] = screen
    places = ((side // 2, height_px // 2), (width_px - side // 2, height_px // 2)) if broad else (
        (width_px // 4, (low + height_px) // 2), (width_px * 3 // 4, (low + height_px) // 2))  # fmt: skip
    size = max(4, (side if broad else width_px // 3) // 4)
    for (x, y), cross in zip(places, (True, False), strict=True):
        colour = random_colour(rng)
        if cross:
            cv2.rectangle(body, (x - size, y - size // 3), (x + size, y + size // 3), colour, -1)
            cv2.rectangle(body, (x - size // 3, y - size), (x + size // 3, y + size), colour, -1)
        else:
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1))[: int(rng.integers(1, 5))]:
                cv2.circle(body, (x + dx * size, y + dy * size), max(2, size // 2), colour, -1, cv2.LINE_AA)
    return np.dstack([body, rounded(height_px, width_px, int(rng.integers(6, height_px // 3)))])


def console_alone(shelf: PictureShelf, rng: Rng) -> Framed:
    """A handheld player on a plain ground or in a scene."""
    plain = rng.random() < 0.6
    canvas = plain_ground(rng, *(int(v) for v in rng.integers(240, 460, 2))) if plain else (
        _room(shelf, rng).astype(np.float32))  # fmt: skip
    covered = np.zeros(canvas.shape[:2], np.float32)
    own = console(shelf, rng)
    own = turned(own, float(rng.normal(0, 15))) if rng.random() < 0.3 else own
    height_px, width_px = canvas.shape[:2]
    own = scaled(own, rng.uniform(0.5, 0.98) * min(height_px / own.shape[0], width_px / own.shape[1]))
    x, y = (width_px - own.shape[1]) // 2, round((height_px - own.shape[0]) * rng.uniform(0.3, 0.7))
    fallen(rng, canvas, own, x, y)
    placed(canvas, covered, own, x, y)
    return on_ground(canvas, covered) if plain else unframed(np.clip(canvas, 0, 255).astype(np.uint8))


SCREENS: dict[str, Callable[[PictureShelf, Rng], Framed]] = {
    each.__name__: each for each in (screen_in_room, device_in_scene, console_alone)
}
