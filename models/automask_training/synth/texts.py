"""Single pieces of text that stand in pictures: lines, blocks and columns in all styles, on plates and without."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask_training.synth import textures
from automask_training.synth.lettering import FontCollection, InkStyle, arched, block, columns, line, paint
from automask_training.synth.raster import (
    Blend,
    Bytes,
    Canvas,
    Colour,
    Layer,
    resize,
    rotated,
    solid,
    tilted,
)
from automask_training.synth.scripts import SCRIPT_WEIGHTS, VERTICAL_SCRIPTS, words

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
PLACE_TRIES = 6
Box = tuple[int, int, int, int]


def luma(colour: NDArray[np.float64] | Colour) -> float:
    """Return the brightness of an RGB colour, 0..255."""
    return float(np.dot(np.asarray(colour, dtype=np.float64), (0.299, 0.587, 0.114)))


def contrasting(rng: np.random.Generator, ground: NDArray[np.float64], least: float = 60.0) -> Colour:
    """Return a colour that stands out from `ground` by at least `least` levels of brightness; often black or white."""
    bright = luma(ground)
    if rng.random() < 0.5:
        return WHITE if bright < 128 or (bright < 160 and rng.random() < 0.5) else near_black(rng)
    for _ in range(12):
        colour = textures.random_colour(rng)
        if abs(luma(colour) - bright) >= least:
            return colour
    return WHITE if bright < 128 else BLACK


def near_black(rng: np.random.Generator) -> Colour:
    """Return black or nearly so."""
    return BLACK if rng.random() < 0.6 else textures.near(rng, (24, 24, 28), 20)


def random_style(rng: np.random.Generator, fill: Colour, size_px: int) -> InkStyle:
    """Return a random style for text of a colour: plain half of the time, else outlined, shadowed or glowing."""
    opposite = BLACK if luma(fill) > 110 else WHITE
    effect = rng.random()
    outline_px, hollow, shadow, shadow_blur, glow_px = 0, False, None, 0.0, 0
    fill_end = textures.near(rng, fill, 90) if rng.random() < 0.12 else None
    if 0.50 <= effect < 0.72 or effect > 0.95:
        outline_px = max(1, round(size_px * rng.uniform(0.02, 0.13)))
        hollow = rng.random() < 0.08
    if (effect >= 0.72 and effect < 0.88) or effect > 0.95:
        reach = max(1, round(size_px * rng.uniform(0.02, 0.1)))
        shadow = (int(rng.choice([reach, -reach, reach, 0])), reach)
        shadow_blur = float(rng.choice([0.0, rng.uniform(0.5, max(1.0, size_px * 0.08))]))
    if 0.88 <= effect <= 0.95:
        glow_px = max(1, round(size_px * rng.uniform(0.05, 0.2)))
    if rng.random() < 0.3:
        opposite = textures.random_colour(rng)
    return InkStyle(
        fill=fill,
        fill_end=fill_end,
        hollow=hollow,
        outline_px=outline_px,
        outline=opposite,
        shadow_px=shadow,
        shadow_blur_px=shadow_blur,
        shadow=BLACK if luma(fill) > 60 else opposite,
        shadow_strength=rng.uniform(0.35, 0.95),
        glow_px=glow_px,
        glow=opposite,
    )


class TextDrawer:
    """Puts text on a canvas; every method returns whether something was drawn."""

    def __init__(self, fonts: FontCollection) -> None:
        """Write with the faces of `fonts`."""
        self._fonts = fonts

    def scripts(self) -> frozenset[str]:
        """Return the scripts that can be written."""
        return self._fonts.scripts()

    def pick_script(self, rng: np.random.Generator) -> str:
        """Return a script that can be written, by `SCRIPT_WEIGHTS`."""
        usable = [name for name in SCRIPT_WEIGHTS if name in self._fonts.scripts()]
        weights = np.array([SCRIPT_WEIGHTS[name] for name in usable])
        return usable[int(rng.choice(len(usable), p=weights / weights.sum()))]

    def line_coverage(
        self, rng: np.random.Generator, script: str, size_px: int, *, words_count: int, styles: tuple[str, ...] = ()
    ) -> Bytes:
        """Return the coverage of one random line."""
        face = self._fonts.choose(rng, script, styles)
        tracking = (
            size_px * rng.uniform(0.05, 0.6)
            if rng.random() < 0.1 and script in {"latin", "cyrillic", "han", "kana"}
            else 0.0
        )
        return line(words(rng, script, words_count), self._fonts.font(face, size_px, script), tracking_px=tracking)

    def block_coverage(
        self, rng: np.random.Generator, script: str, size_px: int, *, lines: int, styles: tuple[str, ...] = ()
    ) -> Bytes:
        """Return the coverage of several lines of one face."""
        font = self._fonts.font(self._fonts.choose(rng, script, styles), size_px, script)
        count = int(rng.integers(2, 6))
        drawn = [line(words(rng, script, max(1, count + int(rng.integers(-1, 2)))), font) for _ in range(lines)]
        return block(drawn, round(size_px * rng.uniform(0.2, 0.8)), align=float(rng.choice([0.0, 0.5, 0.5, 1.0])))

    def column_coverage(self, rng: np.random.Generator, script: str, size_px: int, *, number: int) -> Bytes:
        """Return the coverage of text set in columns."""
        font = self._fonts.font(self._fonts.choose(rng, script), size_px, script)
        texts = [words(rng, script, int(rng.integers(2, 5))).replace(" ", "") for _ in range(number)]
        return columns(texts, font, size_px, leading_px=round(size_px * rng.uniform(0.1, 0.6)))

    def free(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        *,
        size_px: int,
        where: Box | None = None,
        tight: bool = False,
        upright: bool = False,
    ) -> bool:
        """Draw one line, block or column in a random style somewhere in `where` (default: anywhere)."""
        script = self.pick_script(rng)
        form = rng.random()
        label = "text_line"
        if script in VERTICAL_SCRIPTS and form < 0.2:
            number = int(rng.integers(1, 4))
            coverage = self.column_coverage(rng, script, size_px, number=number)
            label = "text_line" if number == 1 else "text_block"
        elif form < 0.38:
            coverage = self.block_coverage(rng, script, size_px, lines=int(rng.integers(2, 6)))
            label = "text_block"
        else:
            coverage = self.line_coverage(rng, script, size_px, words_count=int(rng.integers(1, 5)))
        return self._place(rng, canvas, coverage, size_px, label=label, where=where, tight=tight, upright=upright)

    def _place(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        coverage: Bytes,
        size_px: int,
        *,
        label: str,
        where: Box | None,
        tight: bool,
        upright: bool,
    ) -> bool:
        width, height = canvas.size_px
        x0, y0, x1, y1 = where or (0, 0, width, height)
        if tight or rng.random() < 0.85:
            coverage = fitted(coverage, round((x1 - x0) * 0.96), round((y1 - y0) * 0.96))
            size_px = min(size_px, coverage.shape[0])
        for _ in range(PLACE_TRIES):
            x = x0 + int(rng.uniform(0, 1) * (x1 - x0 - coverage.shape[1]))
            y = y0 + int(rng.uniform(0, 1) * (y1 - y0 - coverage.shape[0]))
            if not canvas.crowded((x, y, x + coverage.shape[1], y + coverage.shape[0])):
                break
        else:
            return False
        ground = canvas.mean_colour((x, y, x + coverage.shape[1], y + coverage.shape[0]))
        plate = not upright and rng.random() < 0.1
        if plate:
            ground = self._plate(rng, canvas, (x, y, x + coverage.shape[1], y + coverage.shape[0]), size_px)
        style = random_style(rng, contrasting(rng, ground), size_px)
        layer = paint(coverage, style)
        if not plate and not upright:
            layer = self._bent(rng, layer)
        opacity = 1.0 if rng.random() < 0.8 else rng.uniform(0.35, 0.95)
        blend: Blend = "normal" if rng.random() < 0.92 else ("overlay" if rng.random() < 0.5 else "multiply")
        rim = (layer.alpha.shape[1] - coverage.shape[1]) // 2, (layer.alpha.shape[0] - coverage.shape[0]) // 2
        return canvas.stamp(layer, x - rim[0], y - rim[1], label=label, opacity=opacity, blend=blend)

    def _bent(self, rng: np.random.Generator, layer: Layer) -> Layer:
        which = rng.random()
        if which < 0.07:
            layer = arched(layer, rng.choice([-1, 1]) * rng.uniform(15, 140))
        elif which < 0.15:
            layer = tilted(layer, rng, rng.uniform(0.1, 0.6))
        if which < 0.15 or rng.random() < 0.15:
            layer = rotated(layer, rng.normal(0, 8) if rng.random() < 0.7 else rng.uniform(-90, 90))
        return layer

    def _plate(self, rng: np.random.Generator, canvas: Canvas, box: Box, size_px: int) -> NDArray[np.float64]:
        pad = round(size_px * rng.uniform(0.15, 0.7))
        x0, y0, x1, y1 = box
        alpha = rounded_plate(x1 - x0 + 2 * pad, y1 - y0 + 2 * pad, round(pad * rng.uniform(0, 1.2)))
        canvas.stamp(
            solid(alpha, textures.random_colour(rng)), x0 - pad, y0 - pad, label=None, opacity=rng.uniform(0.5, 1.0)
        )
        return canvas.mean_colour((x0 - pad, y0 - pad, x1 + pad, y1 + pad))


def fitted(coverage: Bytes, width_px: int, height_px: int) -> Bytes:
    """Return the coverage shrunk, if need be, to fit a window."""
    factor = min(width_px / coverage.shape[1], height_px / coverage.shape[0], 1.0)
    return (
        coverage
        if factor == 1.0
        else resize(coverage, max(1, int(coverage.shape[1] * factor)), max(1, int(coverage.shape[0] * factor)))
    )


def rounded_plate(width_px: int, height_px: int, radius_px: int) -> Bytes:
    """Return the coverage of a rectangle with round corners."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (max(1, width_px), max(1, height_px)))
    ImageDraw.Draw(image).rounded_rectangle(
        (0, 0, width_px - 1, height_px - 1), radius=min(radius_px, width_px // 2, height_px // 2), fill=255
    )
    return np.asarray(image)
