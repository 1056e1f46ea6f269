"""Ten product pictures with their truth, drawn from free photographs: one thing on plain ground, with its shadow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

PHOTOS = Path(__file__).parent.parent / "automask" / "examples" / "photos"
COUNT = 10
_GROUNDS = ((255, 255, 255), (255, 255, 255), (232, 232, 234), (178, 180, 186), (24, 24, 28),
            (122, 170, 110), (208, 186, 160), (245, 246, 250), (92, 108, 140), (255, 255, 255))  # fmt: skip
_SURFACES = ("coffee.jpg", "cat.jpg", "rocket.jpg", "snapshot.jpg")


@dataclass(frozen=True, slots=True, eq=False)
class ProductPicture:
    """A picture with its truth.

    Attributes:
        pixels: (H, W, 3) uint8.
        ground: (H, W) bool, its plain ground, shadows included.
        subject: (H, W) bool; the pixels at its edge are neither.
    """

    pixels: NDArray[np.uint8]
    ground: NDArray[np.bool_]
    subject: NDArray[np.bool_]


def product_picture(number: int) -> ProductPicture:
    """Picture 0..9: a bottle, ball, box or stone of some surface, on white, grey, black or coloured ground."""
    rng = np.random.default_rng(number)
    height_px, width_px = ((800, 800), (900, 640), (600, 960))[number % 3]
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    ground = np.empty((height_px, width_px, 3), np.float32)
    ground[:] = _GROUNDS[number]
    if number % 3 == 1:  # lit from the side
        ground *= (1 - 0.22 * x / width_px)[..., None]
    if number % 3 == 2:  # lit in the middle
        ground *= (1.04 - 0.3 * np.hypot(x / width_px - 0.5, y / height_px - 0.5))[..., None]
    shape = _shape(rng, number, height_px, width_px)
    if number % 2 == 0:  # a soft shadow under it
        shadow = np.zeros((height_px, width_px), np.float32)
        bottom = int(np.flatnonzero(shape.any(axis=1))[-1])
        middle = int(np.flatnonzero(shape.any(axis=0)).mean())
        cv2.ellipse(shadow, (middle, bottom - 4), (width_px // 4, height_px // 24), 0, 0, 360, 0.45, -1)
        ground *= (1 - cv2.GaussianBlur(shadow, (0, 0), height_px / 40))[..., None]
    soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.8)[..., None]
    pixels = np.clip(ground * (1 - soft) + _surface(rng, number, height_px, width_px) * soft, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    pixels = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])
    edge = np.ones((5, 5), np.uint8)
    outside = cv2.dilate(shape.astype(np.uint8), edge) == 0
    return ProductPicture(pixels, outside, cv2.erode(shape.astype(np.uint8), edge) > 0)


def _shape(rng: np.random.Generator, number: int, height_px: int, width_px: int) -> NDArray[np.bool_]:
    canvas = np.zeros((height_px, width_px), np.uint8)
    side = min(height_px, width_px)
    middle = (width_px // 2, round(height_px * 0.52))
    which = number % 4
    if which == 0:  # a bottle
        knots = rng.uniform(0.35, 1.0, 6).astype(np.float32)
        tall = round(side * 0.7)
        half = cv2.resize(knots[:, None], (1, tall), interpolation=cv2.INTER_CUBIC)[:, 0] * side * 0.2
        for row, reach in enumerate(half):
            at = middle[1] - tall // 2 + row
            canvas[at, int(middle[0] - reach) : int(middle[0] + reach)] = 1
    elif which == 1:
        cv2.ellipse(canvas, middle, (round(side * 0.28), round(side * 0.22)), rng.uniform(0, 90), 0, 360, 1, -1)
    elif which == 2:
        corners = cv2.boxPoints((middle, (side * 0.55, side * 0.36), float(rng.uniform(10, 35))))
        cv2.fillPoly(canvas, [corners.astype(np.int32)], 1)
    else:
        points = rng.normal(0, side * 0.2, (9, 2)).clip(-side * 0.34, side * 0.34) + middle
        cv2.fillPoly(canvas, [cv2.convexHull(points.astype(np.int32))], 1)
    return canvas > 0


def _surface(rng: np.random.Generator, number: int, height_px: int, width_px: int) -> NDArray[np.float32]:
    with PillowImage.open(PHOTOS / _SURFACES[number % len(_SURFACES)]) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((width_px, height_px)), dtype=np.float32)
    return pixels * 0.75 + rng.uniform(0, 60, 3).astype(np.float32)
