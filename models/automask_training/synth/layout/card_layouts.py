"""Cards of a random grammar: border, body, window, plates, stones and lettering at random places, painted at random.

No game is copied. What is common to cards is drawn: a body whose paint goes on below the window, a title above or over
the picture, plates over pictures that fill the card, foil, dark and gold frames, worn edges, a table around the card.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import Framed, ink_for
from automask_training.synth.layout.paints import Pixels, Rng, foil, metal, painted, random_colour
from automask_training.synth.layout.sheet import Box, Sheet, gem, plate, rounded, window_shape

_HEIGHT_PX = (360, 560)
_ASPECT = (0.6, 0.8)


def grammar_card(picture: Pixels, rng: Rng) -> Framed:
    """A card of a random layout."""
    height_px = int(rng.integers(*_HEIGHT_PX))
    width_px = round(height_px * (rng.uniform(*_ASPECT) if rng.random() < 0.85 else rng.uniform(0.8, 1.6)))
    sheet = Sheet(_body(rng, picture, height_px, width_px))
    border = _border(rng, sheet) if rng.random() < 0.75 else 0
    draw = _LAYOUTS[int(rng.choice(len(_LAYOUTS), p=(0.56, 0.26, 0.06, 0.06, 0.06)))]
    windows = draw(rng, sheet, picture, border)
    if rng.random() < 0.7:
        sheet.outline(rng, int(rng.integers(1, 1 + max(2, height_px // 70))))
    _dress(rng, sheet, windows, border)
    return _on_table(rng, _worn(rng, sheet.framed()), picture)


def _body(rng: Rng, picture: Pixels, height_px: int, width_px: int) -> Pixels:
    """Paint of the whole card: often in the colours of the picture, sometimes of two halves."""
    body = painted(rng, height_px, width_px)
    if rng.random() < 0.25:
        mean = picture.reshape(-1, 3).mean(axis=0)
        body = (body.astype(np.float32) * 0.35 + mean * rng.uniform(0.4, 0.9)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        body = (body * rng.uniform(0.1, 0.5)).astype(np.uint8)
    if rng.random() < 0.15:
        at = round(height_px * rng.uniform(0.4, 0.7))
        body[at:] = painted(rng, height_px - at, width_px)
    return body


def _border(rng: Rng, sheet: Sheet) -> int:
    """An outer border of another paint, often with a line; returns its width."""
    height_px, width_px = sheet.size_px
    border = max(2, round(width_px * rng.uniform(0.012, 0.07)))
    which = rng.random()
    colour = (12, 12, 14) if which < 0.35 else (250, 250, 250) if which < 0.5 else random_colour(rng)
    paint = metal(rng, height_px, width_px) if which > 0.8 else np.full_like(sheet.pixels, colour)
    radius = round(width_px * rng.uniform(0.0, 0.06))
    hole = rounded(height_px - 2 * border, width_px - 2 * border, radius)
    inner = np.zeros((height_px, width_px), np.uint8)
    inner[border : height_px - border, border : width_px - border] = hole
    outside = inner < 128
    sheet.pixels[outside] = paint[outside]
    if rng.random() < 0.4:
        at = border + int(rng.integers(1, 5))
        corner = (width_px - 1 - at, height_px - 1 - at)
        cv2.rectangle(sheet.pixels, (at, at), corner, random_colour(rng), int(rng.integers(1, 3)))
    return border


def _open(rng: Rng, sheet: Sheet, picture: Pixels, box: Box) -> Box:
    x0, y0, x1, y1 = box
    shape = window_shape(rng, y1 - y0, x1 - x0)
    sheet.let_in(filled(picture, y1 - y0, x1 - x0, rng), box, shape)
    return box


def _one_window(rng: Rng, sheet: Sheet, picture: Pixels, border: int) -> list[Box]:
    """A window in the upper or middle part; what is below it is body."""
    height_px, width_px = sheet.size_px
    side = border + round(width_px * rng.uniform(0.0, 0.13))
    top = border + round(height_px * (rng.uniform(0.02, 0.22) if rng.random() < 0.85 else rng.uniform(0.2, 0.45)))
    bottom = round(height_px * rng.uniform(0.4, 0.8)) if rng.random() < 0.85 else height_px - border - 4
    if rng.random() < 0.25:  # a square one
        bottom = top + width_px - 2 * side
    bottom = min(max(bottom, top + height_px // 5), height_px - border - 4)
    return [_open(rng, sheet, picture, (side, top, width_px - side, bottom))]


def _whole_card(rng: Rng, sheet: Sheet, picture: Pixels, border: int) -> list[Box]:
    """The picture fills the card inside of its border; sometimes there is no border."""
    height_px, width_px = sheet.size_px
    side = border + (round(width_px * rng.uniform(0, 0.04)) if border and rng.random() < 0.5 else 0)
    box = (side, side, width_px - side, height_px - side)
    shape = rounded(height_px - 2 * side, width_px - 2 * side, round(width_px * rng.uniform(0, 0.06)))
    sheet.let_in(filled(picture, height_px - 2 * side, width_px - 2 * side, rng), box, shape)
    return [box]


def _low_window(rng: Rng, sheet: Sheet, picture: Pixels, border: int) -> list[Box]:
    """The text stands above the picture."""
    height_px, width_px = sheet.size_px
    side = border + round(width_px * rng.uniform(0.01, 0.1))
    top = round(height_px * rng.uniform(0.3, 0.55))
    return [_open(rng, sheet, picture, (side, top, width_px - side, height_px - border - side // 2))]


def _side_window(rng: Rng, sheet: Sheet, picture: Pixels, border: int) -> list[Box]:
    """The text stands beside the picture."""
    height_px, width_px = sheet.size_px
    inset = border + round(width_px * rng.uniform(0.01, 0.06))
    wide = round(width_px * rng.uniform(0.35, 0.65))
    x0 = inset if rng.random() < 0.5 else width_px - inset - wide
    x1 = min(x0 + wide, width_px - inset)
    return [_open(rng, sheet, picture, (x0, inset + height_px // 12, x1, height_px - inset))]


def _two_windows(rng: Rng, sheet: Sheet, picture: Pixels, border: int) -> list[Box]:
    """Two pictures, one over the other or side by side."""
    height_px, width_px = sheet.size_px
    inset = border + round(width_px * rng.uniform(0.02, 0.08))
    gap = round(height_px * rng.uniform(0.02, 0.2))
    if rng.random() < 0.6:
        middle = round(height_px * rng.uniform(0.35, 0.6))
        boxes = [
            (inset, inset, width_px - inset, middle - gap // 2),
            (inset, middle + gap // 2, width_px - inset, height_px - inset),
        ]
    else:
        middle = round(width_px * rng.uniform(0.4, 0.6))
        top, bottom = inset + height_px // 10, round(height_px * rng.uniform(0.5, 0.9))
        boxes = [
            (inset, top, middle - gap // 3, bottom),
            (middle + gap // 3, top, width_px - inset, bottom),
        ]
    return [_open(rng, sheet, picture, box) for box in boxes if box[2] - box[0] > 20 and box[3] - box[1] > 20]


_LAYOUTS = (_one_window, _whole_card, _low_window, _side_window, _two_windows)


def _dress(rng: Rng, sheet: Sheet, windows: list[Box], border: int) -> None:
    """Title, line of the kind, text, stones and small print."""
    height_px, width_px = sheet.size_px
    x0, y0, x1, y1 = windows[0]
    side = border + round(width_px * rng.uniform(0.005, 0.06))
    title_px = round(height_px * rng.uniform(0.04, 0.09))
    if rng.random() < 0.8:
        near = y0 - title_px if rng.random() < 0.6 else border
        top = int(np.clip(near - rng.integers(0, 6), border, height_px - title_px - border))
        _lettered(rng, sheet, (side, top, width_px - side, top + title_px), lines=1)
    if rng.random() < 0.5:
        line_px = round(height_px * rng.uniform(0.03, 0.06))
        top = int(np.clip(y1 + rng.integers(-line_px, 5), border, height_px - border - line_px))
        _lettered(rng, sheet, (side, top, width_px - side, top + line_px), lines=1)
    text_top = y1 + round(height_px * rng.uniform(0.01, 0.07))
    if y1 - y0 > 0.75 * height_px or rng.random() < 0.1:  # over the picture
        text_top = round(height_px * rng.uniform(0.6, 0.85))
    bottom = height_px - border - round(height_px * rng.uniform(0.005, 0.06))
    if bottom - text_top > 0.06 * height_px and rng.random() < 0.85:
        lines = max(1, min(14, int((bottom - text_top) / (height_px * rng.uniform(0.022, 0.06)))))
        _lettered(rng, sheet, (side, text_top, width_px - side, bottom), lines=lines)
    radius = round(width_px * rng.uniform(0.025, 0.08))
    places = [(side, border + radius), (width_px - side, border + radius), (side, height_px - border - radius)]
    places += [(width_px - side, height_px - border - radius), (width_px // 2, y1), (x0, y1), (x1, y1)]
    for centre in places:
        if rng.random() < 0.22:
            gem(rng, sheet, (int(centre[0]), int(centre[1])), round(radius * rng.uniform(0.6, 1.2)))
    if rng.random() < 0.25:
        small, at = max(3, radius // 3), (border + title_px + radius // 2)
        for number in range(int(rng.integers(2, 9))):
            gem(rng, sheet, (width_px - side - round(2.6 * small * (number + 1)), int(at)), small)


def _lettered(rng: Rng, sheet: Sheet, box: Box, *, lines: int) -> None:
    """A plate, or only letters on whatever is there: letters on a picture do not make it a frame."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 16 or y1 - y0 < 6:
        return
    if rng.random() < 0.55:
        plate(rng, sheet, box, lines=lines)
        return
    red, green, blue = (int(v) for v in sheet.pixels[y0:y1, x0:x1].reshape(-1, 3).mean(axis=0))
    written = max(1, round(lines * rng.uniform(0.2, 1)))  # the rest stays bare
    y0 += round((y1 - y0) * rng.uniform(0, 1 - written / lines))
    y1 = min(y1, y0 + round((y1 - y0) * written / lines) + 4)
    sheet.write(rng, (x0 + 4, y0, x1 - 4, y1), lines=written, colour=ink_for((red, green, blue)))


