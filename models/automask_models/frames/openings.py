"""Windows with round corners, and ovals, in a ground of one colour or in a transparent one.

The ground is followed from the four corners inwards, and what it leaves is compared with a rounded rectangle: each
corner gives a radius of its own, and chance does not give the same one four times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.picture import detail_of, pictorial

WORK_PX = 640
"""Longest side of the copy that is searched; the shape is drawn at full size."""
CORNER_PX = 3
"""Side of the squares whose colour is the ground's."""
TOLERANCE = 20
"""Levels by which the ground may vary: JPEG rings along the outline."""
SAME_GROUND = 12.0
"""Levels by which the colours of the corners may differ."""
MIN_RADIUS_PX = 4
EDGE_DEPTH_PX = 3
"""Depth behind the outline at which the picture must have another colour; a vignette has not yet."""
LARGEST_MARGIN = 0.15
"""Margin of an oval as a share of the image: a frame leaves the picture its room, a moon stands in its sky."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A window in the ground.

    Attributes:
        outside: (H, W) bool, all but the window.
        is_oval: Whether the corners meet: no straight sides are left.
        radius_px: Radius of the corners (of the shorter axis for an oval).
        agreement: How well the four corners fit one shape, 0..1.
        sharpness: Share of the corners' outline where another colour begins at once, 0..1.
        detail: Share of detail inside (see `picture`).
        confidence: 0..1.
    """

    outside: NDArray[np.bool_]
    is_oval: bool
    radius_px: float
    agreement: float
    sharpness: float
    detail: float
    confidence: float


def find_opening(pixels: NDArray[np.uint8], *, alpha: NDArray[np.uint8] | None, inside: Box) -> Opening | None:
    """The window that a ground leaves within a box of an (H, W, 3) uint8 image, or None.

    Args:
        pixels: The image.
        alpha: (H, W) uint8; where its corners are transparent the ground is what is transparent.
        inside: What straight frames leave.
    """
    import cv2

    scale = min(1.0, WORK_PX / max(inside.width_px, inside.height_px))
    size = max(1, round(inside.width_px * scale)), max(1, round(inside.height_px * scale))
    if min(size) < 48:
        return None
    corners = _corners(pixels[inside.slices])
    transparent = alpha is not None and bool((_corners(alpha[inside.slices]) < 128).all())
    if transparent:
        assert alpha is not None
        small_alpha = cv2.resize(alpha[inside.slices], size, interpolation=cv2.INTER_AREA)
        near = small_alpha < 128
        opaque = small_alpha >= 128
    else:
        colours = np.median(corners, axis=1)
        colour = np.median(colours, axis=0)
        if np.abs(colours - colour).max() > SAME_GROUND:
            return None
        small = cv2.resize(pixels[inside.slices], size, interpolation=cv2.INTER_AREA)
        distance = largest_channel(np.abs(small.astype(np.float32) - colour.astype(np.float32)))
        near, opaque = distance <= TOLERANCE, distance > TOLERANCE
    window = _window(near)
    if window is None:
        return None
    x0, y0, x1, y1 = _bounds(window)
    part = window[y0:y1, x0:x1]
    radius, is_oval, agreement = _fit(part)
    if radius < MIN_RADIUS_PX:
        return None
    sharpness = _sharpness(opaque[y0:y1, x0:x1], radius, is_oval=is_oval)
    margins_x, margins_y = (x0, size[0] - x1), (y0, size[1] - y1)
    centred = ramp(abs(margins_x[0] - margins_x[1]) / size[0], 0.08, 0.03) * ramp(
        abs(margins_y[0] - margins_y[1]) / size[1], 0.2, 0.1
    )
    roomy = ramp(max(max(margins_x) / size[0], max(margins_y) / size[1]), 1.3 * LARGEST_MARGIN, LARGEST_MARGIN)
    width_px, height_px = (x1 - x0) / scale, (y1 - y0) / scale
    shape = _rounded(round(height_px), round(width_px), radius / scale, is_oval=is_oval)
    outside = np.ones(pixels.shape[:2], dtype=np.bool_)
    top, left = inside.y0 + round(y0 / scale), inside.x0 + round(x0 / scale)
    room = outside[top : top + shape.shape[0], left : left + shape.shape[1]]
    room &= ~shape[: room.shape[0], : room.shape[1]]
    detail = detail_of(pixels[top : top + shape.shape[0], left : left + shape.shape[1]])
    confidence = ramp(agreement, 0.6, 0.85) * ramp(sharpness, 0.5, 0.75) * centred * roomy
    return Opening(
        outside=outside,
        is_oval=is_oval,
        radius_px=radius / scale,
        agreement=agreement,
        sharpness=sharpness,
        detail=detail,
        confidence=confidence * (1.0 if transparent else 0.45 + 0.55 * pictorial(detail)),
    )


