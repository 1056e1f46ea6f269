"""Things of a picture that carry signs of their own: boxes, cans, shirts, boards and walls with logos on. No marks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from automask_training.synth import textures
from automask_training.synth.marks import BLACK, WHITE, MarkDrawer, above, beside
from automask_training.synth.pictorial import PictorialDrawer
from automask_training.synth.raster import (
    Blend,
    Bytes,
    Canvas,
    Colour,
    Layer,
    homography,
    over,
    remap,
    rotated,
    scaled,
    tilted,
    trimmed,
    warp,
)
from automask_training.synth.scripts import agency
from automask_training.synth.structures import in_the_scene
from automask_training.synth.texts import contrasting, luma, rounded_plate

_GREY: Colour = (128, 128, 128)


class BelongingDrawer:
    """Draws things with printed faces into a picture; what is printed belongs to it."""

    def __init__(self, marks: MarkDrawer, pictorial: PictorialDrawer) -> None:
        """Print what these draw."""
        self._marks, self._pictorial = marks, pictorial
        self._things: tuple[Callable[[np.random.Generator, int], Layer], ...] = (
            self.box,
            self.can,
            self.shirt,
            self.board,
        )

    def add(self, rng: np.random.Generator, pixels: Bytes) -> Bytes:
        """A copy of `pixels`, (H, W, 3) uint8, with one to three things, or a printed wall, on it."""
        canvas = Canvas(pixels.copy())
        side = canvas.size_px[0]
        if rng.random() < 0.25:
            self._wall(rng, canvas)
            return canvas.pixels
        for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
            draw = self._things[int(rng.integers(len(self._things)))]
            size = max(40, int(side * np.exp(rng.uniform(np.log(0.15), np.log(0.75)))))
            layer = in_the_scene(rng, draw(rng, size))
            width, height = layer.size_px
            x, y = int(rng.uniform(-0.1, 0.95) * side), int(rng.uniform(-0.1, 0.95) * side)
            canvas.stamp(layer, min(x, side - width * 2 // 3), min(y, side - height * 2 // 3), label=None)
        return canvas.pixels

    def _print(self, rng: np.random.Generator, side_px: int, ground: Colour) -> Layer:
        """A sign, a name, or both, that stands out from `ground`."""
        colour = contrasting(rng, np.array(ground, dtype=np.float64))
        which = rng.random()
        layer = self._pictorial.art(rng, max(12, side_px), colour)
        if which < 0.55:
            return layer
        name = self._marks.text(rng, agency(rng), max(9, side_px // 3), colour, styles=("plain", "display"))
        if which < 0.7:
            return name
        if which < 0.85:
            return beside(scaled(layer, 0.5), name, max(2, side_px // 10))
        return above(layer, name, max(2, side_px // 10))

    def _face(self, rng: np.random.Generator, width_px: int, height_px: int, colour: Colour) -> Layer:
        """A flat printed surface."""
        rgb = np.empty((height_px, width_px, 3), dtype=np.uint8)
        rgb[:] = colour
        if rng.random() < 0.35:  # a band or a field of another colour
            low, high = sorted(int(each) for each in rng.integers(0, height_px, 2))
            rgb[low:high] = textures.near(rng, colour, 70)
        surface = Layer(rgb, np.full((height_px, width_px), 255, dtype=np.uint8))
        sign = self._print(rng, round(min(width_px, height_px) * rng.uniform(0.35, 0.8)), colour)
        factor = min(1.0, 0.9 * width_px / sign.size_px[0], 0.9 * height_px / sign.size_px[1])
        return _laid(surface, scaled(sign, factor), rng.uniform(0.4, 0.6), rng.uniform(0.3, 0.7))

    def box(self, rng: np.random.Generator, side_px: int) -> Layer:
        """A carton or book seen from a corner: a printed front, a side and a top."""
        wide, high = round(side_px * rng.uniform(0.4, 0.8)), round(side_px * rng.uniform(0.45, 0.8))
        deep, rise = round(side_px * rng.uniform(0.08, 0.3)), round(side_px * rng.uniform(0.05, 0.2))
        colour = textures.random_colour(rng)
        sheet = Layer(*_sheet(wide + deep, high + rise))
        front = [(0, rise), (wide, rise), (wide, rise + high), (0, rise + high)]
        right = [(wide, rise), (wide + deep, 0), (wide + deep, high), (wide, rise + high)]
        top = [(0, rise), (deep, 0), (wide + deep, 0), (wide, rise)]
        sides = (
            (self._face(rng, wide, high, colour), front, 1.0),
            (self._face(rng, wide, high, colour), right, rng.uniform(0.5, 0.85)),
            (Layer(*_filled(wide, high, colour)), top, rng.uniform(0.85, 1.2)),
        )
        for face, corners, light in sides:
            lit = Layer(np.clip(face.rgb * np.float32(light), 0, 255).astype(np.uint8), face.alpha)
            sheet = over(sheet, _onto(lit, corners, sheet.size_px))
        return Layer(sheet.rgb[:, ::-1].copy(), sheet.alpha[:, ::-1].copy()) if rng.random() < 0.3 else sheet

    def can(self, rng: np.random.Generator, side_px: int) -> Layer:
        """A can, mug or bottle: a printed face around a cylinder."""
        wide, high = round(side_px * rng.uniform(0.35, 0.7)), round(side_px * rng.uniform(0.5, 0.95))
        face = self._face(rng, wide, high, textures.random_colour(rng))
        across = np.linspace(-0.999, 0.999, wide, dtype=np.float32)
        turned = (np.arcsin(across) / np.float32(np.pi) + np.float32(0.5)) * np.float32(wide - 1)
        bend = np.float32(high * rng.uniform(0.02, 0.1)) * np.sqrt(1 - across**2)
        rows = np.arange(high, dtype=np.float32)[:, None] - bend[None, :]
        layer = remap(face, np.repeat(turned[None], high, axis=0), rows.astype(np.float32))
        light = np.clip(0.45 + 0.75 * np.sqrt(1 - (across - rng.uniform(-0.5, 0.5)) ** 2 / 2.3), 0, 1.3)
        return Layer(np.clip(layer.rgb * light[None, :, None], 0, 255).astype(np.uint8), layer.alpha)

    def shirt(self, rng: np.random.Generator, side_px: int) -> Layer:
        """The upper part of a shirt with a print on its breast, in folds."""
        import cv2

        colour = textures.random_colour(rng) if rng.random() < 0.6 else (WHITE if rng.random() < 0.5 else BLACK)
        rgb, alpha = _sheet(side_px, side_px)
        rgb[:] = np.clip(colour, 12, 243)
        outline = [(0.32, 0.02), (0.42, 0.1), (0.58, 0.1), (0.68, 0.02), (0.98, 0.2), (0.9, 0.45), (0.78, 0.38)]
        outline += [(0.8, 1.0), (0.2, 1.0), (0.22, 0.38), (0.1, 0.45), (0.02, 0.2)]
        cv2.fillPoly(alpha, [(np.array(outline) * side_px).astype(np.int32)], 255, cv2.LINE_AA)
        sign = self._print(rng, round(side_px * rng.uniform(0.08, 0.34)), colour)
        sign = scaled(sign, min(1.0, 0.45 * side_px / sign.size_px[0]))
        layer = _laid(Layer(rgb, alpha), sign, rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.5))
        folds = textures.noise_field(rng, side_px, cells=4, octaves=3)[..., None]
        return Layer(np.clip(layer.rgb * (0.6 + 0.6 * folds), 0, 255).astype(np.uint8), layer.alpha)

    def board(self, rng: np.random.Generator, side_px: int) -> Layer:
        """A shop sign, a door plate or a screen: a printed face with rounded corners, seen from aside."""
        wide, high = side_px, max(16, round(side_px * rng.uniform(0.25, 0.9)))
        face = self._face(rng, wide, high, textures.random_colour(rng))
        plate = rounded_plate(wide, high, round(min(wide, high) * rng.uniform(0.0, 0.3)))
        layer = Layer(face.rgb, plate)
        return trimmed(tilted(rotated(layer, rng.normal(0, 8)), rng, rng.uniform(0.1, 0.45)))

    def _wall(self, rng: np.random.Generator, canvas: Canvas) -> None:
        """Print painted on a surface of the picture: in strong perspective, in the surface's own light."""
        side = canvas.size_px[0]
        ground = canvas.mean_colour((0, 0, side, side))
        sign = self._print(rng, round(side * rng.uniform(0.15, 0.5)), (int(ground[0]), int(ground[1]), int(ground[2])))
        sign = _receding(rng, sign)
        blend: Blend = "multiply" if luma(ground) > 110 else "screen"
        x, y = (int(rng.uniform(0, 1) * max(1, side - length)) for length in sign.size_px)
        canvas.stamp(in_the_scene(rng, sign), x, y, label=None, blend=blend, opacity=rng.uniform(0.5, 0.95))


