"""Painting over what is masked. Arrays in, arrays out."""

from __future__ import annotations

import enum
import zlib

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_INPAINT_RADIUS_PX = 5
_NOISE_SPREAD = 0.5


class Fill(enum.StrEnum):
    """What takes the place of masked pixels."""

    NONE = "none"
    """Nothing: the image as it is."""
    MEAN = "mean"
    """The mean colour of the rest of the image."""
    BLUR = "blur"
    """The colours around, run together."""
    NOISE = "noise"
    """Those colours with noise, so that no flat patch is learned."""
    INPAINT = "inpaint"
    """OpenCV's inpainting (Telea 2004): edges continue into the hole; good for thin things, smears large ones."""


def painted_over(pixels: Pixels, weight: NDArray[np.float32], fill: Fill, *, seed: str = "") -> Pixels:
    """Replace what a mask takes away.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        weight: (H, W) float32, 1 = keep the pixel, 0 = replace it, between = mix.
        fill: With what.
        seed: Name of the image; the same name gives the same noise.

    Returns:
        (H, W, 3) uint8. Pixels of weight 1 are untouched. An image without a pixel to keep becomes grey.

    Raises:
        ValueError: The shapes differ.
    """
    if weight.shape != pixels.shape[:2]:
        raise ValueError(f"weight must be {pixels.shape[:2]}, got {weight.shape}")
    if fill is Fill.NONE or bool((weight >= 1.0).all()):
        return pixels.copy()
    kept = weight >= 1.0
    if not kept.any():
        replacement = np.full_like(pixels, 128, dtype=np.float32)
    elif fill is Fill.MEAN:
        replacement = np.broadcast_to(pixels[kept].mean(axis=0, dtype=np.float64), pixels.shape).astype(np.float32)
    elif fill is Fill.INPAINT:
        replacement = _inpainted(pixels, kept)
    else:
        replacement = _from_around(pixels, kept)
        if fill is Fill.NOISE:
            replacement = replacement + _noise(pixels, kept, seed=seed)
    share = weight[..., None]
    mixed = np.rint(pixels * share + np.clip(replacement, 0, 255) * (1.0 - share))
    out: Pixels = np.where(kept[..., None], pixels, mixed).astype(np.uint8)
    return out


def _from_around(pixels: Pixels, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Means of the pixels to keep over ever wider windows, the narrowest that holds any winning: smooth and cheap."""
    import cv2

    colours = np.where(kept[..., None], pixels, 0).astype(np.float32)
    counts = kept.astype(np.float32)
    levels = [(colours, counts)]
    while min(levels[-1][1].shape) > 1:
        height, width = levels[-1][1].shape
        size = ((width + 1) // 2, (height + 1) // 2)
        levels.append(
            (
                cv2.resize(levels[-1][0], size, interpolation=cv2.INTER_AREA),
                cv2.resize(levels[-1][1], size, interpolation=cv2.INTER_AREA),
            )
        )
    filled = levels[-1][0] / max(float(levels[-1][1].max()), 1e-6)
    for colours, counts in reversed(levels[:-1]):
        wider = cv2.resize(filled, counts.shape[::-1], interpolation=cv2.INTER_LINEAR)
        own = colours / np.maximum(counts, 1e-6)[..., None]
        sure = np.minimum(counts, 1.0)[..., None]
        filled = own * sure + wider.reshape(own.shape) * (1.0 - sure)
    result: NDArray[np.float32] = filled.astype(np.float32)
    return result


def _noise(pixels: Pixels, kept: NDArray[np.bool_], *, seed: str) -> NDArray[np.float32]:
    rng = np.random.default_rng(zlib.crc32(seed.encode(errors="replace")))
    spread = float(pixels[kept].std(axis=0, dtype=np.float64).mean()) * _NOISE_SPREAD
    return rng.normal(0.0, spread, pixels.shape).astype(np.float32)


def _inpainted(pixels: Pixels, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    import cv2

    holes = (~kept).astype(np.uint8)
    filled = cv2.inpaint(np.ascontiguousarray(pixels), holes, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    result: NDArray[np.float32] = np.asarray(filled, dtype=np.float32)
    return result