def _corners(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The four corner squares of an image, (4, n, ...)."""
    k = CORNER_PX
    squares = [pixels[:k, :k], pixels[:k, -k:], pixels[-k:, :k], pixels[-k:, -k:]]
    return np.stack([square.reshape(-1, *square.shape[2:]) for square in squares])


def _window(near: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """What the ground does not reach from the corners, its holes filled; None where the ground is broken or all."""
    import cv2

    _, labels = cv2.connectedComponents(near.view(np.uint8), connectivity=4)
    height, width = near.shape
    seeds = {int(labels[y, x]) for y in (1, height - 2) for x in (1, width - 2)} - {0}
    ground = np.isin(labels, list(seeds))
    if not seeds or ground.all():
        return None
    opened = cv2.morphologyEx((~ground).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    window: NDArray[np.bool_] = parts == largest
    return window if window.mean() > 0.4 else None


def _bounds(window: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of rows and columns that hold more than stray pixels."""
    rows = np.flatnonzero(window.mean(axis=1) > 0.05)
    columns = np.flatnonzero(window.mean(axis=0) > 0.05)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _fit(window: NDArray[np.bool_]) -> tuple[float, bool, float]:
    """Radius, whether it is an oval, and how well the corners agree with that shape, 0..1."""
    height, width = window.shape
    empty = ~window
    half_h, half_w = height // 2, width // 2
    quarters = [
        empty[:half_h, :half_w],
        empty[:half_h, ::-1][:, :half_w],
        empty[::-1][:half_h, :half_w],
        empty[::-1, ::-1][:half_h, :half_w],
    ]
    best = 0.0, False, 0.0
    areas = np.array([quarter.sum() for quarter in quarters], dtype=np.float64)
    radius = math.sqrt(float(np.median(areas)) / (1 - math.pi / 4))
    for is_oval in (False, True):
        if not is_oval and not MIN_RADIUS_PX <= radius <= min(half_h, half_w):
            continue
        wanted = ~_rounded(height, width, radius, is_oval=is_oval)[:half_h, :half_w]
        overlaps = sorted(float((quarter & wanted).sum() / max(1, (quarter | wanted).sum())) for quarter in quarters)
        # One corner may be lost: the picture has the ground's colour there.
        agreement = 0.75 * overlaps[1] + 0.25 * overlaps[0]
        if agreement > best[2]:
            best = (min(half_h, half_w) if is_oval else radius), is_oval, agreement
    return best


def _rounded(height: int, width: int, radius: float, *, is_oval: bool) -> NDArray[np.bool_]:
    """A filled rounded rectangle, or the oval that touches all four sides, bool (height, width)."""
    y = np.abs(np.arange(height) - (height - 1) / 2)[:, None]
    x = np.abs(np.arange(width) - (width - 1) / 2)[None, :]
    if is_oval:
        oval: NDArray[np.bool_] = (x / (width / 2)) ** 2 + (y / (height / 2)) ** 2 <= 1.0
        return oval
    dx, dy = np.maximum(0, x - (width / 2 - radius)), np.maximum(0, y - (height / 2 - radius))
    inside: NDArray[np.bool_] = dx**2 + dy**2 <= radius**2
    return inside


def _sharpness(opaque: NDArray[np.bool_], radius: float, *, is_oval: bool) -> float:
    """Share of the round outline just behind which the ground's colour has ended, 0..1."""
    import cv2

    height, width = opaque.shape
    shape = _rounded(height, width, radius, is_oval=is_oval).view(np.uint8)
    padded = np.pad(shape, 1)
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(padded, kernel, iterations=EDGE_DEPTH_PX)
    ring = (inner & ~cv2.erode(inner, kernel))[1:-1, 1:-1].astype(np.bool_)
    if not is_oval:  # the straight sides say nothing about the corners
        reach = math.ceil(radius)
        ring[reach : height - reach] = False
        ring[:, reach : width - reach] = False
    return float(opaque[ring].mean()) if ring.any() else 0.0
