"""Layers with alpha, the canvas they are stamped on, and the OpenCV calls that both need.

Colours are RGB 0..255; alpha is uint8. OpenCV is imported inside functions, so that importing the package stays cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.types import KIND_OF_LABEL, SyntheticInstance

Blend = Literal["normal", "multiply", "screen", "overlay"]
Colour = tuple[int, int, int]
Bytes = NDArray[np.uint8]

VISIBLE_DELTA = 3
"""A pixel belongs to a mask when a channel changed by more than this many of 255 levels."""
_MIN_VISIBLE_SHARE = 0.45
_MIN_PIXELS = 12
_COVERS_ALPHA = 0.6 * 255
_MAY_LIE_UNDER_TEXT = frozenset({"border", "caption_bar", "letterbox", "tiled", "grid", "diagonal", "wordmark"})


@dataclass(frozen=True, eq=False)
class Layer:
    """Something to stamp: `rgb` uint8 (h, w, 3), defined also where `alpha`, uint8 (h, w), is 0."""

    rgb: Bytes
    alpha: Bytes

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.alpha.shape[1], self.alpha.shape[0]


def solid(alpha: Bytes, colour: Colour) -> Layer:
    """Return a layer of one colour."""
    rgb = np.empty((*alpha.shape, 3), dtype=np.uint8)
    rgb[:] = colour
    return Layer(rgb, alpha)


def over(bottom: Layer, top: Layer) -> Layer:
    """Compose two layers of the same size."""
    a = top.alpha.astype(np.float32)[..., None] / 255.0
    b = bottom.alpha.astype(np.float32)[..., None] / 255.0
    alpha = a + b * (1.0 - a)
    share = np.divide(a, alpha, out=np.zeros_like(a), where=alpha > 0)
    rgb = bottom.rgb + (top.rgb.astype(np.float32) - bottom.rgb) * share
    return Layer((rgb + 0.5).astype(np.uint8), (alpha[..., 0] * 255.0 + 0.5).astype(np.uint8))


def resize(pixels: Bytes, width_px: int, height_px: int) -> Bytes:
    """Resize an array (h, w) or (h, w, c): by area when it shrinks, linearly when it grows."""
    import cv2

    shrinks = width_px < pixels.shape[1] or height_px < pixels.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(pixels, (max(1, width_px), max(1, height_px)), interpolation=interpolation), dtype=np.uint8
    )


def looked_up(pixels: Bytes, table: Bytes) -> Bytes:
    """Replace every level of a picture (h, w, 3) by that of a table (256, 3), channel by channel."""
    import cv2

    return np.asarray(cv2.LUT(pixels, table[None]), dtype=np.uint8)


def blur(pixels: Bytes, sigma_px: float) -> Bytes:
    """Blur by a Gaussian; the border is mirrored."""
    import cv2

    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), dtype=np.uint8)


def dilate(alpha: Bytes, radius_px: int) -> Bytes:
    """Grow coverage by a disc."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return np.asarray(cv2.dilate(alpha, kernel), dtype=np.uint8)


