"""Watermarks: signatures, credits, date stamps, logos, AI-service marks, tiled, grid and diagonal marks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automask_models.training.synth import textures
from automask_models.training.synth.backgrounds import PictureCache
from automask_models.training.synth.index import MaterialIndex
from automask_models.training.synth.lettering import FontShelf, InkStyle, line, paint
from automask_models.training.synth.raster import Blend, Bytes, Canvas, Colour, Layer, over, resize, rotated, scaled, solid, trimmed
from automask_models.training.synth.scripts import agency, copyright_line, handle, notice, person, timestamp, words
from automask_models.training.synth.texts import contrasting, luma, rounded_plate

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_STAMP_COLOURS: tuple[Colour, ...] = ((255, 140, 40), (255, 110, 30), (255, 200, 60), (255, 255, 255), (255, 60, 40), (250, 230, 60))


def beside(left: Layer, right: Layer, gap_px: int) -> Layer:
    """Set two layers side by side, centred on a common line."""
    height = max(left.size_px[1], right.size_px[1])
    width = left.size_px[0] + gap_px + right.size_px[0]
    return _sheet(((left, 0, (height - left.size_px[1]) // 2), (right, left.size_px[0] + gap_px, (height - right.size_px[1]) // 2)), width, height)


def above(top: Layer, bottom: Layer, gap_px: int) -> Layer:
    """Set two layers one above the other, centred."""
    width = max(top.size_px[0], bottom.size_px[0])
    height = top.size_px[1] + gap_px + bottom.size_px[1]
    return _sheet((((top, (width - top.size_px[0]) // 2, 0)), (bottom, (width - bottom.size_px[0]) // 2, top.size_px[1] + gap_px)), width, height)


def _sheet(parts: tuple[tuple[Layer, int, int], ...], width_px: int, height_px: int) -> Layer:
    rgb = np.empty((height_px, width_px, 3), dtype=np.uint8)
    rgb[:] = np.median(parts[0][0].rgb.reshape(-1, 3), axis=0)
    alpha = np.zeros((height_px, width_px), dtype=np.uint8)
    for part, x, y in parts:
        window = (slice(y, y + part.alpha.shape[0]), slice(x, x + part.alpha.shape[1]))
        rgb[window], alpha[window] = part.rgb, part.alpha
    return Layer(rgb, alpha)


class MarkDrawer:
    """Puts watermarks on a canvas; every method returns whether something was drawn."""

    def __init__(self, cache: PictureCache, index: MaterialIndex, shelf: FontShelf) -> None:
        """Use logos and mark artwork of `index`, and the faces of `shelf`."""
        self._cache, self._index, self._shelf = cache, index, shelf
        self._by_label: dict[str, Callable[[np.random.Generator, Canvas], bool]] = {
            "signature": self.signature,
            "copyright": self.copyright,
            "username": self.username,
            "timestamp": self.timestamp,
            "logo": self.logo,
            "ai_mark": self.ai_mark,
            "corner": self.corner,
            "tiled": self.tiled,
            "grid": self.grid,
            "diagonal": self.diagonal,
        }

    def draw(self, rng: np.random.Generator, canvas: Canvas, label: str) -> bool:
        """Draw a mark of a finer label."""
        return self._by_label[label](rng, canvas)

    # ---- pieces ----

    def _text(self, rng: np.random.Generator, text: str, size_px: int, style: InkStyle, *, styles: tuple[str, ...] = (), script: str = "latin") -> Layer:
        face = self._shelf.choose(rng, script, styles, also="copyright" if "©" in text else None)
        tracking = size_px * rng.uniform(0.05, 0.4) if rng.random() < 0.12 else 0.0
        return trimmed(paint(line(text, self._shelf.font(face, size_px, script), tracking_px=tracking), style))

    def _icon(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        if self._index.logos and rng.random() < 0.8:
            alpha = self._cache.get(self._index.logos[int(rng.integers(len(self._index.logos)))].file)
            icon = trimmed(solid(alpha, colour))
            return scaled(icon, side_px / max(icon.size_px))
        return self._crest(rng, side_px, colour)

    def _crest(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        import cv2

        side = max(24, side_px) * 2
        alpha = np.zeros((side, side), dtype=np.uint8)
        centre, radius = (side // 2, side // 2), side // 2 - 3
        filled = rng.random() < 0.4
        if rng.random() < 0.7:
            cv2.circle(alpha, centre, radius, 255, -1 if filled else max(2, side // 24), cv2.LINE_AA)
        else:
            corners = int(rng.integers(3, 9))
            angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) - np.pi / 2
            points = (np.array(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)).astype(np.int32)
            if filled:
                cv2.fillPoly(alpha, [points], 255, cv2.LINE_AA)
            else:
                cv2.polylines(alpha, [points], True, 255, max(2, side // 24), cv2.LINE_AA)
        if not filled and rng.random() < 0.5:
            cv2.circle(alpha, centre, radius * 3 // 4, 255, max(1, side // 40), cv2.LINE_AA)
        initials = person(rng)[0].upper() + (person(rng)[0].upper() if rng.random() < 0.5 else "")
        letters = line(initials, self._shelf.font(self._shelf.choose(rng, "latin"), side // 3, "latin"))
        y, x = (side - letters.shape[0]) // 2, (side - letters.shape[1]) // 2
        if y >= 0 and x >= 0:
            window = alpha[y : y + letters.shape[0], x : x + letters.shape[1]]
            window[:] = np.where(letters > 0, np.abs(window.astype(np.int16) * (1 if filled else 0) - letters).astype(np.uint8), window)
        return Layer(*(resize(each, side_px, side_px) for each in (solid(alpha, colour).rgb, alpha)))

    def _where(self, rng: np.random.Generator, canvas: Canvas, layer: Layer, *, corner_share: float = 0.72) -> tuple[int, int]:
        side_w, side_h = canvas.size_px
        width, height = layer.size_px
        free_w, free_h = side_w - width, side_h - height
        margin = int(min(side_w, side_h) * rng.choice([0.01, 0.02, 0.03, 0.05, 0.08]))
        which = rng.random()
        if which < corner_share:
            right = rng.random() < 0.68
            bottom = rng.random() < 0.78
            return (free_w - margin if right else margin), (free_h - margin if bottom else margin)
        if which < corner_share + 0.14:
            return free_w // 2, (free_h - margin if rng.random() < 0.75 else margin)
        return int(rng.uniform(0, 1) * free_w), int(rng.uniform(0, 1) * free_h)

    def _fit(self, layer: Layer, canvas: Canvas, share: float = 0.94) -> Layer:
        limit = canvas.size_px[0] * share
        width = layer.size_px[0]
        return scaled(layer, limit / width) if width > limit else layer

    def _put(
        self, rng: np.random.Generator, canvas: Canvas, layer: Layer, *, label: str, opacity: float, corner_share: float = 0.72, blend: Blend = "normal"
    ) -> bool:
        layer = self._fit(layer, canvas)
        x, y = self._where(rng, canvas, layer, corner_share=corner_share)
        return canvas.stamp(layer, x, y, label=label, opacity=opacity, blend=blend)

    def _style(self, rng: np.random.Generator, fill: Colour, size_px: int) -> InkStyle:
        opposite = _BLACK if luma(fill) > 110 else _WHITE
        which = rng.random()
        if which < 0.62:
            return InkStyle(fill=fill)
        if which < 0.78:
            offset = max(1, round(size_px * rng.uniform(0.02, 0.09)))
            return InkStyle(fill=fill, shadow_px=(offset, offset), shadow_blur_px=float(rng.choice([0.0, 0.8, 1.6])), shadow=opposite, shadow_strength=rng.uniform(0.3, 0.9))
        if which < 0.93:
            return InkStyle(fill=fill, outline_px=max(1, round(size_px * rng.uniform(0.02, 0.08))), outline=opposite)
        return InkStyle(fill=fill, glow_px=max(1, round(size_px * 0.1)), glow=opposite)

    def _size(self, rng: np.random.Generator, canvas: Canvas, low: float, high: float) -> int:
        return max(8, round(canvas.size_px[1] * float(np.exp(rng.uniform(np.log(low), np.log(high))))))

    def _ink(self, rng: np.random.Generator, canvas: Canvas, *, white_share: float) -> Colour:
        if rng.random() < white_share:
            return _WHITE
        side = canvas.size_px[0]
        return contrasting(rng, canvas.mean_colour((0, side * 3 // 4, side, side)))

    # ---- small marks ----

    def signature(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a painter's signature."""
        size = self._size(rng, canvas, 0.022, 0.11)
        east = rng.random() < 0.25 and "han" in self._shelf.scripts()
        script = "han" if east else "latin"
        text = words(rng, "han", 1)[:3] if east else person(rng) + (f" {int(rng.integers(1990, 2027))}" if rng.random() < 0.2 else "")
        layer = self._text(rng, text, size, InkStyle(fill=self._ink(rng, canvas, white_share=0.3)), styles=("brush",) if east else ("hand", "brush"), script=script)
        if rng.random() < 0.5:
            layer = trimmed(rotated(layer, rng.normal(6, 8)))
        return self._put(rng, canvas, layer, label="signature", opacity=rng.uniform(0.25, 1.0), corner_share=0.8)

    def _line_mark(self, rng: np.random.Generator, canvas: Canvas, text: str, *, label: str, low: float = 0.013, high: float = 0.06) -> bool:
        size = self._size(rng, canvas, low, high)
        fill = self._ink(rng, canvas, white_share=0.6)
        layer = self._text(rng, text, size, self._style(rng, fill, size), styles=("plain", "plain", "display", "hand", "comic") if rng.random() < 0.85 else ())
        which = rng.random()
        if which < 0.2:
            layer = beside(self._icon(rng, round(size * rng.uniform(0.9, 1.6)), fill), layer, max(2, size // 4))
        if which > 0.92:
            layer = self._plated(rng, layer, size)
        if rng.random() < 0.05:
            layer = rotated(layer, 90)
        return self._put(rng, canvas, layer, label=label, opacity=self._faint(rng, low=0.18))

    def _faint(self, rng: np.random.Generator, *, low: float) -> float:
        return 1.0 if rng.random() < 0.25 else rng.uniform(low, 0.98)

    def _plated(self, rng: np.random.Generator, layer: Layer, size_px: int) -> Layer:
        pad = max(2, round(size_px * rng.uniform(0.2, 0.6)))
        width, height = layer.size_px
        colour = _BLACK if luma(np.median(layer.rgb.reshape(-1, 3), axis=0)) > 110 else _WHITE
        plate = (rounded_plate(width + 2 * pad, height + 2 * pad, round(pad * rng.uniform(0, 2))) * np.float32(rng.uniform(0.3, 1.0))).astype(np.uint8)
        rgb = np.pad(layer.rgb, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        return over(solid(plate, colour), Layer(rgb, np.pad(layer.alpha, pad)))

    def copyright(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a copyright or credit line."""
        return self._line_mark(rng, canvas, copyright_line(rng), label="copyright")

    def username(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a user name or an address."""
        return self._line_mark(rng, canvas, handle(rng), label="username")

    def timestamp(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a date stamp."""
        size = self._size(rng, canvas, 0.018, 0.06)
        colour = _STAMP_COLOURS[int(rng.integers(len(_STAMP_COLOURS)))]
        style = InkStyle(fill=colour)
        effect = rng.random()
        if effect < 0.25:
            style = InkStyle(fill=colour, glow_px=max(1, size // 9), glow=(255, 80, 0) if colour != _WHITE else _BLACK)
        elif effect < 0.45:
            style = InkStyle(fill=colour, outline_px=max(1, size // 14), outline=_BLACK)
        layer = self._text(rng, timestamp(rng), size, style, styles=("mono", "plain", "display"))
        return self._put(rng, canvas, layer, label="timestamp", opacity=rng.uniform(0.7, 1.0), corner_share=0.9)

    def logo(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a logo."""
        side = self._size(rng, canvas, 0.04, 0.25)
        fill = self._ink(rng, canvas, white_share=0.5)
        layer = self._icon(rng, side, fill)
        if rng.random() < 0.2:
            layer = self._plated(rng, layer, side // 3)
        return self._put(rng, canvas, layer, label="logo", opacity=self._faint(rng, low=0.15), corner_share=0.65)

    def corner(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw an agency's name with its logo beside or above it."""
        size = self._size(rng, canvas, 0.018, 0.07)
        fill = self._ink(rng, canvas, white_share=0.6)
        name = self._text(rng, agency(rng), size, self._style(rng, fill, size), styles=("plain", "display"))
        icon = self._icon(rng, round(size * rng.uniform(1.0, 2.6)), fill)
        layer = beside(icon, name, max(2, size // 4)) if rng.random() < 0.65 else above(icon, name, max(2, size // 5))
        return self._put(rng, canvas, layer, label="corner", opacity=self._faint(rng, low=0.18), corner_share=0.8)

    def ai_mark(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw the mark of an AI service or a camera maker; an agency's name when there is no artwork."""
        if not self._index.marks:
            return self._line_mark(rng, canvas, f"{agency(rng)} AI", label="ai_mark")
        pixels = self._cache.get(self._index.marks[int(rng.integers(len(self._index.marks)))].file)
        layer = Layer(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))
        layer = scaled(layer, canvas.size_px[0] * rng.uniform(0.07, 0.28) / max(layer.size_px))
        return self._put(rng, canvas, layer, label="ai_mark", opacity=rng.uniform(0.35, 1.0), corner_share=0.92)

    # ---- marks all over ----

    def _unit(self, rng: np.random.Generator, canvas: Canvas, *, high: float) -> Layer:
        size = self._size(rng, canvas, 0.02, high)
        fill = _WHITE if rng.random() < 0.6 else (_BLACK if rng.random() < 0.5 else textures.random_colour(rng))
        which = rng.random()
        style = self._style(rng, fill, size) if rng.random() < 0.5 else InkStyle(fill=fill)
        if which < 0.15:
            return self._icon(rng, size * 2, fill)
        text = (agency, handle, notice, copyright_line)[int(rng.choice(4, p=[0.45, 0.25, 0.2, 0.1]))](rng)
        layer = self._text(rng, text, size, style, styles=("plain", "display", "hand"))
        return beside(self._icon(rng, round(size * 1.4), fill), layer, size // 3) if which < 0.45 else layer

    def _tiling(self, rng: np.random.Generator, canvas: Canvas, unit: Layer, *, degrees: float) -> Layer:
        side = max(canvas.size_px)
        width, height = unit.size_px
        step_x, step_y = int(width * rng.uniform(1.15, 2.2)) + 4, int(height * rng.uniform(1.6, 6.0)) + 6
        shift = step_x // 2 if rng.random() < 0.6 else 0
        reach = int(side * 1.45) if abs(degrees) > 1 else side
        alpha = np.zeros((reach + step_y, reach + 2 * step_x), dtype=np.uint8)
        rgb = np.empty((*alpha.shape, 3), dtype=np.uint8)
        rgb[:] = np.median(unit.rgb.reshape(-1, 3), axis=0)
        for row, y in enumerate(range(0, alpha.shape[0] - height, step_y)):
            for x in range((shift if row % 2 else 0), alpha.shape[1] - width, step_x):
                alpha[y : y + height, x : x + width] = unit.alpha
                rgb[y : y + height, x : x + width] = unit.rgb
        sheet = rotated(Layer(rgb, alpha), degrees)
        x0, y0 = (sheet.size_px[0] - canvas.size_px[0]) // 2, (sheet.size_px[1] - canvas.size_px[1]) // 2
        window = (slice(y0, y0 + canvas.size_px[1]), slice(x0, x0 + canvas.size_px[0]))
        return Layer(sheet.rgb[window], sheet.alpha[window])

    def tiled(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Repeat a mark all over the picture, usually rotated."""
        unit = self._fit(self._unit(rng, canvas, high=0.08), canvas, 0.6)
        degrees = float(rng.choice([0.0, rng.uniform(15, 50), -rng.uniform(15, 50)], p=[0.25, 0.55, 0.2]))
        layer = self._tiling(rng, canvas, unit, degrees=degrees)
        return canvas.stamp(layer, 0, 0, label="tiled", opacity=rng.uniform(0.08, 0.6), blend=self._blend(rng))

    def _blend(self, rng: np.random.Generator) -> Blend:
        blends: tuple[Blend, ...] = ("normal", "screen", "overlay", "multiply")
        return blends[int(rng.choice(4, p=[0.8, 0.08, 0.07, 0.05]))]

    def grid(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Cross the picture with lines (a net, an X, a star) and put a mark in the middle or along them."""
        import cv2

        width, height = canvas.size_px
        lines = np.zeros((height, width), dtype=np.uint8)
        thick = max(1, round(width * rng.uniform(0.0015, 0.008)))
        if rng.random() < 0.45:
            cv2.line(lines, (0, 0), (width, height), 255, thick, cv2.LINE_AA)
            cv2.line(lines, (width, 0), (0, height), 255, thick, cv2.LINE_AA)
        else:
            step, slope = int(width * rng.uniform(0.12, 0.45)), rng.uniform(0.5, 1.5)
            for start in range(-2 * height, 3 * height, step):
                cv2.line(lines, (0, start), (width, round(start + slope * width)), 255, thick, cv2.LINE_AA)
                cv2.line(lines, (0, start), (width, round(start - slope * width)), 255, thick, cv2.LINE_AA)
        fill = _WHITE if rng.random() < 0.7 else _BLACK
        layer = solid((lines * np.float32(rng.uniform(0.4, 1.0))).astype(np.uint8), fill)
        size = self._size(rng, canvas, 0.04, 0.16)
        name = self._fit(self._text(rng, agency(rng), size, self._style(rng, fill, size), styles=("plain", "display")), canvas, 0.85)
        x, y = (width - name.size_px[0]) // 2, int((height - name.size_px[1]) * rng.choice([0.5, rng.uniform(0.3, 0.7)]))
        sheet = _sheet(((name, x, max(0, y)),), width, height) if name.size_px[1] < height else layer
        return canvas.stamp(over(layer, sheet), 0, 0, label="grid", opacity=rng.uniform(0.1, 0.6), blend=self._blend(rng))

    def diagonal(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw one large faint line of text or logo across the picture."""
        size = self._size(rng, canvas, 0.07, 0.22)
        fill = _WHITE if rng.random() < 0.6 else (_BLACK if rng.random() < 0.6 else textures.random_colour(rng))
        text = (agency, notice, handle)[int(rng.integers(3))](rng)
        layer = self._fit(self._text(rng, text, size, self._style(rng, fill, size), styles=("plain", "display", "hand")), canvas, 1.15)
        layer = trimmed(rotated(layer, float(rng.choice([0.0, rng.uniform(15, 55), -rng.uniform(15, 55)], p=[0.25, 0.5, 0.25]))))
        width, height = canvas.size_px
        x = (width - layer.size_px[0]) // 2 + int(rng.normal(0, width * 0.05))
        y = (height - layer.size_px[1]) // 2 + int(rng.normal(0, height * 0.08))
        return canvas.stamp(layer, x, y, label="diagonal", opacity=rng.uniform(0.08, 0.5), blend=self._blend(rng))
