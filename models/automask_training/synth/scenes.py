"""Whole pictures with text: posters, comics, painted maps, subtitles."""

from __future__ import annotations

import numpy as np

from automask_training.synth import emblems, textures
from automask_training.synth.lettering import InkStyle, arched, block, paint
from automask_training.synth.raster import Bytes, Canvas, Colour, Layer, resize, rotated, solid, trimmed
from automask_training.synth.scripts import VERTICAL_SCRIPTS
from automask_training.synth.texts import (
    BLACK,
    PLACE_TRIES,
    WHITE,
    TextDrawer,
    contrasting,
    fitted,
    luma,
    random_style,
)

_BUBBLE_SCRIPTS = ("latin", "latin", "kana", "kana", "han", "hans", "hangul")


def comic_page(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Turn a picture into a black-and-white page with screen tone and panels; the gutters belong to the page."""
    side = pixels.shape[0]
    grey = pixels.astype(np.float32).mean(axis=-1)
    low, high = np.percentile(grey, (rng.uniform(2, 25), rng.uniform(70, 97)))
    grey = ((grey - low) / max(1.0, float(high - low))).clip(0, 1) * 255
    if rng.random() < 0.6:
        pitch = rng.uniform(3.0, 7.0)
        y, x = np.mgrid[0:side, 0:side].astype(np.float32)
        screen = (np.sin((x + y) * (2 * np.pi / pitch)) + np.sin((x - y) * (2 * np.pi / pitch))) * 64 + 128
        toned = np.where(grey < 40, 0, np.where(grey > 190, 255, np.where(grey > screen, 255, 40)))
        grey = toned if rng.random() < 0.5 else (toned + grey) / 2
    page = np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)
    gutter, line_px = int(rng.integers(4, 16)), int(rng.integers(1, 4))
    for row in np.cumsum(rng.uniform(0.25, 0.6, 3))[:-1]:
        if row < 0.9 and rng.random() < 0.8:
            y0 = int(row * side)
            page[y0 : y0 + gutter] = 255
            page[y0 - line_px : y0] = page[y0 + gutter : y0 + gutter + line_px] = 0
    if rng.random() < 0.6:
        x0, stop = int(side * rng.uniform(0.3, 0.7)), int(side * rng.choice([0.5, 1.0]))
        page[:stop, x0 : x0 + gutter] = 255
        page[:stop, x0 - line_px : x0] = page[:stop, x0 + gutter : x0 + gutter + line_px] = 0
    return page


def comic_ground(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Return what a comic is lettered on: most often a page in black and white."""
    return comic_page(rng, pixels) if rng.random() < 0.6 else pixels


def chart_ground(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Return what place names stand on: most often a painted map."""
    return textures.parchment(rng, pixels.shape[0]) if rng.random() < 0.65 else pixels


class SceneDrawer:
    """Fills canvases with text the way kinds of pictures do."""

    def __init__(self, texts: TextDrawer) -> None:
        """Write with `texts`."""
        self._texts = texts

    def poster(self, rng: np.random.Generator, canvas: Canvas) -> None:
        """Draw loose text of all sizes, set columns of lines, and badges."""
        side = canvas.size_px[0]
        which = rng.random()
        if which < 0.5:
            self._set_lines(rng, canvas)
            loose = int(rng.integers(0, 4))
        elif which < 0.62:
            self._subtitle(rng, canvas)
            loose = int(rng.integers(0, 2))
        else:
            loose = int(rng.integers(1, 9))
        for _ in range(loose):
            size = int(side * np.exp(rng.uniform(np.log(0.016), np.log(0.17))))
            self._texts.free(rng, canvas, size_px=max(9, size))
        if rng.random() < 0.2:
            for _ in range(int(rng.integers(1, 4))):
                self._badge(rng, canvas)

    def _set_lines(self, rng: np.random.Generator, canvas: Canvas) -> None:
        """Set a title and smaller lines below it, in one to three faces, aligned with each other."""
        side = canvas.size_px[0]
        script = self._texts.pick_script(rng)
        title_px = side * rng.uniform(0.05, 0.16)
        left, width = side * rng.uniform(0.03, 0.4), side * rng.uniform(0.4, 0.9)
        right = min(side * 0.97, left + width)
        y, align = side * rng.uniform(0.03, 0.5), float(rng.choice([0.0, 0.5, 1.0]))
        fill = contrasting(rng, canvas.mean_colour((int(left), int(y), int(right), int(min(side, y + side * 0.4)))))
        for number in range(int(rng.integers(2, 9))):
            size = max(9, int(title_px if number == 0 else title_px * rng.choice([0.3, 0.4, 0.55, 0.8])))
            own = script if rng.random() < 0.75 else "latin"
            coverage = self._texts.line_coverage(
                rng, own, size, words_count=int(rng.integers(1, 3 if number == 0 else 6))
            )
            coverage = fitted(coverage, int(right - left), int(side * 0.3))
            if y + coverage.shape[0] > side * 0.98:
                break
            x = left + (right - left - coverage.shape[1]) * align
            if rng.random() < 0.1:
                fill = contrasting(rng, canvas.mean_colour((int(left), int(y), int(right), int(y + size))))
            style = random_style(rng, fill, size) if number == 0 or rng.random() < 0.15 else InkStyle(fill=fill)
            layer = paint(coverage, style)
            if number and rng.random() < 0.08:
                self._band(rng, canvas, (int(left), int(y), int(right), int(y + coverage.shape[0])))
                layer = paint(
                    coverage,
                    InkStyle(fill=contrasting(rng, canvas.mean_colour((int(left), int(y), int(right), int(y + size))))),
                )
            canvas.stamp(layer, int(x) - style.rim_px, int(y) - style.rim_px, label="text_line")
            y += coverage.shape[0] + size * rng.uniform(0.25, 1.1)

    def _band(self, rng: np.random.Generator, canvas: Canvas, box: tuple[int, int, int, int]) -> None:
        x0, y0, x1, y1 = box
        pad = max(2, (y1 - y0) // 3)
        alpha = np.full((y1 - y0 + 2 * pad, x1 - x0 + 2 * pad), 255, dtype=np.uint8)
        canvas.stamp(
            solid(alpha, textures.random_colour(rng)), x0 - pad, y0 - pad, label=None, opacity=rng.uniform(0.6, 1.0)
        )

    def _subtitle(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        size = int(side * rng.uniform(0.028, 0.06))
        script = self._texts.pick_script(rng)
        lines = [
            self._texts.line_coverage(rng, script, size, words_count=int(rng.integers(2, 7)), styles=("plain",))
            for _ in range(int(rng.integers(1, 3)))
        ]
        fill: Colour = WHITE if rng.random() < 0.75 else (255, 230, 60)
        style = (
            InkStyle(fill=fill, outline_px=max(1, size // 14), outline=BLACK)
            if rng.random() < 0.7
            else InkStyle(fill=fill, shadow_px=(1, 2), shadow_blur_px=1.0)
        )
        y = side * rng.uniform(0.9, 0.97)
        for each in reversed(lines):
            coverage = fitted(each, int(side * 0.94), size * 3)
            y -= coverage.shape[0] + size * 0.3
            canvas.stamp(
                paint(coverage, style),
                (side - coverage.shape[1]) // 2 - style.rim_px,
                int(y) - style.rim_px,
                label="text_line",
            )

    def _badge(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        size = int(side * rng.uniform(0.09, 0.24))
        x, y = int(rng.integers(side - size)), int(rng.integers(side - size))
        if canvas.crowded((x, y, x + size, y + size)):
            return
        colour = textures.random_colour(rng)
        canvas.stamp(emblems.badge(rng, size, colour), x, y, label=None)
        script = self._texts.pick_script(rng)
        lines = [
            fitted(self._texts.line_coverage(rng, each, max(9, size // 4), words_count=1), int(size * 0.72), size // 3)
            for each in (script, "latin", script)[: int(rng.integers(1, 4))]
        ]
        coverage = fitted(block(lines, max(1, size // 20), align=0.5), int(size * 0.8), int(size * 0.7))
        layer = paint(coverage, InkStyle(fill=contrasting(rng, np.asarray(colour, dtype=np.float64), 90)))
        if rng.random() < 0.3:
            layer = trimmed(rotated(layer, rng.normal(0, 12)))
        width, height = layer.size_px
        canvas.stamp(
            layer,
            x + (size - width) // 2,
            y + (size - height) // 2,
            label="text_line" if len(lines) == 1 else "text_block",
        )

    def comic(self, rng: np.random.Generator, canvas: Canvas) -> None:
        """Draw speech bubbles, narration boxes and sound words."""
        for _ in range(int(rng.integers(1, 7))):
            self._bubble(rng, canvas, size_px=int(canvas.size_px[0] * rng.uniform(0.016, 0.05)))
        for _ in range(int(rng.choice([0, 0, 1, 2]))):
            self._sound(rng, canvas)

    def _bubble(self, rng: np.random.Generator, canvas: Canvas, *, size_px: int) -> None:
        """Draw a bubble, which belongs to the picture, and its text, which does not."""
        size_px = max(9, size_px)
        usable = [name for name in _BUBBLE_SCRIPTS if name in self._texts.scripts()]
        script = usable[int(rng.integers(len(usable)))]
        if script in VERTICAL_SCRIPTS and rng.random() < 0.65:
            number = int(rng.integers(1, 6))
            coverage = self._texts.column_coverage(rng, script, size_px, number=number)
        else:
            number = int(rng.integers(1, 5))
            coverage = self._texts.block_coverage(rng, script, size_px, lines=number, styles=("comic", "hand", "plain"))
        side = canvas.size_px[0]
        coverage = fitted(coverage, side // 2, side // 2)
        height, width = coverage.shape
        outer_w, outer_h = int(width * rng.uniform(1.3, 1.8)) + size_px, int(height * rng.uniform(1.3, 1.8)) + size_px
        outer_w, outer_h = min(side, max(outer_w, outer_h * 2 // 5)), min(side, max(outer_h, outer_w * 2 // 5))
        for _ in range(PLACE_TRIES):
            x, y = int(rng.integers(side - outer_w + 1)), int(rng.integers(side - outer_h + 1))
            if not canvas.crowded((x, y, x + outer_w, y + outer_h)):
                break
        else:
            return
        shape, edge = _bubble_shape(rng, outer_w, outer_h)
        paper = WHITE if rng.random() < 0.85 else textures.random_colour(rng)
        canvas.stamp(solid(shape, paper), x, y, label=None, opacity=1.0 if rng.random() < 0.8 else 0.75)
        if rng.random() < 0.9:
            canvas.stamp(solid(edge, BLACK), x, y, label=None)
        layer = paint(coverage, InkStyle(fill=BLACK if luma(paper) > 110 else WHITE))
        left, top = x + (outer_w - layer.size_px[0]) // 2, y + (outer_h - layer.size_px[1]) // 2
        canvas.stamp(layer, left, top, label="text_line" if number == 1 else "text_block")

    def _sound(self, rng: np.random.Generator, canvas: Canvas) -> None:
        side = canvas.size_px[0]
        size = int(side * rng.uniform(0.07, 0.22))
        script = "kana" if "kana" in self._texts.scripts() and rng.random() < 0.7 else "latin"
        if script == "kana" and rng.random() < 0.5:
            coverage = self._texts.column_coverage(rng, script, size, number=1)[: size * 4]
        else:
            coverage = self._texts.line_coverage(rng, script, size, words_count=1, styles=("brush", "comic", "display"))
        coverage = fitted(coverage, int(side * 0.8), int(side * 0.6))
        fill, rim = (BLACK, WHITE) if rng.random() < 0.6 else (WHITE, BLACK)
        layer = paint(coverage, InkStyle(fill=fill, outline_px=max(1, size // 14), outline=rim, hollow=False))
        layer = trimmed(rotated(layer, rng.normal(0, 18)))
        width, height = layer.size_px
        x, y = int(rng.uniform(0, 1) * (side - width)), int(rng.uniform(0, 1) * (side - height))
        if not canvas.crowded((x, y, x + width, y + height)):
            canvas.stamp(layer, x, y, label="text_line")

    def chart(self, rng: np.random.Generator, canvas: Canvas) -> None:
        """Draw place names as on a painted map: small, spread, curved, rotated, in dark ink."""
        ink = textures.near(rng, (60, 35, 20), 30) if rng.random() < 0.7 else textures.random_colour(rng)
        script = self._texts.pick_script(rng)
        for _ in range(int(rng.integers(3, 16))):
            self._place_name(rng, canvas, ink=ink, script=script)

    def _place_name(self, rng: np.random.Generator, canvas: Canvas, *, ink: Colour, script: str) -> None:
        side = canvas.size_px[0]
        size = max(9, int(side * np.exp(rng.uniform(np.log(0.015), np.log(0.07)))))
        coverage = self._texts.line_coverage(
            rng, script, size, words_count=int(rng.integers(1, 3)), styles=("plain", "hand", "display", "brush")
        )
        pale = textures.near(rng, (235, 220, 190), 25)
        style = (
            InkStyle(fill=ink, outline_px=max(1, size // 10), outline=pale)
            if rng.random() < 0.35
            else InkStyle(fill=ink)
        )
        layer = paint(fitted(coverage, int(side * 0.7), side // 3), style)
        layer = self._curved(rng, layer)
        width, height = layer.size_px
        if width >= side or height >= side:
            return
        x, y = int(rng.integers(side - width)), int(rng.integers(side - height))
        if not canvas.crowded((x, y, x + width, y + height)):
            canvas.stamp(layer, x, y, label="text_line", opacity=rng.uniform(0.6, 1.0))

    def _curved(self, rng: np.random.Generator, layer: Layer) -> Layer:
        if rng.random() < 0.35:
            layer = arched(layer, rng.choice([-1, 1]) * rng.uniform(20, 110))
        if rng.random() < 0.5:
            layer = rotated(layer, rng.normal(0, 25))
        return trimmed(layer)


def _bubble_shape(rng: np.random.Generator, width_px: int, height_px: int) -> tuple[Bytes, Bytes]:
    """Return the coverages of a bubble's paper and of its edge, with a tail at times."""
    import cv2

    shape, edge = np.zeros((2, 2 * height_px, 2 * width_px), dtype=np.uint8)
    centre, axes = (width_px, height_px), (width_px - 6, height_px - 6)
    thick, which = 2 * int(rng.integers(1, 4)), rng.random()
    if which < 0.72:
        outline = np.asarray(cv2.ellipse2Poly(centre, axes, 0, 0, 360, 4), dtype=np.int32)
        if rng.random() < 0.3:
            # Squarer than an ellipse, as digital letterers draw them.
            unit = (outline - centre) / np.array(axes)
            outline = (np.sign(unit) * np.abs(unit) ** 0.7 * axes + centre).astype(np.int32)
    elif which < 0.82:
        spikes = emblems.polygon_points(0, 1000.0, int(rng.integers(14, 28)), inner_share=rng.uniform(0.78, 0.9))
        outline = (spikes / 1000.0 * np.array(axes) + centre).astype(np.int32)
    else:
        outline = np.array(
            [[8, 8], [2 * width_px - 8, 8], [2 * width_px - 8, 2 * height_px - 8], [8, 2 * height_px - 8]],
            dtype=np.int32,
        )
    cv2.fillPoly(shape, [outline], 255, cv2.LINE_AA)
    cv2.polylines(edge, [outline], True, 255, thick, cv2.LINE_AA)
    return resize(shape, width_px, height_px), resize(edge, width_px, height_px)
