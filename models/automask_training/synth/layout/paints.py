"""Colours and textures that frames of made-up pictures are painted with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[int, int, int]


def random_colour(rng: Rng) -> Colour:
    """Any colour."""
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


def gradient(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """A straight run between two colours, (H, W, 3)."""
    first, last = np.array(random_colour(rng), np.float32), np.array(random_colour(rng), np.float32)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x / width_px + np.sin(angle) * y / height_px
    along = (along - along.min()) / max(1e-6, float(along.max() - along.min()))
    return np.asarray(first + along[..., None] * (last - first), dtype=np.uint8)


def texture(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Wood, paper or cloth: noise smoothed more along one direction than across."""
    base = np.array(random_colour(rng), np.float32)
    noise = rng.normal(0, 1, (height_px, width_px)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=float(rng.uniform(0.6, 12)), sigmaY=float(rng.uniform(0.6, 3)))
    grain = grain / grain.std() * rng.uniform(5, 20)
    return np.asarray(np.clip(base + grain[..., None] * np.array([1.0, 0.9, 0.7]), 0, 255), dtype=np.uint8)


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


def clouds(rng: Rng, height_px: int, width_px: int) -> NDArray[np.float32]:
    """Smooth noise of several sizes, (H, W) float32, 0..1."""
    total = np.zeros((height_px, width_px), np.float32)
    cells = int(rng.integers(2, 7))
    for octave in range(3):
        coarse = rng.random((cells * 2**octave + 1, cells * 2**octave + 1)).astype(np.float32)
        total += cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC) / 2**octave
    total -= total.min()
    return total / max(1e-6, float(total.max()))


def marble(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Clouds between a colour and a lighter or darker one."""
    base = np.array(random_colour(rng), np.float32)
    other = np.clip(base + rng.uniform(-90, 90) + rng.uniform(-25, 25, 3), 0, 255)
    return (base + clouds(rng, height_px, width_px)[..., None] * (other - base)).astype(np.uint8)


def foil(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """A metallic sheet that shimmers in the colours of the rainbow."""
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32) / height_px
    angle, turns = rng.uniform(0, np.pi), rng.uniform(0.7, 6)
    run = (np.cos(angle) * x + np.sin(angle) * y) * turns + clouds(rng, height_px, width_px) * rng.uniform(0, 2)
    shift, depth = rng.uniform(0, 1), rng.uniform(0.15, 0.7)
    waves = np.stack([np.cos(2 * np.pi * (run + shift + third / 3)) for third in range(3)], axis=-1)
    sparkle = rng.normal(0, rng.uniform(0, 14), (height_px, width_px, 1))
    return np.clip(rng.uniform(110, 200) + 90 * depth * waves + sparkle, 0, 255).astype(np.uint8)


def metal(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Gold, silver or bronze with bright and dark bands."""
    base = np.array(((212, 175, 80), (190, 192, 198), (150, 95, 50), (90, 95, 105))[int(rng.integers(4))], np.float32)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32) / height_px
    angle = rng.uniform(0, np.pi)
    shine = np.cos(2 * np.pi * ((np.cos(angle) * x + np.sin(angle) * y) * rng.uniform(0.5, 4) + rng.random()))
    grain = rng.normal(0, rng.uniform(0, 6), (height_px, width_px))
    return np.asarray(np.clip(base * (0.85 + 0.3 * shine[..., None]) + grain[..., None], 0, 255), dtype=np.uint8)


def paper(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """White, cream or grey paper, a little uneven."""
    level = rng.uniform(200, 255)
    base = np.array((level, level - rng.uniform(0, 12), level - rng.uniform(0, 30)))
    uneven = (clouds(rng, height_px, width_px) - 0.5) * rng.uniform(0, 14)
    grain = rng.normal(0, rng.uniform(0, 4), (height_px, width_px))
    return np.clip(base + (uneven + grain)[..., None], 0, 255).astype(np.uint8)


def flat(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """One colour, (H, W, 3): white or black as often as any other."""
    which = rng.random()
    colour = (255, 255, 255) if which < 0.2 else (8, 8, 10) if which < 0.4 else random_colour(rng)
    return np.full((height_px, width_px, 3), colour, np.uint8)


PAINTS = (flat, gradient, texture, pattern, marble, foil, metal, paper)


def painted(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Any of `PAINTS`; printed patterns are faint."""
    draw = PAINTS[int(rng.choice(len(PAINTS), p=(0.25, 0.14, 0.16, 0.05, 0.14, 0.1, 0.1, 0.06)))]
    sheet = draw(rng, height_px, width_px)
    if draw is pattern:
        sheet = (0.25 * sheet + 0.75 * np.array(random_colour(rng))).astype(np.uint8)
    return sheet
