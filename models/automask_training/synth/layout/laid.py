"""What is laid around or over a picture to present it: slides, windows of programs, panels, title plates, corners."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import (
    Framed,
    ink_for,
    letters,
    outer_shape,
    plain_colour,
    share_px,
    surrounded,
)
from automask_training.synth.layout.paints import Colour, Pixels, Rng, metal, painted, random_colour
from automask_training.synth.layout.sheet import Box, Sheet, plate


def ink_on(pixels: Pixels) -> Colour:
    """A colour that letters on these pixels can be read in."""
    red, green, blue = (int(v) for v in pixels.reshape(-1, 3).mean(axis=0))
    return ink_for((red, green, blue))


def lines_of_text(rng: Rng, pixels: Pixels, box: Box, *, head: bool) -> None:
    """Fill a box with a heading, lines of small letters, and a dot, a tick or an icon before each in some."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 24 or y1 - y0 < 12:
        return
    ink = random_colour(rng) if rng.random() < 0.2 else ink_on(pixels[y0:y1, x0:x1])
    size = max(4, min((y1 - y0) // int(rng.integers(4, 14)), (x1 - x0) // 8))
    y, icons = y0 + size // 2, rng.random() < 0.5
    if head:
        letters(rng, pixels, x0 + size, y, x1 - x0 - 2 * size, min(2 * size, (y1 - y0) // 3), ink)
        y += 4 * size
    step = round(size * rng.uniform(1.8, 4))
    accent = random_colour(rng)
    while y + size < y1:
        if rng.random() < 0.9:
            if icons:
                cv2.circle(pixels, (x0 + size, y + size // 2), max(2, size // 2), accent, -1, cv2.LINE_AA)
            wide = round((x1 - x0 - 4 * size) * rng.uniform(0.5, 1.0))
            letters(rng, pixels, x0 + (3 * size if icons else size), y, wide, size, ink)
        y += step


def slide(picture: Pixels, rng: Rng) -> Framed:
    """A slide of a talk: a title, points beside or below the picture, a coloured bar, a number."""
    title, foot = share_px(picture, rng, 0.12, 0.35), share_px(picture, rng, 0.02, 0.12)
    rim, column = share_px(picture, rng, 0.0, 0.1), share_px(picture, rng, 0.3, 1.1)
    left, right = (column, rim) if rng.random() < 0.4 else (rim, column)
    below = rng.random() < 0.2
    if below:
        left, right, foot = rim, rim, share_px(picture, rng, 0.2, 0.6)
    margins = (left, title, right, foot)
    size = outer_shape(picture, margins)
    sheet = painted(rng, *size) if rng.random() < 0.25 else np.full((*size, 3), plain_colour(rng), np.uint8)
    if rng.random() < 0.5:
        sheet[: title if rng.random() < 0.6 else max(3, title // 8)] = random_colour(rng)
    if rng.random() < 0.4:
        sheet[size[0] - max(3, foot // 2) :] = random_colour(rng)
    framed = surrounded(picture, margins, sheet)
    tall = max(6, round(title * rng.uniform(0.25, 0.5)))
    letters(rng, framed.pixels, max(8, rim), title // 5, size[1] * 3 // 4, tall, ink_on(sheet[:title]))
    if below:
        lines_of_text(rng, framed.pixels, (rim, size[0] - foot, size[1] - rim, size[0] - 4), head=False)
    else:
        x0, x1 = (0, left) if left > right else (size[1] - right, size[1])
        lines_of_text(rng, framed.pixels, (x0 + 4, title, x1 - 4, size[0] - foot), head=rng.random() < 0.3)
    return framed


def program_window(picture: Pixels, rng: Rng) -> Framed:
    """A picture in a browser, an editor or a player: a title bar with knobs, a field, side bars, tools, a time line."""
    bar = max(10, share_px(picture, rng, 0.04, 0.09))
    rows = int(rng.integers(1, 4))
    left = share_px(picture, rng, 0.05, 0.4) if rng.random() < 0.5 else 0
    right = share_px(picture, rng, 0.1, 0.45) if rng.random() < 0.35 else 0
    bottom = bar * int(rng.integers(0, 3))
    margins = (left, bar * rows, right, bottom)
    level = int(rng.choice([255, 240, 222, 60, 40, 24]))
    framed = surrounded(picture, margins, (level, level, min(255, level + 4)))
    canvas = framed.pixels
    height_px, width_px = framed.truth.shape
    ink, faint = ink_for((level,) * 3), (max(0, level - 30) if level > 128 else level + 35,) * 3
    for row in range(rows):
        y = row * bar
        if rng.random() < 0.6:
            canvas[y : y + bar] = random_colour(rng) if rng.random() < 0.2 else faint
        if row == 0:
            first = bar if rng.random() < 0.5 else width_px - 4 * bar
            for knob, colour in enumerate(((230, 90, 80), (240, 190, 70), (90, 190, 80))):
                centre = first + knob * bar, bar // 2
                cv2.circle(canvas, centre, bar // 4, colour if rng.random() < 0.7 else ink, -1, cv2.LINE_AA)
        elif rng.random() < 0.5:
            cv2.rectangle(canvas, (bar, y + bar // 5), (width_px - 2 * bar, y + bar * 4 // 5), (250, 250, 250), -1)
            letters(rng, canvas, 2 * bar, y + bar // 3, width_px // 3, max(4, bar // 3), (60, 60, 60))
        else:
            for x in range(bar, width_px - bar, round(bar * rng.uniform(1.1, 3))):
                cv2.rectangle(canvas, (x, y + bar // 4), (x + bar // 2, y + bar * 3 // 4), ink, -1 if x % 2 else 1)
    for x0, x1 in ((0, left), (width_px - right, width_px)):
        if x1 - x0 > 4 * bar:
            lines_of_text(rng, canvas, (x0, bar * rows, x1, height_px - bottom), head=rng.random() < 0.3)
        else:  # a column of tools
            for y in range(bar * rows + bar, height_px - bottom - bar, round(1.5 * bar)) if x1 - x0 > 8 else ():
                cv2.circle(canvas, ((x0 + x1) // 2, y), max(2, min(bar, x1 - x0) // 4), ink, int(rng.choice([-1, 1])))
    if bottom:
        y, end = height_px - bottom // 2, round(width_px * rng.uniform(0.2, 0.8))
        cv2.line(canvas, (bar, y), (width_px - bar, y), ink, 1)
        cv2.line(canvas, (bar, y), (end, y), (220, 40, 40), max(2, bar // 6))
    return framed


def product_panels(picture: Pixels, rng: Rng) -> Framed:
    """Coloured panels with headings, icons and lines of text on one or two sides of what is sold."""
    sides = [0, 0, 0, 0]
    for at in rng.permutation(4)[: int(rng.choice([1, 1, 2]))]:
        sides[int(at)] = share_px(picture, rng, 0.12, 0.7)
    left, top, right, bottom = sides
    height_px, width_px = outer_shape(picture, (left, top, right, bottom))
    framed = surrounded(picture, (left, top, right, bottom), plain_colour(rng))
    boxes: list[Box] = [(0, 0, left, height_px), (width_px - right, 0, width_px, height_px)]
    boxes += [(left, 0, width_px - right, top), (left, height_px - bottom, width_px - right, height_px)]
    for x0, y0, x1, y1 in boxes:
        if min(x1 - x0, y1 - y0) < 12:
            continue
        framed.pixels[y0:y1, x0:x1] = painted(rng, y1 - y0, x1 - x0) if rng.random() < 0.4 else plain_colour(rng)
        number = int(rng.integers(1, 5)) if rng.random() < 0.5 else 1
        down = y1 - y0 > x1 - x0
        for turn in range(number):
            first, last = turn / number, (turn + 1) / number
            cell = (x0, round(y0 + (y1 - y0) * first), x1, round(y0 + (y1 - y0) * last)) if down else (
                round(x0 + (x1 - x0) * first), y0, round(x0 + (x1 - x0) * last), y1)  # fmt: skip
            if number > 1 and rng.random() < 0.5:
                ground = random_colour(rng)
                cv2.rectangle(framed.pixels, (cell[0] + 2, cell[1] + 2), (cell[2] - 3, cell[3] - 3), ground, -1)
            lines_of_text(
                rng, framed.pixels, (cell[0] + 4, cell[1] + 4, cell[2] - 4, cell[3] - 4), head=rng.random() < 0.7
            )
    return framed


def titled_poster(picture: Pixels, rng: Rng) -> Framed:
    """A picture up to the rim, or in a border, with plates for title, names and small print over it."""
    height_px = int(rng.integers(380, 540))
    width_px = round(height_px * (rng.uniform(0.62, 0.8) if rng.random() < 0.7 else rng.uniform(1.0, 1.6)))
    sheet = Sheet(painted(rng, height_px, width_px))
    border = 0 if rng.random() < 0.5 else round(width_px * rng.uniform(0.01, 0.08))
    size = height_px - 2 * border, width_px - 2 * border
    box = (border, border, width_px - border, height_px - border)
    sheet.let_in(filled(picture, *size, rng), box, np.full(size, 255, np.uint8))
    for _ in range(int(rng.choice([1, 2, 2, 3]))):
        tall = round(height_px * rng.uniform(0.05, 0.28))
        y = round((height_px - tall) * float(rng.choice([0.0, 0.04, 0.1, 0.5, 0.75, 0.9, 0.96, 1.0])))
        inset = 0 if rng.random() < 0.5 else round(width_px * rng.uniform(0.02, 0.25))
        opacity = 1.0 if rng.random() < 0.75 else rng.uniform(0.6, 0.95)
        plate(rng, sheet, (inset, y, width_px - inset, y + tall), lines=int(rng.integers(1, 5)), opacity=opacity)
    return sheet.framed()


def corner_ornaments(picture: Pixels, rng: Rng) -> Framed:
    """Nothing but one, two or four corners decorated: angles, triangles, fans, scrolls, ribbons, photo corners."""
    sheet = Sheet(picture)
    sheet.frame[:] = 0
    height_px, width_px = sheet.size_px
    size = min(share_px(picture, rng, 0.1, 0.32), height_px // 2, width_px // 2)
    shape = _ornament(rng, size)
    paint = metal(rng, size, size) if rng.random() < 0.35 else painted(rng, size, size)
    inset = 0 if rng.random() < 0.6 else share_px(picture, rng, 0.01, 0.05)
    four = (False, False), (True, False), (False, True), (True, True)
    chosen = four if rng.random() < 0.5 else [four[int(at)] for at in rng.permutation(4)[: int(rng.integers(1, 3))]]
    for right, low in chosen:
        own, colours = (
            shape[:: -1 if low else 1, :: -1 if right else 1],
            paint[:: -1 if low else 1, :: -1 if right else 1],
        )
        x = max(0, width_px - size - inset) if right else min(inset, width_px - size)
        y = max(0, height_px - size - inset) if low else min(inset, height_px - size)
        if rng.random() < 0.5:
            rim = cv2.dilate(own, np.ones((3, 3), np.uint8))
            sheet.cover((15, 15, 15), rim, (x, y, x + size, y + size))
        sheet.cover(colours, np.ascontiguousarray(own), (x, y, x + size, y + size))
    return sheet.framed()


def _ornament(rng: Rng, size: int) -> Pixels:
    """The ornament of an upper left corner, (size, size), 255 where it is."""
    shape = np.zeros((size, size), np.uint8)
    which, last = int(rng.integers(6)), size - 1
    thick = max(2, round(size * rng.uniform(0.08, 0.3)))
    if which == 0:  # an angle, sometimes doubled
        shape[:thick] = shape[:, :thick] = 255
        if rng.random() < 0.5:
            shape[thick // 3 : thick // 3 + max(1, thick // 4), thick // 3 :] = 0
    elif which == 1:  # a photo corner
        cv2.fillPoly(shape, [np.array([(0, 0), (last, 0), (0, last)])], 255, cv2.LINE_AA)
    elif which == 2:  # a fan
        cv2.circle(shape, (0, 0), last, 255, -1, cv2.LINE_AA)
        for radius in range(thick, last, 2 * thick) if rng.random() < 0.6 else ():
            cv2.circle(shape, (0, 0), radius, 0, max(1, thick // 3))
    elif which == 3:  # a ribbon across
        points = [(last * 2 // 5, 0), (last, 0), (0, last), (0, last * 2 // 5)]
        cv2.fillPoly(shape, [np.array(points)], 255, cv2.LINE_AA)
    elif which == 4:  # scrolls along both sides
        radius = max(3, size // int(rng.integers(4, 8)))
        for turn in range(1, 4):
            at = round(turn * size / 4)
            for centre in ((at, radius), (radius, at)):
                cv2.ellipse(
                    shape, centre, (radius, radius), float(rng.uniform(0, 360)), 0, 300, 255, max(2, thick // 3)
                )
        cv2.circle(shape, (radius, radius), radius, 255, -1, cv2.LINE_AA)
    else:  # leaves from the corner
        for angle in np.linspace(0, np.pi / 2, int(rng.integers(2, 6))):
            length = size * rng.uniform(0.3, 0.5)
            centre = round(length * np.cos(angle)), round(length * np.sin(angle))
            axes = max(2, round(length)), max(2, thick // 2)
            cv2.ellipse(shape, centre, axes, float(np.degrees(angle)), 0, 360, 255, -1, cv2.LINE_AA)
    return shape


LAID: dict[str, Callable[[Pixels, Rng], Framed]] = {
    each.__name__: each for each in (slide, program_window, product_panels, titled_poster, corner_ornaments)
}
