"""Marks that are pictures, not lettering: sparkles, badges, seals, roundels, emblems, codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automask_training.synth import emblems, textures
from automask_training.synth.codes import code
from automask_training.synth.lettering import FontCollection, line
from automask_training.synth.marks import BLACK, WHITE, MarkDrawer
from automask_training.synth.raster import Bytes, Canvas, Colour, Layer, blur, over, resize, rotated, solid, trimmed
from automask_training.synth.scripts import agency, words
from automask_training.synth.texts import luma

_OVERSAMPLING = 2
_CODE_SHARE = 0.28
_SPARKLE_SHARE = 0.15


class PictorialDrawer:
    """Puts one pictorial mark or one code on a canvas."""

    def __init__(self, marks: MarkDrawer, fonts: FontCollection) -> None:
        """Place and colour as `marks` does; initials and mottos come from `fonts`."""
        self._marks, self._fonts = marks, fonts
        self._shapes: tuple[Callable[[np.random.Generator, int, Colour], Layer], ...] = (
            self.roundel,
            self.seal,
            self.badge,
            ring_of_dots,
            monogram_shape,
            self.marked_disc,
        )

    def draw(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        """Draw a mark of label code, ai_mark (sparkles) or logo; returns whether something was drawn."""
        if rng.random() < _CODE_SHARE:
            return self._code(rng, canvas)
        side = self._marks.size(rng, canvas, 0.035, 0.3)
        fill = self._marks.ink(rng, canvas, white_share=0.5)
        if rng.random() < _SPARKLE_SHARE:
            label, layer = "ai_mark", sparkles(rng, side, fill)
        else:
            label, layer = "logo", self.art(rng, side, fill)
        layer = self._styled(rng, layer, fill)
        if rng.random() < 0.15:
            layer = trimmed(rotated(layer, rng.normal(0, 12)))
        return self._marks.put(rng, canvas, layer, label=label, opacity=_opacity(rng), corner_share=0.7)

    def art(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """A pictorial sign about `side_px` large: what marks and the things in pictures are printed with."""
        if rng.random() < 0.3:
            return self._marks.icon(rng, side_px, colour)
        return self._shapes[int(rng.integers(len(self._shapes)))](rng, side_px, colour)

    def _code(self, rng: np.random.Generator, canvas: Canvas) -> bool:
        side = self._marks.size(rng, canvas, 0.07, 0.3)
        ink, ground = (BLACK, WHITE) if rng.random() < 0.7 else _strong_pair(rng)
        layer = code(rng, side, ink, ground)
        opacity = 1.0 if rng.random() < 0.7 else rng.uniform(0.35, 1.0)
        return self._marks.put(rng, canvas, layer, label="code", opacity=opacity, corner_share=0.6)

    def _styled(self, rng: np.random.Generator, layer: Layer, fill: Colour) -> Layer:
        """Sometimes graded in colour, sometimes with a shadow, sometimes on a plate."""
        if rng.random() < 0.2:
            second = np.array(textures.random_colour(rng), np.float32)
            along = np.linspace(0, 1, layer.size_px[0], dtype=np.float32)[None, :, None]
            rgb = layer.rgb.astype(np.float32) * (1 - along) + second * along
            layer = Layer(rgb.astype(np.uint8), layer.alpha)
        which = rng.random()
        if which < 0.2:
            pad = max(2, layer.size_px[1] // 12)
            under = blur(np.pad(layer.alpha, pad), max(0.6, pad / 3))
            shadow = solid(under, BLACK if luma(fill) > 110 else WHITE)
            rgb = np.pad(layer.rgb, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
            layer = over(shadow, Layer(rgb, np.pad(layer.alpha, pad)))
        elif which < 0.35:
            layer = self._marks.plated(rng, layer, layer.size_px[1] // 2)
        return layer

    def _word(self, rng: np.random.Generator, high_px: int) -> Bytes:
        face = self._fonts.choose(rng, "latin", ("plain", "display"))
        return line(agency(rng)[: int(rng.integers(1, 4))].upper(), self._fonts.font(face, max(9, high_px), "latin"))

    def roundel(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """A crest with initials, at times with a motto along its rim."""
        font = self._fonts.font(self._fonts.choose(rng, "latin"), max(16, side_px), "latin")
        small = self._fonts.font(self._fonts.choose(rng, "latin", ("plain", "display")), max(9, side_px // 4), "latin")
        initials = agency(rng)[: int(rng.integers(1, 3))].upper()
        return emblems.crest(
            rng, side_px, colour, initials=initials, motto=agency(rng).upper(), font_of=font, small_font=small
        )

    def seal(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """A seal of one to four characters, mostly red."""
        script = "han" if "han" in self._marks.scripts() else "latin"
        font = self._fonts.font(self._fonts.choose(rng, script), max(12, side_px // 2), script)
        text = "".join(words(rng, script, 3)).replace(" ", "")[: int(rng.choice([1, 2, 4]))]
        tint = textures.near(rng, (190, 30, 30), 25) if rng.random() < 0.7 else colour
        return emblems.seal(rng, [line(each, font) for each in text], side_px, tint)

    def badge(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """A burst, disc or hexagon with a short word cut out of it or laid on it."""
        plate = emblems.badge(rng, side_px, colour)
        word = _fitting(self._word(rng, side_px // 3), round(side_px * 0.62))
        on = np.zeros_like(plate.alpha)
        y, x = ((a - b) // 2 for a, b in zip(on.shape, word.shape, strict=True))
        on[y : y + word.shape[0], x : x + word.shape[1]] = word
        if rng.random() < 0.5:
            return Layer(plate.rgb, np.minimum(plate.alpha, 255 - on).astype(np.uint8))
        return over(plate, solid(on, BLACK if luma(colour) > 110 else WHITE))

    def marked_disc(self, rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
        """A logo in relief: cut out of a disc or a rounded square, as the marks of services are."""
        side = max(16, side_px)
        plate = solid(_plate(rng, side), colour)
        icon = self._marks.icon(rng, round(side * rng.uniform(0.5, 0.7)), WHITE if luma(colour) < 128 else BLACK)
        pads = [(a - b) // 2 for a, b in zip(plate.alpha.shape, icon.alpha.shape, strict=True)]
        alpha, rgb = np.zeros_like(plate.alpha), np.empty_like(plate.rgb)
        rgb[:] = np.median(icon.rgb.reshape(-1, 3), axis=0)
        window = tuple(slice(pad, pad + length) for pad, length in zip(pads, icon.alpha.shape, strict=True))
        alpha[window] = icon.alpha
        if rng.random() < 0.4:
            return Layer(plate.rgb, np.minimum(plate.alpha, 255 - alpha).astype(np.uint8))
        return over(plate, Layer(rgb, alpha))


def sparkles(rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
    """One to three stars of four hollow-sided points, as image generators sign with."""
    side = max(10, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    middles = [(0.5, 0.5, 0.5)]
    if rng.random() < 0.45:
        middles = [(0.42, 0.58, 0.42), (0.82, 0.2, 0.18), (0.86, 0.8, 0.12)][: int(rng.integers(2, 4))]
    bend = rng.uniform(0.35, 0.75)  # the exponent of an astroid is 2/3: of a rounder or a sharper one besides
    for x, y, radius in middles:
        _fill_star(alpha, (x * side, y * side), radius * side, bend)
    return trimmed(solid(resize(alpha, side // _OVERSAMPLING, side // _OVERSAMPLING), colour))


def _fill_star(alpha: Bytes, middle: tuple[float, float], radius_px: float, bend: float) -> None:
    import cv2

    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    power = 2 / bend - 1
    x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power
    y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power
    points = np.stack([middle[0] + radius_px * x, middle[1] + radius_px * y], axis=-1)
    cv2.fillPoly(alpha, [points.astype(np.int32)], 255, cv2.LINE_AA)


def ring_of_dots(rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
    """Dots, petals or rays around a middle."""
    import cv2

    side = max(12, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    middle, count = side / 2, int(rng.integers(5, 13))
    reach, size = side * rng.uniform(0.28, 0.38), side * rng.uniform(0.05, 0.13)
    long = rng.uniform(1.0, 2.4)
    for angle in np.linspace(0, 360, count, endpoint=False) + rng.uniform(0, 90):
        at = (middle + reach * np.cos(np.deg2rad(angle)), middle + reach * np.sin(np.deg2rad(angle)))
        centre, axes = (round(at[0]), round(at[1])), (max(1, round(size * long)), max(1, round(size)))
        cv2.ellipse(alpha, centre, axes, float(angle), 0, 360, 255, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        cv2.circle(alpha, (round(middle), round(middle)), max(1, round(size * 1.4)), 255, -1, cv2.LINE_AA)
    return trimmed(solid(resize(alpha, side // _OVERSAMPLING, side // _OVERSAMPLING), colour))


def monogram_shape(rng: np.random.Generator, side_px: int, colour: Colour) -> Layer:
    """A few bands, arcs and triangles that make an abstract sign."""
    import cv2

    side = max(12, side_px) * _OVERSAMPLING
    alpha = np.zeros((side, side), dtype=np.uint8)
    thick = max(2, round(side * rng.uniform(0.06, 0.16)))
    pad = thick
    for _ in range(int(rng.integers(2, 5))):
        which = rng.random()
        spots = rng.integers(pad, side - pad, (3, 2)).astype(np.int32)
        if which < 0.35:
            radius = int(rng.uniform(0.15, 0.45) * side)
            start = float(rng.uniform(0, 360))
            middle = (side // 2, side // 2)
            cv2.ellipse(alpha, middle, (radius, radius), start, 0, float(rng.uniform(90, 360)), 255, thick, cv2.LINE_AA)
        elif which < 0.7:
            start_px, end_px = (int(spots[0, 0]), int(spots[0, 1])), (int(spots[1, 0]), int(spots[1, 1]))
            cv2.line(alpha, start_px, end_px, 255, thick, cv2.LINE_AA)
        else:
            cv2.fillPoly(alpha, [spots], 255, cv2.LINE_AA)
    if rng.random() < 0.4:
        alpha = np.maximum(alpha, alpha[:, ::-1])
    return trimmed(solid(resize(alpha, side // _OVERSAMPLING, side // _OVERSAMPLING), colour))


def _plate(rng: np.random.Generator, side_px: int) -> Bytes:
    """A disc or rounded square, the exponent of its superellipse at random."""
    across = np.abs(np.linspace(-1, 1, side_px, dtype=np.float32))
    power = float(rng.choice([2.0, 2.0, 4.0, 6.0]))
    inside = across[None, :] ** power + across[:, None] ** power
    return np.clip((1 - inside) * side_px / 2 / power * 255, 0, 255).astype(np.uint8)


def _fitting(coverage: Bytes, side_px: int) -> Bytes:
    factor = side_px / max(coverage.shape)
    return resize(coverage, max(1, int(coverage.shape[1] * factor)), max(1, int(coverage.shape[0] * factor)))


def _opacity(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.35 else float(rng.uniform(0.2, 0.98))


def _strong_pair(rng: np.random.Generator) -> tuple[Colour, Colour]:
    dark, bright = textures.near(rng, (40, 40, 60), 40), textures.near(rng, (225, 225, 220), 30)
    return (dark, bright) if rng.random() < 0.8 else (bright, dark)
