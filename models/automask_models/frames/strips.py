"""Strips along an edge: captions, toolbars, bottom bars. A drawn ground, with or without text, up to a ruled line.

A strip is told from a sky or a wall by its ground: it may be graded across the strip, but along it not a single level
changes, and it ends in the same pixel row from one end to the other. A graded strip without a letter may be a sky.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.sides import Side, oriented_pixels

POSITIONS = 512
DEEPEST = 0.34
"""Largest depth of a strip, as a share of the image across it."""
MIN_DEPTH_PX = 8
"""Thinner ones are lines, which `bands` finds."""
TOLERANCE = 14.0
"""Levels that a pixel of the ground may differ from the median of its row: JPEG rings around letters reach this."""
MIN_STEP = 6.0
"""Levels by which the picture must differ from a ground without noise."""
GROUND_SHARE = 0.12
"""Least share of a row that is ground, behind letters."""
SURE_SHARE = 0.7
"""Share of a row that is ground between lines of text."""
JUMP = 5.0
"""Levels between neighbouring rows that no drawn gradient has."""
JUMP_AT_LETTERS = 16.0
"""The same where letters begin or end: JPEG keeps colours in blocks of 16, which take on some of the ink's."""
PLAIN_SHARE = 0.97
"""Share of a row that is ground where there are no letters."""
RULED = 0.97
DRIFT = (1.6, 0.8)
RULED_DRIFT = (2.5, 1.3)
"""Levels by which the ground may drift along the strip, and how far when it ends at a perfect line."""
SEGMENTS = 8
"""Parts of a side whose medians must agree."""
MIN_GROUND = 0.2
"""Share of ground below which a part has no median worth the name."""
MAX_STRIPS = 3
"""A status bar, a title bar and a toolbar."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A strip along one side.

    Attributes:
        side: Where it lies.
        box: Its pixels.
        confidence: 0..1.
    """

    side: Side
    box: Box
    confidence: float


def find_strips(pixels: NDArray[np.uint8], *, inside: Box, at_least: float) -> list[Strip]:
    """Strips along the sides of a box in an (H, W, 3) uint8 image, from outside inwards.

    Args:
        pixels: The image.
        inside: What other frames leave.
        at_least: Confidence below which a strip ends the search on its side.
    """
    found = []
    for side in (Side.BOTTOM, Side.TOP, Side.LEFT, Side.RIGHT):
        for _ in range(MAX_STRIPS):
            strip = strip_at(pixels, side, inside)
            if strip is None or strip.confidence < at_least:
                break
            found.append(strip)
            inside = without(inside, strip)
    return found


def without(inside: Box, strip: Strip) -> Box:
    """What a strip leaves of the box that it was found in."""
    if strip.side is Side.TOP:
        return replace(inside, y0=strip.box.y1)
    if strip.side is Side.BOTTOM:
        return replace(inside, y1=strip.box.y0)
    return replace(inside, x0=strip.box.x1) if strip.side is Side.LEFT else replace(inside, x1=strip.box.x0)


