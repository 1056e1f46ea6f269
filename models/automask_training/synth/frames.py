"""Frames: borders, mats, key lines, card frames, caption bars and letterbox bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automask_training.synth import textures
from automask_training.synth.backgrounds import PictureCache
from automask_training.synth.index import MaterialIndex
from automask_training.synth.raster import Bytes, Canvas, Colour, Layer, resize, solid
from automask_training.synth.texts import rounded_plate

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
Box = tuple[int, int, int, int]


def _ground(rng: np.random.Generator, side_px: int) -> Bytes:
    which = rng.random()
    if which < 0.35:
        return np.full((side_px, side_px, 3), _WHITE if rng.random() < 0.6 else _BLACK, dtype=np.uint8)
    if which < 0.65:
        return textures.flat(rng, side_px)
    return textures.draw(rng, side_px, (textures.gradient, textures.clouds, textures.stripes))


def _hole(size_px: int, inner: Box, radius_px: int) -> Bytes:
    alpha = np.full((size_px, size_px), 255, dtype=np.uint8)
    x0, y0, x1, y1 = inner
    alpha[y0:y1, x0:x1] -= rounded_plate(x1 - x0, y1 - y0, radius_px)
    return alpha


@dataclass(frozen=True)
class DrawnFrame:
    """What a frame leaves to fill.

    Attributes:
        style: border, key_lines, card, caption_bar or letterbox.
        window: Half-open xyxy pixels: of the caption bar itself, or of the picture that a frame leaves.
    """

    style: str
    window: Box


class FrameDrawer:
    """Puts frames on a canvas; the single styles return `DrawnFrame.window`, or None when nothing was drawn."""

    def __init__(self, cache: PictureCache, index: MaterialIndex) -> None:
        """Use the frame artwork of `index`."""
        self._cache, self._index = cache, index

    def draw(self, rng: np.random.Generator, canvas: Canvas) -> DrawnFrame | None:
        """Draw a random frame."""
        styles = {
            "border": (0.46, self.border),
            "key_lines": (0.12, self.key_lines),
            "card": (0.12 if self._index.frames else 0.0, self.artwork),
            "caption_bar": (0.17, self.caption_bar),
            "letterbox": (0.13, self.letterbox),
        }
        names = list(styles)
        shares = np.array([styles[name][0] for name in names])
        style = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        window = styles[style][1](rng, canvas)
        return None if window is None else DrawnFrame(style, window)

    def border(self, rng: np.random.Generator, canvas: Canvas) -> Box | None:
        """Draw a border: even, mat or polaroid, in one colour, graded or textured, with square or round corners."""
        side = canvas.size_px[0]
        thin = side * float(np.exp(rng.uniform(np.log(0.006), np.log(0.13))))
        left, top, right, bottom = (max(2, round(thin)),) * 4
        if rng.random() < 0.25:
            bottom = round(bottom * rng.uniform(1.3, 3.5))
        elif rng.random() < 0.25:
            top = bottom = max(2, round(thin * rng.uniform(0.3, 2)))
        inner = (left, top, side - right, side - bottom)
        radius = round(side * rng.uniform(0.01, 0.08)) if rng.random() < 0.25 else 0
        layer = Layer(_ground(rng, side), _hole(side, inner, radius))
        drawn = canvas.stamp(
            layer, 0, 0, label="border", opacity=1.0 if rng.random() < 0.9 else rng.uniform(0.5, 0.95), geometric=True
        )
        if drawn and rng.random() < 0.35:
            self._line(canvas, inner, textures.random_colour(rng), max(1, round(side * rng.uniform(0.002, 0.008))))
        return inner if drawn else None

    def _line(self, canvas: Canvas, box: Box, colour: Colour, thick_px: int) -> None:
        side = canvas.size_px[0]
        x0, y0, x1, y1 = box
        alpha = np.zeros((side, side), dtype=np.uint8)
        alpha[y0:y1, x0:x1] = 255
        alpha[y0 + thick_px : y1 - thick_px, x0 + thick_px : x1 - thick_px] = 0
        canvas.stamp(solid(alpha, colour), 0, 0, label="border", geometric=True)

    def key_lines(self, rng: np.random.Generator, canvas: Canvas) -> Box | None:
        """Draw one or two thin lines inside the edge."""
        side = canvas.size_px[0]
        inset, thick = round(side * rng.uniform(0.008, 0.06)), max(1, round(side * rng.uniform(0.0015, 0.008)))
        colour = textures.random_colour(rng) if rng.random() < 0.5 else (_WHITE if rng.random() < 0.5 else _BLACK)
        self._line(canvas, (inset, inset, side - inset, side - inset), colour, thick)
        if rng.random() < 0.4:
            inset += 3 * thick + int(rng.integers(1, 6))
            self._line(canvas, (inset, inset, side - inset, side - inset), colour, thick)
        return inset + thick, inset + thick, side - inset - thick, side - inset - thick

    def artwork(self, rng: np.random.Generator, canvas: Canvas) -> Box | None:
        """Draw frame artwork: cards whole between bars or cut, broad artwork stretched to the edges."""
        pixels = self._cache.get(self._index.frames[int(rng.integers(len(self._index.frames)))].file)
        side = canvas.size_px[0]
        height, width = pixels.shape[:2]
        if width >= height:
            art = resize(np.ascontiguousarray(pixels), side, side)
            layer = Layer(np.ascontiguousarray(art[..., :3]), np.ascontiguousarray(art[..., 3]))
            return (0, 0, side, side) if canvas.stamp(layer, 0, 0, label="border", geometric=True) else None
        tall = rng.random() < 0.5
        factor = side / height if tall else side / width
        w, h = round(width * factor), round(height * factor)
        art = resize(np.ascontiguousarray(pixels), w, h)
        layer = Layer(np.ascontiguousarray(art[..., :3]), np.ascontiguousarray(art[..., 3]))
        x, y = (side - w) // 2, 0 if tall else -int(rng.integers(0, h - side + 1))
        drawn = canvas.stamp(layer, x, y, label="border", geometric=True)
        if tall:
            colour = _WHITE if rng.random() < 0.5 else _BLACK
            for bar in ((0, 0, x, side), (x + w, 0, side, side)):
                self._bar(canvas, bar, colour, label="letterbox")
        return (x, 0, x + w, side) if drawn else None

    def _bar(self, canvas: Canvas, box: Box, colour: Colour, *, label: str, opacity: float = 1.0) -> bool:
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            return False
        alpha = np.full((y1 - y0, x1 - x0), 255, dtype=np.uint8)
        return canvas.stamp(solid(alpha, colour), x0, y0, label=label, opacity=opacity, geometric=True)

    def caption_bar(self, rng: np.random.Generator, canvas: Canvas) -> Box | None:
        """Draw a band for a caption at the bottom or the top."""
        side = canvas.size_px[0]
        high = round(side * rng.uniform(0.05, 0.2))
        top = rng.random() < 0.25
        box = (0, 0, side, high) if top else (0, side - high, side, side)
        colour = _WHITE if rng.random() < 0.4 else (_BLACK if rng.random() < 0.6 else textures.random_colour(rng))
        drawn = self._bar(
            canvas, box, colour, label="caption_bar", opacity=1.0 if rng.random() < 0.7 else rng.uniform(0.35, 0.9)
        )
        return box if drawn else None

    def letterbox(self, rng: np.random.Generator, canvas: Canvas) -> Box | None:
        """Draw bars on two opposite sides."""
        side = canvas.size_px[0]
        bar = round(side * rng.uniform(0.02, 0.22))
        colour = _BLACK if rng.random() < 0.7 else (_WHITE if rng.random() < 0.7 else textures.random_colour(rng))
        if rng.random() < 0.65:
            boxes, inner = ((0, 0, side, bar), (0, side - bar, side, side)), (0, bar, side, side - bar)
        else:
            boxes, inner = ((0, 0, bar, side), (side - bar, 0, side, side)), (bar, 0, side - bar, side)
        drawn = [self._bar(canvas, each, colour, label="letterbox") for each in boxes]
        return inner if any(drawn) else None