def warp(layer: Layer, matrix: NDArray[np.float64], width_px: int, height_px: int) -> Layer:
    """Map a layer by a 3 x 3 homography (source to target pixels) into a new size; outside is transparent."""
    import cv2

    size = (width_px, height_px)
    alpha = cv2.warpPerspective(layer.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    rgb = cv2.warpPerspective(layer.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Layer(np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.uint8))


def remap(layer: Layer, x_px: NDArray[np.float32], y_px: NDArray[np.float32]) -> Layer:
    """Sample a layer at source positions, arrays (h, w) each; outside is transparent."""
    import cv2

    alpha = cv2.remap(layer.alpha, x_px, y_px, cv2.INTER_LINEAR)
    rgb = cv2.remap(layer.rgb, x_px, y_px, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Layer(np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.uint8))


def homography(corners_from: NDArray[np.float32], corners_to: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the 3 x 3 matrix that maps four points, arrays (4, 2), onto four others."""
    import cv2

    return np.asarray(cv2.getPerspectiveTransform(corners_from, corners_to), dtype=np.float64)


def rotated(layer: Layer, degrees: float) -> Layer:
    """Rotate counter-clockwise; the result is as large as needed."""
    if abs(degrees) < 0.05:
        return layer
    width, height = layer.size_px
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    new_width = int(np.ceil(abs(width * cos) + abs(height * sin))) + 2
    new_height = int(np.ceil(abs(width * sin) + abs(height * cos))) + 2
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    centre = matrix @ np.array([width / 2, height / 2, 1.0])
    matrix[0, 2], matrix[1, 2] = new_width / 2 - centre[0], new_height / 2 - centre[1]
    return warp(layer, matrix, new_width, new_height)


def tilted(layer: Layer, rng: np.random.Generator, strength: float) -> Layer:
    """Put the layer in perspective: each corner moves inwards by up to `strength` of the shorter side."""
    width, height = layer.size_px
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float32)
    shift = rng.random((4, 2)).astype(np.float32) * strength * min(width, 4 * height, height + width // 4)
    return warp(
        layer,
        homography(corners, corners + inwards * np.minimum(shift, [width * 0.3, height * 0.3]).astype(np.float32)),
        width,
        height,
    )


def scaled(layer: Layer, factor: float) -> Layer:
    """Resize a layer."""
    width, height = (max(1, round(side * factor)) for side in layer.size_px)
    return Layer(resize(layer.rgb, width, height), resize(layer.alpha, width, height))


def padded(coverage: Bytes, pad_px: int) -> Bytes:
    """Add an empty rim to a coverage map."""
    return np.pad(coverage, pad_px)


def trimmed(layer: Layer) -> Layer:
    """Cut off transparent rims; a fully transparent layer becomes one pixel."""
    rows, columns = np.flatnonzero(layer.alpha.max(axis=1)), np.flatnonzero(layer.alpha.max(axis=0))
    if not rows.size:
        return Layer(layer.rgb[:1, :1], layer.alpha[:1, :1])
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return Layer(layer.rgb[window], layer.alpha[window])


def blended(base: NDArray[np.float32], source: NDArray[np.float32], blend: Blend) -> NDArray[np.float32]:
    """Return the blended colour of two float arrays of the same shape, both 0..255."""
    if blend == "normal":
        return source
    product = base * source / np.float32(255)
    if blend == "multiply":
        return product
    screened = base + source - product
    if blend == "screen":
        return screened
    return np.where(base < 128, product * np.float32(2), screened * np.float32(2) - np.float32(255))


class Canvas:
    """The picture being made and what was put on it so far."""

    def __init__(self, pixels: Bytes) -> None:
        """Draw on `pixels`, uint8 (H, W, 3), in place."""
        self.pixels = np.ascontiguousarray(pixels)
        self.instances: list[SyntheticInstance] = []

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def mean_colour(self, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
        """Return the mean RGB of a window, clipped to the canvas."""
        x0, y0, x1, y1 = box
        window = self.pixels[max(0, y0) : max(1, y1), max(0, x0) : max(1, x1)]
        step = max(1, min(window.shape[:2]) // 24)
        sample = window[::step, ::step].reshape(-1, 3)
        return np.asarray(sample.mean(axis=0) if sample.size else np.full(3, 128.0), dtype=np.float64)

    def stamp(
        self,
        layer: Layer,
        x_px: int,
        y_px: int,
        *,
        label: str | None,
        opacity: float = 1.0,
        blend: Blend = "normal",
        geometric: bool = False,
    ) -> bool:
        """Draw a layer with its top left corner at (x_px, y_px), which may lie outside, and note it as an instance.

        With `label` None the layer becomes part of the picture. With `geometric` the mask holds every pixel under more
        than half the layer's alpha even where the colour did not change (frames). A layer that would hardly be visible
        is not drawn.

        Returns:
            Whether the layer was drawn.
        """
        width, height = self.size_px
        x0, y0 = max(0, x_px), max(0, y_px)
        x1, y1 = min(width, x_px + layer.alpha.shape[1]), min(height, y_px + layer.alpha.shape[0])
        if x0 >= x1 or y0 >= y1:
            return False
        inner = (slice(y0 - y_px, y1 - y_px), slice(x0 - x_px, x1 - x_px))
        alpha = layer.alpha[inner]
        base = self.pixels[y0:y1, x0:x1]
        base32 = base.astype(np.float32)
        source = blended(base32, layer.rgb[inner].astype(np.float32), blend)
        source -= base32
        source *= (alpha.astype(np.float32) * np.float32(opacity / 255.0))[..., None]
        source += base32
        drawn = (source + np.float32(0.5)).clip(0, 255).astype(np.uint8)
        if label is None:
            self.pixels[y0:y1, x0:x1] = drawn
            self._cover(alpha.astype(np.float32) * np.float32(opacity) > _COVERS_ALPHA, x0, y0)
            return True
        mask = (np.maximum(drawn, base) - np.minimum(drawn, base)).max(axis=-1) > VISIBLE_DELTA
        if geometric:
            mask |= alpha > 127
        strong = alpha > 127 if alpha.max() > 127 else alpha > alpha.max() // 2
        ink = int(strong.sum())
        if int(mask.sum()) < _MIN_PIXELS or int((mask & strong).sum()) < _MIN_VISIBLE_SHARE * ink:
            return False
        self.pixels[y0:y1, x0:x1] = drawn
        self.note(mask, x0, y0, label=label, opacity=opacity)
        return True

    def _cover(self, covered: NDArray[np.bool_], x_px: int, y_px: int) -> None:
        """Take out of earlier masks what something opaque, bool (h, w) at (x_px, y_px), now hides."""
        x1, y1 = x_px + covered.shape[1], y_px + covered.shape[0]
        earlier, self.instances = self.instances, []
        for each in earlier:
            left, top, right, bottom = each.box
            a0, b0, a1, b1 = max(left, x_px), max(top, y_px), min(right, x1), min(bottom, y1)
            if a0 >= a1 or b0 >= b1:
                self.instances.append(each)
                continue
            mask = each.mask.copy()
            mask[b0 - top : b1 - top, a0 - left : a1 - left] &= ~covered[b0 - y_px : b1 - y_px, a0 - x_px : a1 - x_px]
            self.note(mask, left, top, label=each.label, opacity=each.opacity)

    def crowded(self, box: tuple[int, int, int, int]) -> bool:
        """Tell whether a window shares pixels with the masks of text or small marks that are already there."""
        for each in self.instances:
            x0, y0 = max(box[0], each.box[0]), max(box[1], each.box[1])
            x1, y1 = min(box[2], each.box[2]), min(box[3], each.box[3])
            if x0 < x1 and y0 < y1 and each.label not in _MAY_LIE_UNDER_TEXT:
                left, top = each.box[:2]
                if each.mask[y0 - top : y1 - top, x0 - left : x1 - left].any():
                    return True
        return False

    def note(self, mask: NDArray[np.bool_], x_px: int, y_px: int, *, label: str, opacity: float) -> None:
        """Record an instance whose mask, bool (h, w), stands at (x_px, y_px); an empty mask records nothing."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return
        x0, x1, y0, y1 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
        box = (x_px + x0, y_px + y0, x_px + x1, y_px + y1)
        self.instances.append(
            SyntheticInstance(
                kind=KIND_OF_LABEL[label], label=label, box=box, mask=mask[y0:y1, x0:x1].copy(), opacity=opacity
            )
        )