def _worn(rng: Rng, card: Framed) -> Framed:
    """Foil that shimmers over everything, white specks along the edges, light that falls off."""
    pixels = card.pixels.astype(np.float32)
    height_px, width_px = card.truth.shape
    if rng.random() < 0.2:
        share = rng.uniform(0.1, 0.4)
        shimmer = foil(rng, height_px, width_px)
        where = 1.0 if rng.random() < 0.5 else (card.truth > 0)[..., None]  # on all of it, or on the frame alone
        pixels = pixels * (1 - share * where) + shimmer * (share * where)
    if rng.random() < 0.25:
        y, x = np.mgrid[:height_px, :width_px]
        near = np.minimum(np.minimum(x, width_px - 1 - x), np.minimum(y, height_px - 1 - y)) / width_px
        specks = cv2.GaussianBlur(rng.random((height_px, width_px)).astype(np.float32), (0, 0), 1.0)
        specks = specks > np.quantile(specks, rng.uniform(0.6, 0.9))
        pixels[specks & (near < rng.uniform(0.005, 0.03))] = rng.uniform(190, 250)
    if rng.random() < 0.3:
        along = np.linspace(rng.uniform(0.7, 1.1), rng.uniform(0.7, 1.1), height_px, dtype=np.float32)
        pixels = pixels * along[:, None, None]
    return replace(card, pixels=np.clip(pixels, 0, 255).astype(np.uint8))


