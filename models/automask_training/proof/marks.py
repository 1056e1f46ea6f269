"""Unwanted things as real sets have them: a site's watermark, card frames with plates, subtitles with corner names."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.backgrounds import PictureCache
from automask_training.synth.index import Face, MaterialIndex
from automask_training.synth.lettering import FontCollection, InkStyle, line, paint
from automask_training.synth.marks import MarkDrawer, beside
from automask_training.synth.raster import Bytes, Canvas, Colour, Layer, dilate, over, padded, scaled, solid, trimmed
from automask_training.synth.scripts import handle, words
from automask_training.synth.texts import luma, rounded_plate

Kind = Literal["watermark", "card", "subtitles"]
KINDS: tuple[Kind, ...] = ("watermark", "card", "subtitles")
MARKED_SHARE = 0.85
"""Of the pictures; the others are of other origin and carry nothing."""
SITE = "PICTORIA.NET"
# One site, one mark: drawn once, then only scaled and moved a little, as crops and resizes of a site's pictures do.
_SITE_SEED = 20
_SITE_WIDTH = 0.6
_RIM_STRENGTH = 0.75
_SITE_OPACITY = 0.85
_SITE_MARGIN = 0.03
_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
# Four printings of one game: ground of the frame, and of its plates.
_CARDS: tuple[tuple[Colour, Colour], ...] = (
    ((58, 42, 30), (226, 214, 186)),
    ((30, 50, 96), (214, 222, 238)),
    ((96, 28, 30), (238, 216, 204)),
    ((34, 74, 44), (218, 232, 210)),
)


@dataclass(frozen=True, eq=False)
class MarkedPicture:
    """A picture with things on it: `pixels` uint8 (H, W, 3), `unwanted` bool (H, W), True where pixels changed."""

    pixels: Bytes
    unwanted: NDArray[np.bool_]


def is_marked(name: str) -> bool:
    """Whether a picture carries a mark in every set that is made of it."""
    return zlib.crc32(b"marked" + name.encode()) % 1000 < 1000 * MARKED_SHARE


class Marker(Protocol):
    """What lays marks."""

    def lay(self, pixels: Bytes, kind: Kind, *, name: str) -> MarkedPicture:
        """Lay the marks of a kind on a picture, uint8 (H, W, 3); the same name gets the same marks."""
        ...


class MarkLayer:
    """Lays the marks of one kind; fonts are those of a folder of materials that no network of automask saw."""

    def __init__(self, materials: Path) -> None:
        """Read fonts; raises InputError where the folder has no list of materials."""
        index = MaterialIndex.read(materials)
        self._fonts = FontCollection(materials, index.faces)
        self._drawer = MarkDrawer(PictureCache(materials, limit_bytes=50_000_000), index, self._fonts)
        rng = np.random.default_rng(_SITE_SEED)
        icon = self._drawer.icon(rng, 150, _WHITE)
        face = self._fonts.choose(rng, "latin", ("plain",))
        self._site = _rimmed(beside(icon, self._line(face, SITE, 96, InkStyle(fill=_WHITE)), 20), 6)

    def lay(self, pixels: Bytes, kind: Kind, *, name: str) -> MarkedPicture:
        """Lay the marks of a kind on a picture; the same name gets the same marks."""
        rng = np.random.default_rng((zlib.crc32(name.encode()), KINDS.index(kind)))
        canvas = Canvas(pixels.copy())
        {"watermark": self._watermark, "card": self._card, "subtitles": self._subtitles}[kind](rng, canvas)
        unwanted = np.zeros(pixels.shape[:2], dtype=np.bool_)
        for each in canvas.instances:
            x0, y0, x1, y1 = each.box
            unwanted[y0:y1, x0:x1] |= each.mask
        return MarkedPicture(canvas.pixels, unwanted)

    def _line(self, face: Face | None, text: str, size_px: int, style: InkStyle) -> Layer:
        return trimmed(paint(line(text, self._fonts.font(face, size_px, "latin")), style))

    def _watermark(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        layer = scaled(self._site, side * _SITE_WIDTH * rng.uniform(0.94, 1.06) / self._site.size_px[0])
        margin = round(side * (_SITE_MARGIN + rng.uniform(-0.01, 0.01)))
        x, y = (side - length - margin for length in layer.size_px)
        # Twice where a first stamp is refused as hardly visible: a site does not ask.
        if not canvas.stamp(layer, x, y, label="logo", opacity=_SITE_OPACITY):
            canvas.stamp(layer, x, y, label="logo", opacity=1.0, geometric=True)

    def _card(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        frame, plate = _CARDS[int(rng.integers(len(_CARDS)))]
        rim = round(side * 0.055)
        alpha = np.full((side, side), 255, dtype=np.uint8)
        alpha[rim : side - rim, rim : side - rim] -= rounded_plate(side - 2 * rim, side - 2 * rim, rim // 2)
        canvas.stamp(solid(alpha, frame), 0, 0, label="border", geometric=True)
        width = side - 2 * rim
        for top, height in ((rim, round(side * 0.11)), (round(side * 0.68), side - rim - round(side * 0.68))):
            canvas.stamp(solid(rounded_plate(width, height, 8), plate), rim, top, label="caption_bar", geometric=True)
        face = self._fonts.choose(rng, "latin", ("plain",))
        ink = _BLACK if luma(np.asarray(plate, dtype=np.float64)) > 110 else _WHITE
        title = self._line(face, " ".join(words(rng, "latin", 2).split()[:2]).title(), 34, InkStyle(fill=ink))
        self._put(canvas, title, rim + 12, rim + (round(side * 0.11) - title.size_px[1]) // 2, width - 24)
        for number in range(4):
            text = self._line(face, words(rng, "latin", 5), 22, InkStyle(fill=ink))
            self._put(canvas, text, rim + 12, round(side * 0.70) + 28 * number, width - 24)

    def _subtitles(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        style = InkStyle(fill=_WHITE, outline_px=3, outline=_BLACK)
        face = self._fonts.choose(rng, "latin", ("plain",))
        for number in range(int(rng.integers(1, 3))):
            layer = self._line(face, words(rng, "latin", int(rng.integers(3, 6))), 36, style)
            layer = scaled(layer, min(1.0, 0.92 * side / layer.size_px[0]))
            self._put(canvas, layer, (side - layer.size_px[0]) // 2, side - 56 - 46 * number, side)
        layer = self._line(face, handle(rng), 26, style)
        layer = scaled(layer, min(1.0, 0.5 * side / layer.size_px[0]))
        self._put(canvas, layer, side - layer.size_px[0] - 14, 14, side)

    @staticmethod
    def _put(canvas: Canvas, layer: Layer, x: int, y: int, most_width_px: int) -> None:
        layer = scaled(layer, most_width_px / layer.size_px[0]) if layer.size_px[0] > most_width_px else layer
        canvas.stamp(layer, x, y, label="text_line", geometric=True)


def _rimmed(layer: Layer, rim_px: int) -> Layer:
    """A layer on a dark rim, without which a white mark is not seen on a light picture."""
    alpha = padded(layer.alpha, rim_px)
    rgb = np.pad(layer.rgb, ((rim_px, rim_px), (rim_px, rim_px), (0, 0)), mode="edge")
    rim = (dilate(alpha, rim_px) * np.float32(_RIM_STRENGTH)).astype(np.uint8)
    return over(solid(rim, _BLACK), Layer(rgb, alpha))
