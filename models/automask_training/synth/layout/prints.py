"""Prints and drawings on their sheets: the margin has the colour of the paper that shows in the picture, too."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.drawings import redrawn
from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed, letters, share_px, surrounded
from automask_training.synth.layout.paints import Pixels, Rng, clouds, painted, paper, random_colour, texture
from automask_training.synth.layout.sheet import torn


def _margins(picture: Pixels, rng: Rng) -> tuple[int, int, int, int]:
    """Margins of a sheet: the same all around, the same on opposite sides, or more below."""
    if rng.random() < 0.5:
        return (share_px(picture, rng, 0.015, 0.14),) * 4
    across, down = share_px(picture, rng, 0.015, 0.14), share_px(picture, rng, 0.015, 0.14)
    return across, down, across, round(down * rng.uniform(1.0, 1.6))


def _key_line(rng: Rng, framed: Framed, margins: tuple[int, int, int, int]) -> None:
    """Draw by hand around the picture: a line that wavers; it belongs to the picture."""
    left, top, right, bottom = margins
    height_px, width_px = framed.truth.shape
    corners = np.array([[left, top], [width_px - right, top], [width_px - right, height_px - bottom],
                        [left, height_px - bottom]], np.float32)  # fmt: skip
    thick, waver = int(rng.integers(1, 5)), rng.uniform(0, 1.6)
    colour = (15, 15, 18) if rng.random() < 0.8 else random_colour(rng)
    for first, last in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = max(2, int(np.hypot(*(last - first)) / 14))
        points = first + np.linspace(0, 1, steps)[:, None] * (last - first) + rng.normal(0, waver, (steps, 2))
        cv2.polylines(framed.pixels, [points.round().astype(np.int32)], False, colour, thick, cv2.LINE_AA)


def _ragged(rng: Rng, framed: Framed, margins: tuple[int, int, int, int], sheet: Pixels) -> None:
    """Let the picture end in strokes rather than at a line."""
    left, top, right, bottom = margins
    height_px, width_px = framed.truth.shape
    inner = np.s_[top : height_px - bottom, left : width_px - right]
    hole = torn(rng, height_px - top - bottom, width_px - left - right, rng.uniform(0.002, 0.02)) < 128
    framed.pixels[inner][hole] = sheet[inner][hole]
    framed.truth[inner][hole] = 255


def drawing_on_paper(picture: Pixels, rng: Rng) -> Framed:
    """Pencil, ink or wash on paper that shows through it; around it the same paper."""
    margins = _margins(picture, rng)
    left, top, right, bottom = margins
    size = picture.shape[0] + top + bottom, picture.shape[1] + left + right
    sheet = paper(rng, *size)
    drawn = redrawn(rng, np.ascontiguousarray(picture)).astype(np.float32)
    own = sheet[top : size[0] - bottom, left : size[1] - right].astype(np.float32)
    strokes = np.clip(rng.uniform(0.5, 1.0) + rng.uniform(0, 0.35) * rng.normal(0, 1, own.shape[:2]), 0, 1)[..., None]
    mixed = own * drawn / 255 if rng.random() < 0.6 else own * (1 - strokes) + drawn * strokes
    framed = surrounded(np.clip(mixed, 0, 255).astype(np.uint8), margins, sheet)
    return _finished(rng, framed, margins, sheet, ragged=0.5, key_line=0.7)


def screen_print(picture: Pixels, rng: Rng) -> Framed:
    """Two to five inks on coloured paper, the margin bare or printed with one of them, lettering in the picture."""
    margins = _margins(picture, rng)
    left, top, right, bottom = margins
    size = picture.shape[0] + top + bottom, picture.shape[1] + left + right
    inks = np.array([random_colour(rng) for _ in range(int(rng.integers(2, 6)))], np.float32)
    inks[0] = np.array((235, 230, 215)) if rng.random() < 0.4 else inks[0]
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), float(rng.uniform(0.6, 2.5)))
    order = np.argsort(np.argsort(grey, axis=None), axis=None).reshape(grey.shape) / grey.size
    printed = inks[np.minimum((order * len(inks)).astype(int), len(inks) - 1)].astype(np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        tall = max(8, round(picture.shape[0] * rng.uniform(0.04, 0.2)))
        x, y = int(rng.integers(0, picture.shape[1] // 3)), int(rng.integers(0, max(1, picture.shape[0] - 2 * tall)))
        colour = inks[int(rng.integers(len(inks)))]
        letters(rng, printed, x, y, picture.shape[1] - x, tall, (int(colour[0]), int(colour[1]), int(colour[2])))
    margin = inks[int(rng.integers(len(inks)))]
    worn = 1 + rng.uniform(0, 0.12) * (clouds(rng, *size)[..., None] - 0.5)
    sheet = np.clip(margin * worn + rng.normal(0, rng.uniform(0, 4), (*size, 1)), 0, 255).astype(np.uint8)
    framed = surrounded(printed, margins, sheet)
    return _finished(rng, framed, margins, sheet, ragged=0.6, key_line=0.3)


def _finished(
    rng: Rng, framed: Framed, margins: tuple[int, int, int, int], sheet: Pixels, *, ragged: float, key_line: float
) -> Framed:
    """With a ragged edge and a key line, each in some, and number and name below the picture in others."""
    if rng.random() < ragged:
        _ragged(rng, framed, margins, sheet)
    if rng.random() < key_line:
        _key_line(rng, framed, margins)
    bottom_px = margins[3]
    height_px, width_px = framed.truth.shape
    if bottom_px > 14 and rng.random() < 0.35:
        tall = max(5, bottom_px // 4)
        x = int(rng.integers(width_px // 10, width_px // 2))
        letters(rng, framed.pixels, x, height_px - bottom_px + tall, width_px // 3, tall, (70, 70, 75))
    return framed


def sheet_on_table(picture: Pixels, rng: Rng) -> Framed:
    """A map or a letter with torn edges that lies on wood or cloth: a scene, its table is no frame."""
    height_px, width_px = picture.shape[:2]
    broad = [share_px(picture, rng, 0.01, 0.14) for _ in range(4)]
    size = height_px + broad[1] + broad[3], width_px + broad[0] + broad[2]
    table = texture(rng, *size) if rng.random() < 0.6 else painted(rng, *size)
    table = (table * rng.uniform(0.15, 0.7)).astype(np.uint8)
    shape = np.zeros(size, np.uint8)
    inner = np.s_[broad[1] : size[0] - broad[3], broad[0] : size[1] - broad[2]]
    shape[inner] = torn(rng, height_px, width_px, rng.uniform(0.01, 0.07))
    land = _parchment(rng, picture)
    pixels = np.where(shape[..., None] > 0, filled(land, *size, rng), table)
    dark = cv2.GaussianBlur(shape.astype(np.float32) / 255, (0, 0), 4)[..., None]
    burnt = np.where(shape[..., None] > 0, 0.45 + 0.55 * np.clip(dark * 1.3 - 0.2, 0, 1), 1.0)
    return Framed((pixels * burnt).astype(np.uint8), np.zeros(size, np.uint8))


def _parchment(rng: Rng, picture: Pixels) -> Pixels:
    """Land and water in browns on parchment, with names."""
    height_px, width_px = picture.shape[:2]
    height = clouds(rng, height_px, width_px)
    tint = np.array((225, 200, 150), np.float32) * rng.uniform(0.7, 1.05) + rng.uniform(-15, 15, 3)
    land: NDArray[np.float32] = tint * (0.75 + 0.3 * height[..., None])
    sea = height < rng.uniform(0.2, 0.5)
    land[sea] = land[sea] * rng.uniform(0.6, 1.1) + rng.uniform(-20, 20, 3)
    coast = cv2.morphologyEx(sea.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    land[coast] *= 0.4
    if rng.random() < 0.5:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
        land = land * (0.6 + 0.4 * grey / 255)
    sheet = np.clip(land, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 10))):
        x, y = int(rng.integers(width_px * 3 // 4)), int(rng.integers(max(1, height_px - 24)))
        letters(rng, sheet, x, y, width_px // 4, int(rng.integers(6, 16)), (60, 35, 20))
    return sheet


PRINTS: dict[str, Callable[[Pixels, Rng], Framed]] = {each.__name__: each for each in (drawing_on_paper, screen_print)}