def _receding(rng: np.random.Generator, layer: Layer) -> Layer:
    """`layer` on a wall that runs away from the viewer: never so little that it could pass for a mark set straight."""
    width, height = layer.size_px
    squeezed = max(4, round(width * rng.uniform(0.4, 0.75)))
    far, lift = height * rng.uniform(0.4, 0.7), rng.uniform(0.0, 1.0)
    top = (height - far) * lift
    own = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    there = np.array([[0, 0], [squeezed, top], [squeezed, top + far], [0, height]], dtype=np.float32)
    seen = warp(layer, homography(own, there), squeezed, height)
    return Layer(seen.rgb[:, ::-1].copy(), seen.alpha[:, ::-1].copy()) if rng.random() < 0.5 else seen


def _sheet(width_px: int, height_px: int) -> tuple[Bytes, Bytes]:
    return np.full((height_px, width_px, 3), _GREY, dtype=np.uint8), np.zeros((height_px, width_px), dtype=np.uint8)


def _filled(width_px: int, height_px: int, colour: Colour) -> tuple[Bytes, Bytes]:
    rgb, alpha = _sheet(width_px, height_px)
    rgb[:], alpha[:] = colour, 255
    return rgb, alpha


def _laid(surface: Layer, sign: Layer, x_share: float, y_share: float) -> Layer:
    """`sign` on `surface` with its middle at these shares; its transparent parts show the surface."""
    x = round(x_share * surface.size_px[0] - sign.size_px[0] / 2)
    y = round(y_share * surface.size_px[1] - sign.size_px[1] / 2)
    canvas = Canvas(surface.rgb)
    canvas.stamp(sign, x, y, label=None)
    return Layer(canvas.pixels, surface.alpha)


def _onto(face: Layer, corners: list[tuple[int, int]], size_px: tuple[int, int]) -> Layer:
    width, height = face.size_px
    own: NDArray[np.float32] = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    return warp(face, homography(own, np.array(corners, dtype=np.float32)), *size_px)
