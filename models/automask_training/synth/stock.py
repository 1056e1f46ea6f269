"""Marks of stock sites and shops: tiled, grid, large diagonal ones, and a name in the middle of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask_training.synth import textures
from automask_training.synth.marks import BLACK, WHITE, MarkDrawer, above, beside, sheet_of
from automask_training.synth.raster import Blend, Canvas, Layer, over, rotated, solid, trimmed
from automask_training.synth.scripts import agency, copyright_line, handle, notice

_FAINTEST = 0.08


def faint_opacity(rng: np.random.Generator) -> float:
    """Return an opacity from 0.08 to 0.65, faint ones more often."""
    return float(_FAINTEST + 0.57 * rng.beta(1.1, 1.8))


def _blend(rng: np.random.Generator) -> Blend:
    blends: tuple[Blend, ...] = ("normal", "screen", "overlay", "multiply")
    return blends[int(rng.choice(4, p=[0.8, 0.08, 0.07, 0.05]))]


class StockMarkDrawer:
    """Puts spread marks on a canvas; every method returns whether something was drawn."""

    def __init__(self, marks: MarkDrawer) -> None:
        """Build them from pieces that `marks` draws."""
        self._marks = marks

    def draw(self, rng: np.random.Generator, canvas: Canvas, label: str) -> bool:
        """Draw a mark of a finer label: tiled, grid, diagonal or wordmark."""
        drawers = {"tiled": self.tiled, "grid": self.grid, "diagonal": self.diagonal, "wordmark": self.wordmark}
        return drawers[label](rng, canvas)

    def _unit(self, rng: np.random.Generator, canvas: Canvas, *, high: float) -> Layer:
        size = self._marks.size(rng, canvas, 0.02, high)
        fill = WHITE if rng.random() < 0.6 else (BLACK if rng.random() < 0.5 else textures.random_colour(rng))
        which = rng.random()
        if which < 0.15:
            return self._marks.icon(rng, size * 2, fill)
        text = (agency, handle, notice, copyright_line)[int(rng.choice(4, p=[0.45, 0.25, 0.2, 0.1]))](rng)
        if which < 0.25 and "han" in self._marks.scripts():
            layer = self._marks.text(rng, notice(rng, "han"), size, fill, script="han", plain_share=0.7)
        else:
            layer = self._marks.text(rng, text, size, fill, plain_share=0.5, emboss_share=0.15)
        return beside(self._marks.icon(rng, round(size * 1.4), fill), layer, size // 3) if which > 0.7 else layer

    def _tiling(self, rng: np.random.Generator, canvas: Canvas, unit: Layer, *, degrees: float) -> Layer:
        side_w, side_h = canvas.size_px
        width, height = unit.size_px
        if rng.random() < 0.2:
            step_x, step_y = int(width * rng.uniform(1.02, 1.15)) + 2, int(height * rng.uniform(1.2, 1.8)) + 2
        else:
            step_x, step_y = int(width * rng.uniform(1.15, 2.6)) + 4, int(height * rng.uniform(1.8, 7.0)) + 6
        shift = step_x // 2 if rng.random() < 0.6 else 0
        reach = int(max(side_w, side_h) * 1.45) if abs(degrees) > 1 else max(side_w, side_h)
        alpha = np.zeros((reach + step_y, reach + 2 * step_x), dtype=np.uint8)
        rgb = np.empty((*alpha.shape, 3), dtype=np.uint8)
        rgb[:] = np.median(unit.rgb.reshape(-1, 3), axis=0)
        for row, y in enumerate(range(0, alpha.shape[0] - height, step_y)):
            for x in range((shift if row % 2 else 0), alpha.shape[1] - width, step_x):
                alpha[y : y + height, x : x + width] = unit.alpha
                rgb[y : y + height, x : x + width] = unit.rgb
        sheet = rotated(Layer(rgb, alpha), degrees)
        x0, y0 = (sheet.size_px[0] - side_w) // 2, (sheet.size_px[1] - side_h) // 2
        window = (slice(y0, y0 + side_h), slice(x0, x0 + side_w))
        return Layer(sheet.rgb[window], sheet.alpha[window])

    def tiled(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Repeat a mark all over the picture, usually rotated, at times with lines between the rows."""
        unit = self._marks.fit(self._unit(rng, canvas, high=0.08), canvas, 0.6)
        degrees = float(rng.choice([0.0, rng.uniform(15, 50), -rng.uniform(15, 50)], p=[0.25, 0.55, 0.2]))
        layer = self._tiling(rng, canvas, unit, degrees=degrees)
        if rng.random() < 0.15:
            layer = over(solid(self._net(rng, canvas), WHITE), layer)
        return canvas.stamp(layer, 0, 0, label="tiled", opacity=faint_opacity(rng), blend=_blend(rng))

    def _net(self, rng: np.random.Generator, canvas: Canvas) -> NDArray[np.uint8]:
        import cv2

        width, height = canvas.size_px
        lines = np.zeros((height, width), dtype=np.uint8)
        thick = max(1, round(width * rng.uniform(0.0015, 0.008)))
        which = rng.random()
        if which < 0.4:
            cv2.line(lines, (0, 0), (width, height), 255, thick, cv2.LINE_AA)
            cv2.line(lines, (width, 0), (0, height), 255, thick, cv2.LINE_AA)
            if rng.random() < 0.25:
                cv2.circle(
                    lines, (width // 2, height // 2), int(width * rng.uniform(0.1, 0.35)), 255, thick, cv2.LINE_AA
                )
        elif which < 0.5:
            for place in np.linspace(0, 1, int(rng.integers(3, 8))):
                cv2.line(lines, (0, int(place * height)), (width, int(place * height)), 255, thick)
                cv2.line(lines, (int(place * width), 0), (int(place * width), height), 255, thick)
        else:
            step, slope = int(width * rng.uniform(0.12, 0.45)), rng.uniform(0.4, 1.8)
            both = rng.random() < 0.8
            for start in range(-2 * height, 3 * height, step):
                cv2.line(lines, (0, start), (width, round(start + slope * width)), 255, thick, cv2.LINE_AA)
                if both:
                    cv2.line(lines, (0, start), (width, round(start - slope * width)), 255, thick, cv2.LINE_AA)
        return (lines * np.float32(rng.uniform(0.4, 1.0))).astype(np.uint8)

    def grid(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Cross the picture with lines (a net, an X) and put a mark in the middle or on a dark band."""
        width, height = canvas.size_px
        fill = WHITE if rng.random() < 0.7 else BLACK
        layer = solid(self._net(rng, canvas), fill)
        size = self._marks.size(rng, canvas, 0.04, 0.16)
        name = self._marks.fit(
            self._marks.text(rng, agency(rng), size, fill, plain_share=0.6, emboss_share=0.1), canvas, 0.85
        )
        if name.size_px[1] < height:
            x, y = (
                (width - name.size_px[0]) // 2,
                int((height - name.size_px[1]) * rng.choice([0.5, rng.uniform(0.3, 0.7)])),
            )
            if rng.random() < 0.12:
                band = np.zeros((height, width), dtype=np.uint8)
                band[max(0, y - size // 3) : y + name.size_px[1] + size // 3] = 140
                layer = over(layer, solid(band, BLACK if fill == WHITE else WHITE))
            layer = over(layer, sheet_of(((name, x, max(0, y)),), width, height))
        return canvas.stamp(layer, 0, 0, label="grid", opacity=faint_opacity(rng), blend=_blend(rng))

    def diagonal(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw one large faint line of text or a large logo across the picture."""
        size = self._marks.size(rng, canvas, 0.07, 0.22)
        fill = WHITE if rng.random() < 0.6 else (BLACK if rng.random() < 0.6 else textures.random_colour(rng))
        text = (agency, notice, handle)[int(rng.integers(3))](rng)
        layer = self._marks.text(rng, text, size, fill, plain_share=0.55, emboss_share=0.15)
        which = rng.random()
        if which < 0.15:
            layer = self._marks.icon(rng, size * 3, fill)
        elif which < 0.3:
            layer = beside(self._marks.icon(rng, round(size * 1.4), fill), layer, size // 3)
        layer = self._marks.fit(layer, canvas, rng.uniform(0.6, 1.15))
        layer = trimmed(
            rotated(layer, float(rng.choice([0.0, rng.uniform(15, 55), -rng.uniform(15, 55)], p=[0.25, 0.5, 0.25])))
        )
        width, height = canvas.size_px
        x = (width - layer.size_px[0]) // 2 + int(rng.normal(0, width * 0.05))
        y = (height - layer.size_px[1]) // 2 + int(rng.normal(0, height * 0.08))
        return canvas.stamp(layer, x, y, label="diagonal", opacity=faint_opacity(rng), blend=_blend(rng))

    def wordmark(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a faint name of moderate size over the subject, as previews of stock sites and shops have it."""
        size = self._marks.size(rng, canvas, 0.022, 0.1)
        fill = WHITE if rng.random() < 0.65 else (BLACK if rng.random() < 0.5 else textures.random_colour(rng))
        layer = self._marks.text(
            rng, agency(rng), size, fill, styles=("plain", "display"), plain_share=0.65, emboss_share=0.1
        )
        if rng.random() < 0.4:
            small = max(8, round(size * rng.uniform(0.35, 0.6)))
            text = (agency, handle, notice)[int(rng.integers(3))](rng)
            second = self._marks.text(rng, text, small, fill, styles=("plain",), plain_share=1.0)
            layer = above(layer, second, max(1, size // 8))
        if rng.random() < 0.4:
            icon = self._marks.icon(rng, round(size * rng.uniform(1.0, 2.0)), fill)
            layer = (
                beside(icon, layer, max(2, size // 5)) if rng.random() < 0.6 else above(icon, layer, max(2, size // 6))
            )
        if rng.random() < 0.15:
            layer = trimmed(rotated(layer, rng.uniform(-35, 35)))
        layer = self._marks.fit(layer, canvas, 0.8)
        free_w, free_h = (side - own for side, own in zip(canvas.size_px, layer.size_px, strict=True))
        opacity, blend = faint_opacity(rng), _blend(rng)
        drawn = False
        for number in range(1 if rng.random() < 0.8 else int(rng.integers(2, 5))):
            in_the_middle = number == 0 and rng.random() < 0.6
            across, down = rng.normal(0.5, 0.06, 2) if in_the_middle else rng.uniform(0, 1, 2)
            x, y = round(float(np.clip(across, 0, 1)) * free_w), round(float(np.clip(down, 0, 1)) * free_h)
            drawn |= canvas.stamp(layer, x, max(0, y), label="wordmark", opacity=opacity, blend=blend)
        return drawn
