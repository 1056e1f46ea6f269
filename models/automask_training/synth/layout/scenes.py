"""Scenes without a frame that look framed: straight edges, flat bands, dark rims. Nothing in them may be masked."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from automask_training.synth.layout.paints import Pixels, Rng, random_colour, texture

SIZES = ((480, 640), (640, 480), (600, 600), (432, 768))


def _size(rng: Rng) -> tuple[int, int]:
    return SIZES[int(rng.integers(len(SIZES)))]


def _noisy(pixels: np.ndarray, rng: Rng, sigma: float = 2.0) -> Pixels:
    return np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8)


def _rough(rng: Rng, height_px: int, width_px: int) -> Pixels:
    """Ground, foliage, cloth: coarse and fine noise of one hue."""
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (height_px, width_px, 3)).astype(np.float32), (0, 0), 14)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (height_px, width_px)).astype(np.float32), (0, 0), 1.2)
    base = np.array(random_colour(rng)) * 0.6 + 50
    rough = base + coarse / coarse.std() * 20 + fine[..., None] / fine.std() * 14
    return np.asarray(np.clip(rough, 0, 255), dtype=np.uint8)


def sea_horizon(rng: Rng) -> Pixels:
    """A level horizon under a smooth sky."""
    height_px, width_px = _size(rng)
    pixels = _rough(rng, height_px, width_px)
    horizon = round(height_px * rng.uniform(0.15, 0.7))
    top, low = np.array(random_colour(rng)), np.array([200, 215, 235])
    along = np.linspace(0, 1, horizon)[:, None, None]
    pixels[:horizon] = np.clip(top * (1 - along) + low * along, 0, 255)
    return _noisy(pixels, rng, float(rng.uniform(0.5, 3)))


def bright_window(rng: Rng) -> Pixels:
    """A window in a dark wall, with panes; the wall is lit from one side, as walls are."""
    height_px, width_px = _size(rng)
    light = np.linspace(0.35, rng.uniform(0.55, 0.8), width_px)[:: int(rng.choice([-1, 1]))]
    wall = (texture(rng, height_px, width_px) * light[None, :, None]).astype(np.uint8)
    x0, x1 = sorted(round(width_px * v) for v in (rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.9)))
    y0, y1 = sorted(round(height_px * v) for v in (rng.uniform(0.05, 0.25), rng.uniform(0.6, 0.9)))
    wall[y0:y1, x0:x1] = np.minimum(255, _rough(rng, y1 - y0, x1 - x0).astype(int) + 90)
    for share in (1 / 3, 2 / 3):
        x = round(x0 + share * (x1 - x0))
        wall[y0:y1, x - 4 : x + 4] = (30, 25, 20)
    wall[(y0 + y1) // 2 - 4 : (y0 + y1) // 2 + 4, x0:x1] = (30, 25, 20)
    return _noisy(wall, rng)


def door(rng: Rng) -> Pixels:
    """A door in a plain wall above a floor."""
    height_px, width_px = _size(rng)
    pixels = np.empty((height_px, width_px, 3))
    pixels[:] = random_colour(rng)
    pixels += np.linspace(-12, 12, width_px)[None, :, None]
    floor = round(height_px * 0.85)
    pixels[floor:] = _rough(rng, height_px - floor, width_px)
    x0, x1 = round(width_px * rng.uniform(0.25, 0.4)), round(width_px * rng.uniform(0.55, 0.75))
    pixels[round(height_px * 0.12) : floor, x0:x1] = texture(rng, floor - round(height_px * 0.12), x1 - x0)
    return _noisy(pixels, rng)


def book_shelf(rng: Rng) -> Pixels:
    """Rows of upright spines on boards."""
    height_px, width_px = _size(rng)
    pixels = np.full((height_px, width_px, 3), (70, 45, 25), np.float64)
    rows = int(rng.integers(2, 5))
    board = round(height_px * 0.02)
    for row in range(rows):
        y0, y1 = round(row * height_px / rows) + board, round((row + 1) * height_px / rows)
        x = 0
        while x < width_px:
            wide = int(rng.integers(12, 40))
            high = round((y1 - y0) * rng.uniform(0.75, 0.98))
            pixels[y1 - high : y1, x : x + wide - 1] = random_colour(rng)
            x += wide
    return _noisy(pixels, rng, 4)


def sky_bands(rng: Rng) -> Pixels:
    """An evening sky in soft bands over a black, flat silhouette."""
    height_px, width_px = _size(rng)
    stops = np.array([random_colour(rng) for _ in range(5)], np.float32)
    sky = cv2.resize(stops[:, None], (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    x = np.arange(width_px)
    ridge = height_px * (0.8 + 0.03 * np.sin(x / width_px * 9 + rng.uniform(0, 6)) + 0.01 * np.sin(x / 9))
    sky[np.arange(height_px)[:, None] > ridge[None]] = (4, 4, 6)
    return _noisy(sky, rng, 1.5)


def vignette(rng: Rng) -> Pixels:
    """A picture whose rim falls off to black."""
    height_px, width_px = _size(rng)
    y, x = np.mgrid[-1 : 1 : height_px * 1j, -1 : 1 : width_px * 1j]
    light = np.clip(1.35 - np.maximum(np.abs(x), np.abs(y)) ** 4 - 0.3 * np.hypot(x, y), 0, 1)
    return _noisy(_rough(rng, height_px, width_px) * light[..., None], rng)


def brick_wall(rng: Rng) -> Pixels:
    """Courses of bricks with light joints."""
    height_px, width_px = _size(rng)
    pixels = np.full((height_px, width_px, 3), (200, 195, 185), np.float64)
    high, wide = int(rng.integers(20, 44)), int(rng.integers(50, 100))
    for row, y in enumerate(range(0, height_px, high)):
        for x in range(-(row % 2) * wide // 2, width_px, wide):
            pixels[y + 3 : y + high, max(0, x + 3) : x + wide] = np.array([150, 70, 50]) + rng.normal(0, 14, 3)
    return _noisy(pixels, rng, 6)


def wall_panels(rng: Rng) -> Pixels:
    """Two flat walls that meet at an edge, with a skirting board and a figure before them."""
    height_px, width_px = _size(rng)
    pixels = np.empty((height_px, width_px, 3))
    corner = round(width_px * rng.uniform(0.15, 0.85))
    pixels[:, :corner], pixels[:, corner:] = random_colour(rng), random_colour(rng)
    floor = round(height_px * rng.uniform(0.75, 0.95))
    pixels[floor:] = random_colour(rng)
    pixels[floor - 6 : floor] = 235
    centre, axes = (width_px // 2, round(height_px * 0.6)), (width_px // 8, height_px // 3)
    figure = np.ascontiguousarray(pixels.astype(np.float32))
    cv2.ellipse(figure, centre, axes, 0, 0, 360, random_colour(rng), -1)
    return _noisy(figure, rng)


def figure_on_white(rng: Rng) -> Pixels:
    """A thing on a white page, as shops show it."""
    height_px, width_px = _size(rng)
    pixels = np.full((height_px, width_px, 3), 255, np.uint8)
    inner = _rough(rng, height_px, width_px)
    mask = np.zeros((height_px, width_px), np.uint8)
    cv2.ellipse(mask, (width_px // 2, height_px // 2), (width_px // 4, height_px // 3), 0, 0, 360, 255, -1)
    cv2.rectangle(mask, (width_px // 3, height_px // 2), (width_px * 2 // 3, height_px - 20), 255, -1)
    pixels[mask > 0] = inner[mask > 0]
    return pixels


def planet(rng: Rng) -> Pixels:
    """A lit disc before black space."""
    height_px, width_px = _size(rng)
    radius = min(height_px, width_px) * rng.uniform(0.2, 0.42)
    y, x = np.mgrid[:height_px, :width_px]
    centre = width_px * rng.uniform(0.4, 0.6), height_px * rng.uniform(0.45, 0.55)
    inside = np.hypot(x - centre[0], y - centre[1]) <= radius
    return np.where(inside[..., None], _rough(rng, height_px, width_px), 2).astype(np.uint8)


def painting_on_wall(rng: Rng) -> Pixels:
    """A framed picture that hangs on a wall and belongs to the scene."""
    height_px, width_px = _size(rng)
    wall = np.empty((height_px, width_px, 3))
    wall[:] = random_colour(rng)
    wall += np.linspace(-15, 15, height_px)[:, None, None]
    x0, x1 = round(width_px * rng.uniform(0.2, 0.35)), round(width_px * rng.uniform(0.6, 0.8))
    y0, y1 = round(height_px * rng.uniform(0.1, 0.2)), round(height_px * rng.uniform(0.5, 0.7))
    wall[y0 - 14 : y1 + 14, x0 - 14 : x1 + 14] = (80, 55, 30)
    wall[y0:y1, x0:x1] = _rough(rng, y1 - y0, x1 - x0)
    floor = round(height_px * 0.85)
    wall[floor:] = _rough(rng, height_px - floor, width_px)
    return _noisy(wall, rng, 3)


UNFRAMED: dict[str, Callable[[Rng], Pixels]] = {
    each.__name__: each
    for each in (
        sea_horizon,
        bright_window,
        door,
        book_shelf,
        sky_bands,
        vignette,
        brick_wall,
        wall_panels,
        figure_on_white,
        planet,
        painting_on_wall,
    )
}
