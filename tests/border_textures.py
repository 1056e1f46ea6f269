"""Colours and textures that borders of made-up pictures are painted with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[int, int, int]


def random_colour(rng: Rng) -> Colour:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


def gradient(rng: Rng, height_px: int, width_px: int) -> Pixels:
    first, last = np.array(random_colour(rng), np.float32), np.array(random_colour(rng), np.float32)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x / width_px + np.sin(angle) * y / height_px
    along = (along - along.min()) / max(1e-6, float(along.max() - along.min()))
    return (first + along[..., None] * (last - first)).astype(np.uint8)


def texture(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Wood, paper or cloth: noise smoothed more along one direction than across."""
    base = np.array(random_colour(rng), np.float32)
    noise = rng.normal(0, 1, (height_px, width_px)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=float(rng.uniform(0.6, 12)), sigmaY=float(rng.uniform(0.6, 3)))
    grain = grain / grain.std() * rng.uniform(5, 20)
    return np.clip(base + grain[..., None] * np.array([1.0, 0.9, 0.7]), 0, 255).astype(np.uint8)


def pattern(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Stripes, checks or dots of two colours."""
    first, last = np.array(random_colour(rng), np.float32), np.array(random_colour(rng), np.float32)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    period = float(rng.uniform(8, 28))
    which = int(rng.integers(3))
    if which == 0:
        angle = rng.uniform(0.3, 1.2)
        on = ((np.cos(angle) * x + np.sin(angle) * y) / period) % 1 < 0.5
    elif which == 1:
        on = ((x // period) + (y // period)) % 2 < 1
    else:
        on = np.hypot((x % period) - period / 2, (y % period) - period / 2) < 0.3 * period
    return np.where(on[..., None], first, last).astype(np.uint8)
