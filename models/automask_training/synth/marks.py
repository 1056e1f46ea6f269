"""Small watermarks: signatures, credits, date stamps, logos, marks of agencies, AI services and cameras."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automask_training.synth import emblems, textures
from automask_training.synth.backgrounds import PictureCache
from automask_training.synth.index import MaterialIndex
from automask_training.synth.lettering import FontCollection, InkStyle, embossed, line, paint
from automask_training.synth.raster import (
    Blend,
    Canvas,
    Colour,
    Layer,
    blur,
    over,
    resize,
    rotated,
    scaled,
    solid,
    trimmed,
)
from automask_training.synth.scripts import (
    agency,
    camera,
    copyright_line,
    exposure,
    film_date,
    handle,
    person,
    timestamp,
    words,
)
from automask_training.synth.texts import contrasting, luma, rounded_plate

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_STAMP_COLOURS: tuple[Colour, ...] = (
    (255, 140, 40),
    (255, 110, 30),
    (255, 200, 60),
    (255, 255, 255),
    (255, 60, 40),
    (250, 230, 60),
)
_FILM_SHARE = 0.4
_MARGINS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
Box = tuple[int, int, int, int]


def sheet_of(parts: tuple[tuple[Layer, int, int], ...], width_px: int, height_px: int) -> Layer:
    """Lay parts, each with its x and y, onto an empty sheet."""
    rgb = np.empty((height_px, width_px, 3), dtype=np.uint8)
    rgb[:] = np.median(parts[0][0].rgb.reshape(-1, 3), axis=0)
    alpha = np.zeros((height_px, width_px), dtype=np.uint8)
    for part, x, y in parts:
        window = (slice(y, y + part.alpha.shape[0]), slice(x, x + part.alpha.shape[1]))
        rgb[window], alpha[window] = part.rgb, part.alpha
    return Layer(rgb, alpha)


def beside(left: Layer, right: Layer, gap_px: int) -> Layer:
    """Set two layers side by side, centred on a common line."""
    (left_w, left_h), (right_w, right_h) = left.size_px, right.size_px
    height = max(left_h, right_h)
    parts = ((left, 0, (height - left_h) // 2), (right, left_w + gap_px, (height - right_h) // 2))
    return sheet_of(parts, left_w + gap_px + right_w, height)


def above(top: Layer, bottom: Layer, gap_px: int) -> Layer:
    """Set two layers one above the other, centred."""
    (top_w, top_h), (bottom_w, bottom_h) = top.size_px, bottom.size_px
    width = max(top_w, bottom_w)
    parts = ((top, (width - top_w) // 2, 0), (bottom, (width - bottom_w) // 2, top_h + gap_px))
    return sheet_of(parts, width, top_h + gap_px + bottom_h)


def mark_style(rng: np.random.Generator, fill: Colour, size_px: int) -> InkStyle:
    """Return a style for marks: shadowed, outlined or glowing."""
    opposite = BLACK if luma(fill) > 110 else WHITE
    which = rng.random()
    if which < 0.45:
        offset = max(1, round(size_px * rng.uniform(0.02, 0.09)))
        return InkStyle(
            fill=fill,
            shadow_px=(offset, offset),
            shadow_blur_px=float(rng.choice([0.0, 0.8, 1.6])),
            shadow=opposite,
            shadow_strength=rng.uniform(0.3, 0.9),
        )
    if which < 0.87:
        hollow = rng.random() < 0.2
        return InkStyle(
            fill=fill,
            hollow=hollow,
            outline_px=max(1, round(size_px * rng.uniform(0.02, 0.08))),
            outline=fill if hollow else opposite,
        )
    return InkStyle(fill=fill, glow_px=max(1, round(size_px * 0.1)), glow=opposite)


class MarkDrawer:
    """Puts small marks on a canvas; the methods named like labels return whether something was drawn."""

    def __init__(self, cache: PictureCache, index: MaterialIndex, fonts: FontCollection) -> None:
        """Use logos and mark artwork of `index`, and the faces of `fonts`."""
        self._cache, self._index, self._fonts = cache, index, fonts
        self._by_label: dict[str, Callable[[np.random.Generator, Canvas], bool]] = {
            "signature": self.signature,
            "copyright": self.copyright,
            "username": self.username,
            "timestamp": self.timestamp,
            "logo": self.logo,
            "ai_mark": self.ai_mark,
            "corner": self.corner,
        }

    def draw(self, rng: np.random.Generator, canvas: Canvas, label: str) -> bool:
        """Draw a mark of a finer label."""
        return self._by_label[label](rng, canvas)

    def scripts(self) -> frozenset[str]:
        """Return the scripts that can be written."""
        return self._fonts.scripts()

    # ---- pieces, also for spread marks ----

    def text(
        self,
        rng: np.random.Generator,
        text: str,
        size_px: int,
        fill: Colour,
        *,
        styles: tuple[str, ...] = ("plain", "plain", "display", "hand"),
        script: str = "latin",
        plain_share: float = 0.62,
        emboss_share: float = 0.0,
    ) -> Layer:
        """Draw a line of text: in `fill` alone, embossed, or in a random style."""
        face = self._fonts.choose(rng, script, styles, also="copyright" if "©" in text else None)
        tracking = size_px * rng.uniform(0.05, 0.4) if rng.random() < 0.12 else 0.0
        coverage = line(text, self._fonts.font(face, size_px, script), tracking_px=tracking)
        if rng.random() < emboss_share:
            return trimmed(embossed(coverage, max(1, size_px // 24)))
        style = InkStyle(fill=fill) if rng.random() < plain_share else mark_style(rng, fill, size_px)
        return trimmed(paint(coverage, style))

    def icon(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """Draw a logo from the set, or a crest."""
        if self._index.logos and rng.random() < 0.75:
            alpha = self._cache.get(self._index.logos[int(rng.integers(len(self._index.logos)))].file)
            icon = trimmed(solid(alpha, colour))
            return scaled(icon, side_px / max(icon.size_px))
        initials = person(rng)[0].upper() + (person(rng)[0].upper() if rng.random() < 0.5 else "")
        font = self._fonts.font(self._fonts.choose(rng, "latin"), max(16, side_px), "latin")
        small = self._fonts.font(self._fonts.choose(rng, "latin", ("plain", "display")), max(9, side_px // 4), "latin")
        return emblems.crest(
            rng, side_px, colour, initials=initials, motto=agency(rng).upper(), font_of=font, small_font=small
        )

    def size(self, rng: np.random.Generator, canvas: Canvas, low: float, high: float) -> int:
        """Return a size in pixels between two shares of the canvas's height, log-uniform, at least 8."""
        return max(8, round(canvas.size_px[1] * float(np.exp(rng.uniform(np.log(low), np.log(high))))))

    def fit(self, layer: Layer, canvas: Canvas, share: float = 0.94) -> Layer:
        """Shrink a layer that is wider than a share of the canvas."""
        limit = canvas.size_px[0] * share
        width = layer.size_px[0]
        return scaled(layer, limit / width) if width > limit else layer

    # ---- placing ----

    def _where(self, rng: np.random.Generator, canvas: Canvas, layer: Layer, *, corner_share: float) -> tuple[int, int]:
        side_w, side_h = canvas.size_px
        width, height = layer.size_px
        free_w, free_h = side_w - width, side_h - height
        margin = int(min(side_w, side_h) * rng.choice(_MARGINS))
        which = rng.random()
        if which < corner_share:
            right, bottom = rng.random() < 0.68, rng.random() < 0.78
            return (free_w - margin if right else margin), (free_h - margin if bottom else margin)
        if which < corner_share + 0.6 * (1 - corner_share):
            return free_w // 2, (free_h - margin if rng.random() < 0.75 else margin)
        return int(rng.uniform(0, 1) * free_w), int(rng.uniform(0, 1) * free_h)

    def put(
        self,
        rng: np.random.Generator,
        canvas: Canvas,
        layer: Layer,
        *,
        label: str,
        opacity: float,
        corner_share: float = 0.72,
        blend: Blend | None = None,
    ) -> bool:
        """Fit a layer in and stamp it where marks of its sort stand; returns whether it was drawn."""
        layer = self.fit(layer, canvas)
        if blend is None:
            blend = "normal" if rng.random() < 0.93 else ("overlay" if rng.random() < 0.5 else "screen")
        for _ in range(4):
            x, y = self._where(rng, canvas, layer, corner_share=corner_share)
            if not canvas.crowded((x, y, x + layer.size_px[0], y + layer.size_px[1])):
                return canvas.stamp(layer, x, y, label=label, opacity=opacity, blend=blend)
        return False

    def ink(self, rng: np.random.Generator, canvas: Canvas, *, white_share: float) -> Colour:
        """Return white, or a colour that stands out from the foot of the canvas."""
        if rng.random() < white_share:
            return WHITE
        side = canvas.size_px[0]
        return contrasting(rng, canvas.mean_colour((0, side * 3 // 4, side, side)))

    def _faint(self, rng: np.random.Generator, *, low: float) -> float:
        return 1.0 if rng.random() < 0.25 else rng.uniform(low, 0.98)

    def plated(self, rng: np.random.Generator, layer: Layer, size_px: int) -> Layer:
        """Lay a layer on a plate with a margin; `size_px` is the size of its letters."""
        pad = max(2, round(size_px * rng.uniform(0.2, 0.6)))
        width, height = layer.size_px
        colour = BLACK if luma(np.median(layer.rgb.reshape(-1, 3), axis=0)) > 110 else WHITE
        if rng.random() < 0.2:
            colour = textures.random_colour(rng)
        plate = rounded_plate(width + 2 * pad, height + 2 * pad, round(pad * rng.uniform(0, 2)))
        plate = (plate * np.float32(rng.uniform(0.3, 1.0))).astype(np.uint8)
        rgb = np.pad(layer.rgb, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        return over(solid(plate, colour), Layer(rgb, np.pad(layer.alpha, pad)))

    # ---- the marks ----

    def signature(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a painter's signature, in the East at times with a red seal."""
        size = self.size(rng, canvas, 0.022, 0.11)
        fill = self.ink(rng, canvas, white_share=0.3)
        if rng.random() < 0.25 and "han" in self.scripts():
            layer = self.text(
                rng, words(rng, "han", 1)[:3], size, fill, styles=("brush",), script="han", plain_share=1.0
            )
            if rng.random() < 0.5:
                font = self._fonts.font(self._fonts.choose(rng, "han"), max(12, size), "han")
                characters = [line(each, font) for each in words(rng, "han", 2)[: int(rng.choice([1, 2, 4]))]]
                red = textures.near(rng, (190, 30, 30), 25)
                mark = emblems.seal(rng, characters, max(12, round(size * rng.uniform(0.7, 1.3))), red)
                layer = (
                    mark
                    if rng.random() < 0.3
                    else (above if rng.random() < 0.5 else beside)(layer, mark, max(2, size // 4))
                )
        else:
            text = person(rng) + (f" {int(rng.integers(1990, 2027))}" if rng.random() < 0.2 else "")
            layer = self.text(rng, text, size, fill, styles=("hand", "brush"), plain_share=0.9)
            if rng.random() < 0.12:
                layer = above(
                    layer, solid(np.full((max(1, size // 16), layer.size_px[0]), 255, dtype=np.uint8), fill), 1
                )
        if rng.random() < 0.5:
            layer = trimmed(rotated(layer, rng.normal(6, 8)))
        return self.put(rng, canvas, layer, label="signature", opacity=rng.uniform(0.25, 1.0), corner_share=0.8)

    def _line_mark(self, rng: np.random.Generator, canvas: Canvas, text: str, *, label: str) -> bool:
        size = self.size(rng, canvas, 0.013, 0.06)
        fill = self.ink(rng, canvas, white_share=0.6)
        styles = ("plain", "display", "hand", "comic") if rng.random() < 0.4 else ("plain",)
        layer = self.text(rng, text, size, fill, styles=styles)
        which = rng.random()
        if which < 0.2:
            layer = beside(self.icon(rng, round(size * rng.uniform(0.9, 1.6)), fill), layer, max(2, size // 4))
        if which > 0.92:
            layer = self.plated(rng, layer, size)
        if rng.random() < 0.06:
            layer = rotated(layer, 90 if rng.random() < 0.7 else -90)
        return self.put(rng, canvas, layer, label=label, opacity=self._faint(rng, low=0.15))

    def copyright(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a copyright or credit line."""
        return self._line_mark(rng, canvas, copyright_line(rng), label="copyright")

    def username(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a user name or an address."""
        return self._line_mark(rng, canvas, handle(rng), label="username")

    def timestamp(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a date stamp, in seven-segment digits or a plain face, or as light on film."""
        if rng.random() < _FILM_SHARE:
            return self._film_date(rng, canvas)
        size = self.size(rng, canvas, 0.018, 0.06)
        colour = _STAMP_COLOURS[int(rng.integers(len(_STAMP_COLOURS)))]
        style = InkStyle(fill=colour)
        effect = rng.random()
        if effect < 0.25:
            style = InkStyle(fill=colour, glow_px=max(1, size // 9), glow=(255, 80, 0) if colour != WHITE else BLACK)
        elif effect < 0.45:
            style = InkStyle(fill=colour, outline_px=max(1, size // 14), outline=BLACK)
        text = timestamp(rng)
        if rng.random() < 0.4 and not text.endswith("M"):
            coverage = emblems.segment_line(text, size, slant=float(rng.choice([0.0, 0.12])))
        else:
            face = self._fonts.choose(rng, "latin", ("plain", "display") if rng.random() < 0.85 else ("fancy",))
            coverage = line(text, self._fonts.font(face, size, "latin"))
        layer = trimmed(paint(coverage, style))
        return self.put(rng, canvas, layer, label="timestamp", opacity=rng.uniform(0.7, 1.0), corner_share=0.9)

    def _film_date(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        # Lamps behind the film add their light: digits are soft, uneven, and fade where the picture is bright.
        size, text = self.size(rng, canvas, 0.022, 0.09), film_date(rng)
        if rng.random() < 0.7:
            coverage = emblems.segment_line(text, size, slant=float(rng.choice([0.0, 0.0, 0.1])))
        else:
            coverage = emblems.dot_line(text, size)
        coverage = np.pad(coverage, max(2, size // 4))
        soft = blur(coverage, size * rng.uniform(0.02, 0.08)).astype(np.float32)
        uneven = resize(rng.integers(110, 256, (2, 6), dtype=np.uint8), coverage.shape[1], coverage.shape[0])
        glow = rng.uniform(0.0, 0.1) * blur(coverage, size * 0.15).astype(np.float32)
        light = np.clip(np.maximum(soft * 1.3, glow) * (uneven / np.float32(255)), 0, 255).astype(np.uint8)
        colour = (int(rng.integers(225, 256)), int(rng.integers(20, 170)), int(rng.integers(10, 70)))
        layer = trimmed(solid(light, colour))
        opacity = rng.uniform(0.6, 1.0)
        return self.put(rng, canvas, layer, label="timestamp", opacity=opacity, corner_share=0.9, blend="screen")

    def logo(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a logo."""
        side = self.size(rng, canvas, 0.04, 0.25)
        layer = self.icon(rng, side, self.ink(rng, canvas, white_share=0.5))
        if rng.random() < 0.2:
            layer = self.plated(rng, layer, side // 3)
        return self.put(rng, canvas, layer, label="logo", opacity=self._faint(rng, low=0.12), corner_share=0.65)

    def corner(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw an agency's name with its logo beside or above it, at times with a second line."""
        size = self.size(rng, canvas, 0.018, 0.07)
        fill = self.ink(rng, canvas, white_share=0.6)
        layer = self.text(rng, agency(rng), size, fill, styles=("plain", "display"))
        if rng.random() < 0.3:
            second = self.text(rng, handle(rng), max(8, size // 2), fill, styles=("plain",), plain_share=1.0)
            layer = above(layer, second, max(1, size // 6))
        if rng.random() < 0.85:
            icon = self.icon(rng, round(size * rng.uniform(1.0, 2.6)), fill)
            layer = (
                beside(icon, layer, max(2, size // 4)) if rng.random() < 0.65 else above(icon, layer, max(2, size // 5))
            )
        return self.put(rng, canvas, layer, label="corner", opacity=self._faint(rng, low=0.12), corner_share=0.8)

    def ai_mark(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw the mark of an AI service or a camera maker: artwork when there is any, else a name with a spark."""
        if not self._index.marks or rng.random() < 0.2:
            size = self.size(rng, canvas, 0.016, 0.045)
            fill = self.ink(rng, canvas, white_share=0.8)
            layer = self.text(rng, f"{agency(rng).title()} AI", size, fill, styles=("plain",), plain_share=0.8)
            spark = solid(np.zeros((size, size), dtype=np.uint8), fill)
            _fill_star(spark, size)
            layer = beside(spark, layer, max(2, size // 4))
            if rng.random() < 0.3:
                layer = self.plated(rng, layer, size)
        else:
            layer = self._artwork(rng)
            layer = scaled(layer, canvas.size_px[0] * rng.uniform(0.07, 0.28) / max(layer.size_px))
        return self.put(rng, canvas, layer, label="ai_mark", opacity=rng.uniform(0.35, 1.0), corner_share=0.92)

    def _artwork(self, rng: np.random.Generator) -> Layer:
        pixels = self._cache.get(self._index.marks[int(rng.integers(len(self._index.marks)))].file)
        return Layer(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))

    def camera_bar(self, rng: np.random.Generator, canvas: Canvas, bar: Box) -> bool:
        """Write what phones put on the bar under a photograph: model, exposure, date and a maker's logo."""
        x0, y0, x1, y1 = bar
        high = y1 - y0
        ground = canvas.mean_colour(bar)
        strong: Colour = BLACK if luma(ground) > 128 else WHITE
        weak: Colour = (128, 128, 128)
        pad = round((x1 - x0) * rng.uniform(0.02, 0.06))
        size = max(8, round(high * rng.uniform(0.2, 0.32)))
        left = above(
            self.text(rng, camera(rng), size, strong, styles=("plain",), plain_share=1.0),
            self.text(rng, timestamp(rng), max(8, size * 3 // 4), weak, styles=("plain",), plain_share=1.0),
            max(2, size // 3),
        )
        right = self.text(rng, exposure(rng), size, strong, styles=("plain",), plain_share=1.0)
        logo = self._artwork(rng) if self._index.marks else self.icon(rng, size * 2, strong)
        logo = scaled(logo, high * 0.5 / logo.size_px[1])
        if logo.size_px[0] < (x1 - x0) // 4:
            right = beside(logo, right, max(4, size))
        drawn = canvas.stamp(left, x0 + pad, y0 + (high - left.size_px[1]) // 2, label="ai_mark")
        x = x1 - pad - right.size_px[0]
        if x > x0 + pad + left.size_px[0]:
            drawn |= canvas.stamp(right, x, y0 + (high - right.size_px[1]) // 2, label="ai_mark")
        return drawn


def _fill_star(layer: Layer, side_px: int) -> None:
    import cv2

    points = emblems.polygon_points(side_px // 2, side_px / 2, 4, inner_share=0.35)
    cv2.fillPoly(layer.alpha, [points], 255, cv2.LINE_AA)
