"""Images brought to a common size, and the whitened gradients in which marks are looked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_PX = 48
"""Images with a shorter side are icons: nothing is printed on them."""
ASPECT_STEP = 0.03
"""Width of an aspect class in log units: prints of one card deck differ by less, 3:2 and 4:3 by four classes."""
WHITEN_PX = 15
"""Side of the window over which gradients are made zero-mean and of unit power: wider than a stroke of a mark."""
NOISE_LEVELS = 1.5
"""Gradients of this power are what an encoder leaves in flat areas; they are not blown up to unit power."""
CLIP = 1.5
"""Whitened gradients beyond this count no more, so that no single image decides."""

Gradients = NDArray[np.float32]
"""(2, h, w) float32: whitened x and y gradient, within -CLIP..CLIP."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """An aspect class and the size at which its images are compared."""

    aspect_class: int
    width_px: int
    height_px: int

    @classmethod
    def of(cls, width_px: int, height_px: int, *, reduced_px: int) -> Shape:
        """The class of images of the given size."""
        aspect_class = round(math.log(width_px / height_px) / ASPECT_STEP)
        aspect = math.exp(aspect_class * ASPECT_STEP)
        long_px, short_px = reduced_px, max(1, round(reduced_px * math.exp(-abs(aspect_class) * ASPECT_STEP)))
        width, height = (long_px, short_px) if aspect >= 1 else (short_px, long_px)
        return cls(aspect_class, width, height)


def resized(pixels: NDArray[np.uint8], *, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """An (H, W, 3) uint8 image at another size, averaged where it shrinks."""
    import cv2

    if pixels.shape[:2] == (height_px, width_px):
        return pixels
    shrinks = pixels.shape[0] * pixels.shape[1] > width_px * height_px
    out: NDArray[np.uint8] = cv2.resize(
        pixels, (width_px, height_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return out


def reduced(pixels: NDArray[np.uint8], *, reduced_px: int) -> NDArray[np.uint8] | None:
    """An (H, W, 3) uint8 image at the size of its class, never a view of it; None for icons."""
    height_px, width_px = pixels.shape[:2]
    if min(height_px, width_px) < SMALLEST_PX:
        return None
    shape = Shape.of(width_px, height_px, reduced_px=reduced_px)
    small = resized(pixels, width_px=shape.width_px, height_px=shape.height_px)
    return small.copy() if small is pixels else small


def raw_gradients(pixels: NDArray[np.uint8]) -> Gradients:
    """Central differences of the lightness of an (h, w, 3) uint8 image, levels per pixel, local mean removed."""
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.7)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    gradients: Gradients = np.stack([across, down])
    for channel in gradients:
        channel -= cv2.boxFilter(channel, -1, (WHITEN_PX, WHITEN_PX))
    return gradients


def whitened(gradients: Gradients) -> Gradients:
    """Gradients over their local power, clipped: a faint edge on a calm ground counts like a strong one elsewhere."""
    import cv2

    power = cv2.boxFilter(gradients[0] ** 2 + gradients[1] ** 2, -1, (WHITEN_PX, WHITEN_PX)) / 2
    scaled: Gradients = gradients / np.sqrt(power + np.float32(NOISE_LEVELS**2))
    return np.clip(scaled, -CLIP, CLIP)


def furthest(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Greatest difference over the channels of two (h, w, 3) uint8 images; (h, w) uint8."""
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(one, other))
    out: NDArray[np.uint8] = cv2.max(cv2.max(red, green), blue)
    return out


def median_of(stack: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Median per pixel and channel, a band of rows at a time so that no copy of the stack is made."""
    height_px = stack[0].shape[0]
    out = np.empty_like(stack[0])
    for top in range(0, height_px, 32):
        rows = np.stack([pixels[top : top + 32] for pixels in stack], axis=-1)
        rows.partition(len(stack) // 2, axis=-1)
        out[top : top + 32] = rows[..., len(stack) // 2]
    return out
