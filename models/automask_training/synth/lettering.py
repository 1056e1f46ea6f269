"""Coverage maps of text in lines, blocks, columns and arcs, and how they are painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from automask_training.synth.index import Face
from automask_training.synth.raster import Bytes, Colour, Layer, blur, dilate, over, padded, remap, solid
from automask_training.synth.scripts import COMPLEX_SCRIPTS

_STYLE_WEIGHTS = {"plain": 0.5, "display": 0.2, "comic": 0.1, "hand": 0.1, "brush": 0.06, "fancy": 0.04}
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=160)
def _load(path: str, index: int, size_px: int, engine: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px, index=index, layout_engine=engine)


class FontCollection:
    """The faces of a folder of materials; with none at all, Pillow's built-in Latin face serves."""

    def __init__(self, folder: Path, faces: Sequence[Face]) -> None:
        """Offer `faces`, whose files lie in `folder`."""
        self._folder = folder
        self._shaping = bool(features.check("raqm"))
        self._by_script: dict[str, dict[str, tuple[Face, ...]]] = {}
        for face in faces:
            for script in face.scripts:
                if script not in COMPLEX_SCRIPTS or self._shaping:
                    by_style = self._by_script.setdefault(script, {})
                    by_style[face.style] = (*by_style.get(face.style, ()), face)

    def scripts(self) -> frozenset[str]:
        """Return the scripts that can be written."""
        return frozenset(self._by_script) | {"latin"}

    def choose(
        self, rng: np.random.Generator, script: str, styles: Sequence[str] = (), *, also: str | None = None
    ) -> Face | None:
        """Pick a face for a script, preferring `styles`; with `also`, one that writes that script too if there is any.

        A style is drawn first, then a family (by the first letters of the file name), so that large families do not
        crowd out the others.
        """
        by_style = self._by_script.get(script, {})
        usable = {name: faces for name, faces in by_style.items() if not styles or name in styles} or by_style
        if also is not None:
            both = {name: tuple(face for face in faces if also in face.scripts) for name, faces in usable.items()}
            usable = {name: faces for name, faces in both.items() if faces}
        if not usable:
            return None
        names = sorted(usable)
        weights = np.array([1.0 if styles else _STYLE_WEIGHTS.get(name, 0.1) for name in names])
        faces = usable[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        families = sorted({face.file[:12] for face in faces})
        family = families[int(rng.integers(len(families)))]
        members = [face for face in faces if face.file.startswith(family)]
        return members[int(rng.integers(len(members)))]

    def font(self, face: Face | None, size_px: int, script: str) -> Font:
        """Return a drawable font."""
        if face is None:
            return ImageFont.load_default(size_px)
        engine = ImageFont.Layout.RAQM if script in COMPLEX_SCRIPTS else ImageFont.Layout.BASIC
        return _load(str(self._folder / face.file), face.index, size_px, engine)


def line(text: str, font: Font, *, tracking_px: float = 0.0) -> Bytes:
    """Return the coverage, uint8 (h, w), of one line, cut to its ink; `tracking_px` spreads the letters."""
    if tracking_px <= 0 or not isinstance(font, ImageFont.FreeTypeFont):
        left, top, right, bottom = font.getbbox(text)
        image = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
        ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font)
        return np.asarray(image)
    advances = np.array([font.getlength(each) + tracking_px for each in text])
    starts = np.concatenate([[0.0], advances.cumsum()])
    left, top, right, bottom = font.getbbox(text)
    image = Image.new(
        "L", (max(1, int(starts[-1]) + int(right - left) // max(1, len(text)) + 4), max(1, int(bottom - top) + 4))
    )
    draw = ImageDraw.Draw(image)
    for each, start in zip(text, starts, strict=False):
        draw.text((2 + start, 2 - top), each, fill=255, font=font)
    return np.asarray(image)


def block(lines: Sequence[Bytes], leading_px: int, *, align: float) -> Bytes:
    """Stack line coverages; `align` is 0 for left, 0.5 for centred, 1 for right."""
    width = max(each.shape[1] for each in lines)
    sheet = np.zeros((sum(each.shape[0] for each in lines) + leading_px * (len(lines) - 1), width), dtype=np.uint8)
    y = 0
    for each in lines:
        x = round((width - each.shape[1]) * align)
        sheet[y : y + each.shape[0], x : x + each.shape[1]] = each
        y += each.shape[0] + leading_px
    return sheet


def columns(texts: Sequence[str], font: Font, size_px: int, *, leading_px: int) -> Bytes:
    """Return the coverage of text set in columns, from right to left."""
    height = max(len(each) for each in texts) * size_px
    sheets = []
    for text in texts:
        image = Image.new("L", (size_px + 4, height + 8))
        draw = ImageDraw.Draw(image)
        for number, each in enumerate(text):
            left, _, right, _ = font.getbbox(each)
            draw.text(((size_px + 4 - (right - left)) / 2 - left, 2 + number * size_px), each, fill=255, font=font)
        sheets.append(np.asarray(image))
    joined: list[Bytes] = []
    for sheet in reversed(sheets):
        joined += [sheet, np.zeros((sheet.shape[0], leading_px), dtype=np.uint8)]
    return np.concatenate(joined[:-1], axis=1)


def arched(layer: Layer, sweep_degrees: float) -> Layer:
    """Bend a layer along a circle: a positive sweep arches upwards, a negative one sags."""
    width, height = layer.size_px
    sweep = np.deg2rad(abs(sweep_degrees))
    radius = width / sweep
    outer = radius + height
    half = outer * np.sin(min(sweep, np.pi) / 2)
    depth = outer - radius * np.cos(min(sweep, 2 * np.pi) / 2) if sweep < np.pi else outer * (1 - np.cos(sweep / 2))
    new_width, new_height = int(2 * half) + 4, int(max(depth, height)) + 4
    y, x = np.mgrid[0:new_height, 0:new_width].astype(np.float32)
    dx, dy = x - np.float32(new_width / 2), np.float32(outer + 2) - y
    source_x = np.arctan2(dx, dy) * np.float32(radius) + np.float32(width / 2)
    source_y = np.float32(outer) - np.hypot(dx, dy)
    if sweep_degrees > 0:
        return remap(layer, source_x, source_y)
    sagged = remap(Layer(layer.rgb[::-1].copy(), layer.alpha[::-1].copy()), source_x, source_y)
    return Layer(sagged.rgb[::-1].copy(), sagged.alpha[::-1].copy())


@dataclass(frozen=True)
class InkStyle:
    """How coverage becomes a layer.

    Attributes:
        fill: Colour, at the top if `fill_end` is given.
        fill_end: Colour at the bottom of a vertical gradient, or None.
        hollow: Draw the outline only.
        outline_px: Width of the outline; 0 for none.
        outline: Colour of the outline.
        shadow_px: Offset (x, y) of a shadow, or None.
        shadow_blur_px: Its blur; 0 for a hard one.
        shadow: Its colour.
        shadow_strength: Its opacity, 0..1.
        glow_px: Radius of a glow; 0 for none.
        glow: Its colour.
    """

    fill: Colour
    fill_end: Colour | None = None
    hollow: bool = False
    outline_px: int = 0
    outline: Colour = (0, 0, 0)
    shadow_px: tuple[int, int] | None = None
    shadow_blur_px: float = 0.0
    shadow: Colour = (0, 0, 0)
    shadow_strength: float = 0.6
    glow_px: int = 0
    glow: Colour = (255, 255, 255)

    @property
    def rim_px(self) -> int:
        """How far effects reach beyond the ink."""
        shadow = max(map(abs, self.shadow_px)) + int(2 * self.shadow_blur_px) + 1 if self.shadow_px else 0
        return max(self.outline_px + shadow, 3 * self.glow_px) + 1


def paint(coverage: Bytes, style: InkStyle) -> Layer:
    """Return the painted layer, larger than the coverage by `InkStyle.rim_px` on each side."""
    ink = padded(coverage, style.rim_px)
    outlined = dilate(ink, style.outline_px) if style.outline_px else ink
    layer: Layer | None = None
    if style.glow_px:
        halo = blur(dilate(outlined, max(1, style.glow_px // 2)), style.glow_px * 0.8)
        layer = solid(np.minimum(halo.astype(np.uint16) * 5 // 4, 255).astype(np.uint8), style.glow)
    if style.shadow_px is not None:
        shifted = np.roll(outlined, (style.shadow_px[1], style.shadow_px[0]), axis=(0, 1))
        soft = blur(shifted, style.shadow_blur_px) if style.shadow_blur_px > 0 else shifted
        shadow = solid((soft * np.float32(style.shadow_strength)).astype(np.uint8), style.shadow)
        layer = shadow if layer is None else over(layer, shadow)
    if style.outline_px:
        rim = outlined - np.minimum(ink, outlined) if style.hollow else outlined
        outline = solid(rim, style.outline)
        layer = outline if layer is None else over(layer, outline)
    if not (style.hollow and style.outline_px):
        top = solid(ink, style.fill)
        if style.fill_end is not None:
            ramp = np.linspace(0, 1, ink.shape[0], dtype=np.float32)[:, None]
            first, last = np.array(style.fill, dtype=np.float32), np.array(style.fill_end, dtype=np.float32)
            top.rgb[:] = (first + (last - first) * ramp)[:, None, :].astype(np.uint8)
        layer = top if layer is None else over(layer, top)
    if layer is None:
        message = "a style must draw something"
        raise ValueError(message)
    return layer


def embossed(coverage: Bytes, depth_px: int) -> Layer:
    """Return a raised look, as stock agencies use it: faintly grey, lit from the top left, dark at the bottom right."""
    ink = padded(coverage, depth_px + 1)
    light, dark = np.roll(ink, (-depth_px, -depth_px), axis=(0, 1)), np.roll(ink, (depth_px, depth_px), axis=(0, 1))
    layer = over(solid(dark - np.minimum(dark, ink), (0, 0, 0)), solid(light - np.minimum(light, ink), (255, 255, 255)))
    return over(layer, solid((ink * np.float32(0.55)).astype(np.uint8), (200, 200, 200)))