def strip_at(pixels: NDArray[np.uint8], side: Side, inside: Box) -> Strip | None:
    """The strip at one side of a box in an (H, W, 3) uint8 image with its confidence, or None where there is none."""
    oriented = oriented_pixels(pixels[inside.slices], side)
    length_px, extent_px = oriented.shape[:2]
    whole_px = pixels.shape[1] if side.is_vertical else pixels.shape[0]
    deepest = min(round(DEEPEST * whole_px), extent_px // 2)
    if length_px < 64 or deepest < MIN_DEPTH_PX + 4:
        return None
    positions = np.linspace(1, length_px - 2, min(POSITIONS, length_px - 2)).astype(np.int64)
    view = oriented[positions, :deepest].astype(np.int16)
    # Most sides have no ground at all, which a few rows show.
    _, near = _ground(view[:, 3:MIN_DEPTH_PX])
    if near.mean() < GROUND_SHARE:
        return None
    ground, near = _ground(view)
    depth_px = _depth_of(ground, near)
    if depth_px is None:
        return None
    band, band_near = view[:, 2 : depth_px - 1], near[:, 2 : depth_px - 1]
    difference = (band - ground[None, 2 : depth_px - 1]).mean(axis=2)
    noise = float(1.4826 * np.median(np.abs(difference[band_near])))
    least_step = float(np.clip(4 * noise, MIN_STEP, TOLERANCE))
    support, contrast = _end(view, ground, near, depth_px, least_step=least_step)
    segments = np.array_split(np.where(band_near, difference, np.nan), SEGMENTS)
    means = [float(np.nanmedian(segment)) for segment in segments if np.isfinite(segment).mean() > MIN_GROUND]
    drift = max(means) - min(means)
    ink = float(1 - band_near.mean())
    grade = float(np.ptp(ground[2 : depth_px - 1], axis=0).max())
    confidence = (
        max(ramp(ink, 0.004, 0.02), ramp(grade, 4.0, 2.0) * ramp(noise, 3.0, 1.5))
        * ramp(support, 0.8, 0.94)
        * ramp(contrast, max(MIN_STEP, 6 * noise), 2 * max(MIN_STEP, 6 * noise))
        * ramp(noise, 9.0, 5.0)
        * ramp(drift, *(RULED_DRIFT if support >= RULED else DRIFT))
        * ramp(depth_px / whole_px, DEEPEST, 0.28)
        * ramp(len(means), SEGMENTS - 3, SEGMENTS - 1)
    )
    return Strip(side, _box_of(inside, side, depth_px), confidence)


def _ground(view: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Colour of the ground at each depth (D, 3), and which pixels (P, D) have it.

    Where letters leave less than half of a row, the ground is what it is on either side of the letters.
    """
    ground = np.median(view[::2], axis=0)
    near = largest_channel(np.abs(view - ground[None])) <= TOLERANCE
    sure = np.flatnonzero(near.mean(axis=0) >= SURE_SHARE)
    if sure.size:
        depths = np.arange(ground.shape[0])
        ground = np.stack([np.interp(depths, sure, ground[sure, channel]) for channel in range(3)], axis=1)
        near = largest_channel(np.abs(view - ground[None])) <= TOLERANCE
    return ground, near


def _depth_of(ground: NDArray[np.float64], near: NDArray[np.bool_]) -> int | None:
    """Where the ground that starts at the edge ends, or None where there is none."""
    share = near.mean(axis=0)
    jump = np.abs(np.diff(ground, axis=0)).max(axis=1)
    most = np.where(np.minimum(share[1:], share[:-1]) < PLAIN_SHARE, JUMP_AT_LETTERS, JUMP)
    ends = np.flatnonzero((share[1:] < GROUND_SHARE) | (jump > most)) + 1
    ends = ends[ends > 2]  # the outermost rows of a JPEG or a scaled image are often of another colour
    if ends.size == 0 or ends[0] < MIN_DEPTH_PX or ends[0] + 2 >= ground.shape[0]:
        return None
    # Between the last sure row of the strip and the first of the picture the ground is made up.
    sure = np.flatnonzero(share[: ends[0]] >= SURE_SHARE)
    return int(sure[-1]) + 1 if sure.size and sure[-1] + 1 >= MIN_DEPTH_PX else None


def _end(
    view: NDArray[np.int16], ground: NDArray[np.float64], near: NDArray[np.bool_], depth_px: int, *, least_step: float
) -> tuple[float, float]:
    """How many of the positions on the ground end at the depth, and the median step there in levels."""
    before = near[:, depth_px - 2]
    if before.mean() < SURE_SHARE:
        return 0.0, 0.0
    beyond = view[:, depth_px : depth_px + 3]
    step = np.abs(beyond - ground[depth_px - 2][None, None]).max(axis=(1, 2))[before]
    return float((step >= least_step).mean()), float(np.median(step))


def _box_of(inside: Box, side: Side, depth_px: int) -> Box:
    if side is Side.TOP:
        return replace(inside, y1=inside.y0 + depth_px)
    if side is Side.BOTTOM:
        return replace(inside, y0=inside.y1 - depth_px)
    return replace(inside, x1=inside.x0 + depth_px) if side is Side.LEFT else replace(inside, x0=inside.x1 - depth_px)
