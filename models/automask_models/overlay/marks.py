"""The pixels of a mark, from the edges that images agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.overlay.consistency import Consistency, groups
from automask_models.overlay.reduction import WHITEN_PX, furthest, median_of
from automask_models.overlay.relations import SAME_COLOUR_LEVELS

CERTAIN_RATIO = 6.0
"""How many times heavier than the heaviest group that chance made: folders of clean images stay below 2."""
POSSIBLE_RATIO = 3.0
MARGIN_PX = 6
"""Ground around a mark that takes part in solving for it and in looking for it."""
ECHO = 0.35
"""Mean gradients below this share of the strongest one nearby are its echo."""
SOLID_SHARE = 0.85
"""Share of different pictures that have one colour at a place only where something opaque covers it."""
LARGEST_PLATE = 8.0
"""A plate is at most this many times as large as the edges of the mark that was found on it."""
INSIDE = 0.35
"""Share of the height at its edges above which a place between the edges of a mark belongs to it."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkShape:
    """One mark in the compared frame.

    Attributes:
        box: Its window, with `MARGIN_PX` of ground around it where there is room.
        artefact: bool of shape `box.shape`.
        ratio: Mass of its edges over that of the heaviest group that chance made.
    """

    box: Box
    artefact: NDArray[np.bool_]
    ratio: float


def marks_of(stack: Sequence[NDArray[np.uint8]], consistency: Consistency) -> list[MarkShape]:
    """Marks on (h, w, 3) uint8 images, heaviest first; those that chance might have made are left out."""
    import cv2

    height_px, width_px = consistency.energy.shape
    marks = []
    solid, solid_stats = _solid_areas(stack)
    strength = cv2.GaussianBlur(np.hypot(consistency.mean[0], consistency.mean[1]), (0, 0), 1.0)
    peak = cv2.dilate(strength, np.ones((WHITEN_PX + 2, WHITEN_PX + 2), np.uint8))
    for group in groups(consistency.energy, low=consistency.low, high=consistency.high):
        ratio = group.mass / consistency.null_mass
        if ratio < POSSIBLE_RATIO:
            break
        # Taking the local mean away leaves a weak echo of a strong edge beside it, as consistent as the edge itself.
        edges = group.edges & (strength >= ECHO * peak)
        for label in np.unique(solid[edges]):
            left, top, width, height, area = (int(value) for value in solid_stats[label])
            enclosed = left > 0 and top > 0 and left + width < width_px and top + height < height_px
            if label != 0 and enclosed and area <= LARGEST_PLATE * group.edges.sum():
                edges |= solid == label
        tight = Box.of_artefact(edges)
        if tight is None:
            continue
        box = tight.padded(MARGIN_PX, width_px=width_px, height_px=height_px)
        crops = np.stack([pixels[box.slices] for pixels in stack])
        artefact = _filled(crops, edges[box.slices])
        marks.append(MarkShape(box=box, artefact=artefact, ratio=ratio))
    return marks


def _solid_areas(stack: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels and statistics (OpenCV's) of connected places at which almost all images have one colour."""
    import cv2

    usual = median_of(stack)
    share = np.zeros(usual.shape[:2], dtype=np.float32)
    for pixels in stack:
        share += furthest(pixels, usual) <= SAME_COLOUR_LEVELS
    fixed = (share >= SOLID_SHARE * len(stack)).view(np.uint8)
    opened = cv2.morphologyEx(fixed, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    return labels, stats


def _filled(crops: NDArray[np.uint8], edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edges and what lies between them at the mark's own height; all (rows, columns) of the mark's box."""
    import cv2

    grey = crops.astype(np.float32).mean(axis=3)
    steps_x = np.median(np.diff(grey, axis=2, append=grey[:, :, -1:]), axis=0)
    steps_y = np.median(np.diff(grey, axis=1, append=grey[:, -1:, :]), axis=0)
    height = np.abs(_integrated(steps_x, steps_y))
    kernel = np.ones((5, 5), dtype=np.uint8)
    padded = np.pad(edges, 8).view(np.uint8)  # closing at the border of the box must not open it
    closed: NDArray[np.bool_] = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[8:-8, 8:-8].astype(np.bool_)
    typical = float(np.quantile(height[edges], 0.8)) if edges.any() else 0.0
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~closed).view(np.uint8), connectivity=4)
    rows, columns = edges.shape
    out = closed.copy()
    for label in range(1, count):
        left, top, width, tall, _area = (int(value) for value in stats[label])
        enclosed = left > 0 and top > 0 and left + width < columns and top + tall < rows
        hole = labels == label
        if enclosed and typical > 0 and float(np.median(height[hole])) >= INSIDE * typical:
            out |= hole
    return out


def _integrated(steps_x: NDArray[np.float32], steps_y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (h, w) surface with the given forward differences that is 0 around its border (Poisson, by sine series)."""
    rows, columns = steps_x.shape
    divergence = np.diff(steps_x, axis=1, prepend=0.0) + np.diff(steps_y, axis=0, prepend=0.0)
    sine_y, sine_x = _sines(rows), _sines(columns)
    spectrum = sine_y @ divergence @ sine_x
    eigen_y = 2 * np.cos(np.pi * np.arange(1, rows + 1) / (rows + 1)) - 2
    eigen_x = 2 * np.cos(np.pi * np.arange(1, columns + 1) / (columns + 1)) - 2
    surface: NDArray[np.float32] = sine_y @ (spectrum / (eigen_y[:, None] + eigen_x[None, :])) @ sine_x
    return surface


def _sines(size: int) -> NDArray[np.float64]:
    index = np.arange(1, size + 1)
    sines: NDArray[np.float64] = np.sqrt(2 / (size + 1)) * np.sin(np.pi * np.outer(index, index) / (size + 1))
    return sines
