"""Pictures that hang, are printed, mounted or shown on a screen: what is around them belongs to no picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.drawings import redrawn
from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed, ink_for, letters, share_px, surrounded
from automask_training.synth.layout.paints import (
    Pixels,
    Rng,
    clouds,
    gradient,
    marble,
    metal,
    painted,
    paper,
    random_colour,
    texture,
)
from automask_training.synth.layout.sheet import rounded, torn


def framed_original(picture: Pixels, rng: Rng) -> Framed:
    """A picture in mat and moulding on a wall, which fills most of the photograph."""
    mat = share_px(picture, rng, 0.0, 0.18) if rng.random() < 0.75 else 0
    framed = picture
    if mat:
        height_px, width_px = framed.shape[0] + 2 * mat, framed.shape[1] + 2 * mat
        framed = surrounded(framed, (mat,) * 4, paper(rng, height_px, width_px)).pixels
    moulding = share_px(picture, rng, 0.015, 0.12)
    height_px, width_px = framed.shape[0] + 2 * moulding, framed.shape[1] + 2 * moulding
    paint = (metal, texture, painted)[int(rng.integers(3))](rng, height_px, width_px).astype(np.float32)
    paint[:moulding] *= rng.uniform(0.9, 1.25)  # lit from above
    paint[-moulding:] *= rng.uniform(0.6, 1.0)
    framed = surrounded(framed, (moulding,) * 4, np.clip(paint, 0, 255).astype(np.uint8)).pixels
    wall = [share_px(picture, rng, 0.0, 0.25) if rng.random() < 0.8 else 0 for _ in range(4)]
    left, top, right, bottom = wall
    height_px, width_px = framed.shape[0] + top + bottom, framed.shape[1] + left + right
    ground = (gradient, marble, paper, texture)[int(rng.integers(4))](rng, height_px, width_px)
    shadow = np.zeros((height_px, width_px), np.float32)
    drop = max(1, moulding // 2)
    shadow[top + drop : top + drop + framed.shape[0], left + drop : left + drop + framed.shape[1]] = 1
    dark = 1 - rng.uniform(0, 0.6) * cv2.GaussianBlur(shadow, (0, 0), 1 + drop / 2)[..., None]
    hung = surrounded(framed, (left, top, right, bottom), (ground * dark).astype(np.uint8))
    truth = np.full((height_px, width_px), 255, np.uint8)
    inset = mat + moulding
    truth[top + inset : height_px - bottom - inset, left + inset : width_px - right - inset] = 0
    return _askew(Framed(hung.pixels, truth), rng) if rng.random() < 0.4 else Framed(hung.pixels, truth)


def _askew(framed: Framed, rng: Rng) -> Framed:
    """Photographed from a little beside, or turned a little."""
    height_px, width_px = framed.truth.shape
    corners = np.array([[0, 0], [width_px, 0], [width_px, height_px], [0, height_px]], np.float32)
    moved = corners + rng.uniform(-0.03, 0.03, (4, 2)).astype(np.float32) * min(height_px, width_px)
    warp = cv2.getPerspectiveTransform(corners, moved)
    size = (width_px, height_px)
    pixels = cv2.warpPerspective(framed.pixels, warp, size, borderMode=cv2.BORDER_REPLICATE)
    truth = cv2.warpPerspective(framed.truth, warp, size, borderValue=255)
    return Framed(pixels, np.where(truth > 127, 255, 0).astype(np.uint8))


def paper_print(picture: Pixels, rng: Rng) -> Framed:
    """A print or a drawing with the margins of its paper, its edge straight or ragged, a number or a name below it."""
    if rng.random() < 0.6:
        picture = redrawn(rng, np.ascontiguousarray(picture))
    margins = [share_px(picture, rng, 0.015, 0.16) for _ in range(4)]
    if rng.random() < 0.6:
        margins = [margins[0], margins[1], margins[0], margins[1] + margins[3] // 2]
    left, top, right, bottom = margins
    height_px, width_px = picture.shape[0] + top + bottom, picture.shape[1] + left + right
    sheet = paper(rng, height_px, width_px) if rng.random() < 0.7 else marble(rng, height_px, width_px)
    framed = surrounded(picture, (left, top, right, bottom), sheet)
    if rng.random() < 0.5:
        hole = torn(rng, picture.shape[0], picture.shape[1], rng.uniform(0.003, 0.03)) < 128
        place = np.s_[top : top + picture.shape[0], left : left + picture.shape[1]]
        framed.pixels[place][hole] = sheet[place][hole]
        framed.truth[place][hole] = 255
    if rng.random() < 0.5:
        tall = max(5, bottom // 4)
        letters(rng, framed.pixels, left, height_px - bottom + tall, picture.shape[1] // 3, tall, (70, 70, 75))
    if rng.random() < 0.3:  # and that on something else
        broad = share_px(picture, rng, 0.01, 0.1)
        size = (height_px + 2 * broad, width_px + 2 * broad)
        around = surrounded(framed.pixels, (broad,) * 4, painted(rng, *size))
        around.truth[broad:-broad, broad:-broad] = framed.truth
        return around
    return framed


def torn_edge(picture: Pixels, rng: Rng) -> Framed:
    """A picture whose own edge is torn, deckled or perforated on a ground."""
    height_px, width_px = picture.shape[:2]
    broad = share_px(picture, rng, 0.01, 0.08)
    size = (height_px + 2 * broad, width_px + 2 * broad)
    hole = np.zeros(size, np.uint8)
    hole[broad:-broad, broad:-broad] = torn(rng, height_px, width_px, rng.uniform(0.01, 0.06))
    ground = painted(rng, *size)
    art = filled(picture, *size, rng)
    return Framed(np.where(hole[..., None] > 0, art, ground), 255 - hole)


def polaroid_on_ground(picture: Pixels, rng: Rng) -> Framed:
    """An instant photograph, turned a little, on a table or a wall."""
    side = share_px(picture, rng, 0.03, 0.08)
    bottom = round(side * rng.uniform(2.0, 4.5))
    photograph = surrounded(picture, (side, side, side, bottom), (247, 246, 240))
    if rng.random() < 0.5:
        tall = max(6, bottom // 3)
        at = photograph.pixels.shape[0] - bottom + tall
        letters(rng, photograph.pixels, 2 * side, at, picture.shape[1] // 2, tall, (50, 40, 90))
    broad = share_px(picture, rng, 0.05, 0.25)
    height_px, width_px = (length + 2 * broad for length in photograph.truth.shape)
    ground = painted(rng, height_px, width_px)
    turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), float(rng.normal(0, 4)), 1.0)
    shape = np.zeros((height_px, width_px), np.uint8)
    shape[broad:-broad, broad:-broad] = 255
    grown = [
        cv2.copyMakeBorder(each, broad, broad, broad, broad, cv2.BORDER_CONSTANT)
        for each in (photograph.pixels, photograph.truth)
    ]
    pixels, truth, shape = (cv2.warpAffine(each, turn, (width_px, height_px)) for each in (*grown, shape))
    on = shape > 127
    pixels = np.where(on[..., None], pixels, ground)
    return Framed(pixels, np.where(on & (truth < 128), 0, 255).astype(np.uint8))


def slide_mount(picture: Pixels, rng: Rng) -> Framed:
    """A slide in its mount, with round corners and a note."""
    broad, level = share_px(picture, rng, 0.12, 0.35), int(rng.choice([250, 225, 60, 15]))
    framed = surrounded(picture, (broad,) * 4, (level, level, max(0, level - int(rng.integers(0, 20)))))
    hole = rounded(picture.shape[0], picture.shape[1], share_px(picture, rng, 0.02, 0.1)) < 128
    inner = np.s_[broad:-broad, broad:-broad]
    framed.pixels[inner][hole] = level
    framed.truth[inner][hole] = 255
    letters(rng, framed.pixels, broad, broad // 4, picture.shape[1] // 2, max(6, broad // 4), ink_for((level,) * 3))
    return framed


def film_strip(picture: Pixels, rng: Rng) -> Framed:
    """A frame of a film between its rows of holes."""
    bar = share_px(picture, rng, 0.1, 0.22)
    framed = surrounded(picture, (max(2, bar // 6), bar, max(2, bar // 6), bar), (18, 15, 14))
    height_px, width_px = framed.truth.shape
    size = max(3, bar // 3)
    for x in range(size, width_px - size, round(size * rng.uniform(1.6, 2.4))):
        for y in (bar // 3, height_px - 2 * bar // 3):
            cv2.rectangle(framed.pixels, (x, y), (x + size, y + size), (235, 232, 225), -1)
    return framed


def poster(picture: Pixels, rng: Rng) -> Framed:
    """A picture and blocks of lettering above or below it."""
    margins = [share_px(picture, rng, 0.0, 0.06)] * 4
    for end in (1, 3):
        if rng.random() < 0.7:
            margins[end] = share_px(picture, rng, 0.1, 0.5)
    left, top, right, bottom = margins
    height_px, width_px = picture.shape[0] + top + bottom, picture.shape[1] + left + right
    sheet = painted(rng, height_px, width_px)
    framed = surrounded(picture, (left, top, right, bottom), sheet)
    red, green, blue = (int(v) for v in sheet.reshape(-1, 3).mean(axis=0))
    for first, tall in ((0, top), (height_px - bottom, bottom)):
        lines = int(rng.integers(1, 4))
        for line in range(lines if tall > 24 else 0):
            y = first + tall * (2 * line + 1) // (2 * lines + 1)
            letters(rng, framed.pixels, width_px // 12, y, width_px * 5 // 6, tall // (2 * lines + 1),
                    ink_for((red, green, blue)))  # fmt: skip
    return framed


def app_screen(picture: Pixels, rng: Rng) -> Framed:
    """A picture in the window of a program: bars, rows of buttons, a list below or beside it."""
    top, bottom = share_px(picture, rng, 0.05, 0.25), share_px(picture, rng, 0.05, 0.5)
    side = share_px(picture, rng, 0.08, 0.4) if rng.random() < 0.3 else 0
    left, right = (side, 0) if rng.random() < 0.5 else (0, side)
    level = int(rng.choice([255, 245, 30, 18]))
    framed = surrounded(picture, (left, top, right, bottom), (level, level, min(255, level + 3)))
    height_px, width_px = framed.truth.shape
    ink, faint = ink_for((level,) * 3), (128 + level // 3,) * 3
    row = max(8, top // 3)
    for first, last in ((0, top), (height_px - bottom, height_px)):
        for y in range(first + row // 3, last - row, row * 3 // 2):
            if rng.random() < 0.6:
                letters(rng, framed.pixels, row, y, round(width_px * rng.uniform(0.2, 0.8)), row // 2, ink)
            else:
                for x in range(row, width_px - row, round(row * rng.uniform(2, 6))):
                    cv2.circle(framed.pixels, (x, y + row // 2), row // 3, faint if rng.random() < 0.6 else ink, -1)
    for y in range(top + row, height_px - bottom - row, 2 * row) if side > 3 * row else ():
        x = row // 2 if left else width_px - right + row // 2
        letters(rng, framed.pixels, x, y, side - row, row // 2, ink)
    return framed


def dark_bars(picture: Pixels, rng: Rng) -> Framed:
    """Bars of grey 0 to 24 beside a dark picture, all but lost in it."""
    dark = (picture * rng.uniform(0.12, 0.6)).astype(np.uint8)
    grey = int(rng.integers(0, 25))
    bar = share_px(picture, rng, 0.03, 0.3)
    other = bar if rng.random() < 0.8 else share_px(picture, rng, 0.03, 0.3)
    margins = (0, bar, 0, other) if rng.random() < 0.6 else (bar, 0, other, 0)
    framed = surrounded(dark, margins, (grey, grey, grey))
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(0.3, 2), framed.pixels.shape)
        return Framed(np.clip(framed.pixels + noise, 0, 255).astype(np.uint8), framed.truth)
    return framed


def cloudy_border(picture: Pixels, rng: Rng) -> Framed:
    """A broad border of paint on all sides that ends at a line, of any share of the image."""
    broad = [share_px(picture, rng, 0.02, 0.25)] * 4
    if rng.random() < 0.4:
        broad = [share_px(picture, rng, 0.02, 0.3) for _ in range(4)]
    size = picture.shape[0] + broad[1] + broad[3], picture.shape[1] + broad[0] + broad[2]
    sheet = painted(rng, *size)
    if rng.random() < 0.3:
        sheet = (sheet * (0.6 + 0.4 * clouds(rng, *size)[..., None])).astype(np.uint8)
    framed = surrounded(picture, (broad[0], broad[1], broad[2], broad[3]), sheet)
    if rng.random() < 0.4:
        x, y = broad[0], broad[1]
        corner = (x + picture.shape[1] - 1, y + picture.shape[0] - 1)
        cv2.rectangle(framed.pixels, (x, y), corner, random_colour(rng), int(rng.integers(1, 4)))
    return framed


MOUNTS: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each
    for each in (
        framed_original,
        paper_print,
        torn_edge,
        polaroid_on_ground,
        slide_mount,
        film_strip,
        poster,
        app_screen,
        dark_bars,
        cloudy_border,
    )
}