def _on_table(rng: Rng, card: Framed, picture: Pixels) -> Framed:
    """The card as it is, with rounded corners, or on a scanner's glass or a table, a little askew."""
    if rng.random() < 0.45:
        return card
    height_px, width_px = card.truth.shape
    broad = 0 if rng.random() < 0.4 else round(width_px * rng.uniform(0.01, 0.2))
    size = (height_px + 2 * broad, width_px + 2 * broad)
    level = int(rng.choice([255, 250, 235, 30, 5]))
    table = np.full((*size, 3), level, np.uint8)
    if broad and rng.random() < 0.4:
        table = painted(rng, *size)
    if broad and rng.random() < 0.15:  # a photographed table top
        table = cv2.GaussianBlur(filled(picture, *size, rng), (0, 0), float(rng.uniform(6, 20)))
    shape = np.zeros(size, np.uint8)
    shape[broad : broad + height_px, broad : broad + width_px] = rounded(
        height_px, width_px, round(width_px * rng.uniform(0.0, 0.07))
    )
    wide = [cv2.copyMakeBorder(each, broad, broad, broad, broad, cv2.BORDER_CONSTANT) for each in
            (card.pixels, card.truth, card.others["plate"])]  # fmt: skip
    if broad and rng.random() < 0.6:
        turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), rng.normal(0, 1.5), rng.uniform(0.95, 1.0))
        wide = [cv2.warpAffine(each, turn, size[::-1], flags=cv2.INTER_LINEAR) for each in wide]
        shape = cv2.warpAffine(shape, turn, size[::-1])
    if broad and rng.random() < 0.4:  # its shadow
        shadow = cv2.GaussianBlur(np.roll(shape, (broad // 4, broad // 4), (0, 1)), (0, 0), 1 + broad / 4)
        table = (table * (1 - 0.5 * shadow[..., None].astype(np.float32) / 255)).astype(np.uint8)
    share = shape.astype(np.float32)[..., None] / 255
    pixels = (wide[0] * share + table * (1 - share)).astype(np.uint8)
    on = shape > 127
    frame = ~on | (wide[1] > 127)
    plate = on & frame & (wide[2] > 127)
    return Framed(
        pixels,
        np.where(frame, 255, 0).astype(np.uint8),
        others={"plate": np.where(plate, 255, 0).astype(np.uint8)},
    )
