"""What happens to pictures on their way through cameras, editors and web sites. None of it moves pixels."""

from __future__ import annotations

import numpy as np

from automask_training.synth.raster import Bytes, blur, resize


def _compressed(pixels: Bytes, suffix: str, quality: int) -> Bytes:
    import cv2

    flag = cv2.IMWRITE_JPEG_QUALITY if suffix == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
    written, data = cv2.imencode(suffix, pixels[..., ::-1], [flag, quality])
    if not written:
        message = f"cannot encode {suffix}"
        raise RuntimeError(message)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def degraded(rng: np.random.Generator, pixels: Bytes, *, gently: bool = False) -> Bytes:
    """Return the picture after a random chain of resampling, blur, noise, sharpening and compression.

    What holds faint marks should be treated `gently`: strong compression would wipe out what the mask still shows.
    """
    height, width = pixels.shape[:2]
    if rng.random() < 0.18:
        factor = rng.uniform(0.75 if gently else 0.5, 0.92)
        pixels = resize(resize(pixels, round(width * factor), round(height * factor)), width, height)
    if rng.random() < 0.12:
        pixels = blur(pixels, rng.uniform(0.3, 0.9))
    if rng.random() < 0.15:
        soft = blur(pixels, 1.2).astype(np.int16)
        pixels = np.clip(pixels + (pixels - soft) * rng.uniform(0.3, 1.0), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        grain = rng.standard_normal((height, width, 1 if rng.random() < 0.5 else 3), dtype=np.float32) * np.float32(
            rng.uniform(1, 3 if gently else 9)
        )
        pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    which = rng.random()
    if which < 0.72:
        return _compressed(pixels, ".jpg", int(np.clip(rng.normal(80, 15), 65 if gently else 28, 98)))
    if which < 0.78:
        return _compressed(pixels, ".webp", int(rng.integers(70 if gently else 35, 95)))
    return pixels
