"""Bands: a stretch of near-uniform colour along one side that ends at one straight line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.channels import largest_channel
from automask_models.frames.sides import Line, SideView

MIN_TOLERANCE = 8.0
"""Levels that a pixel of a uniform band may differ at least: JPEG ringing beside a sharp edge reaches this."""
MAX_TOLERANCE = 40.0
"""Levels beyond which a pixel is another colour, however rough the band is (paper, scans)."""
MAX_SLOPE = 0.012
"""Tangent of the largest tilt followed: 0.7 degrees, what a flat-bed scan shows."""
SLOPE_STEPS = 13
SEAM = 0.008
"""Width of the seam between two borders, as a share of the image across them."""
LINE_TOLERANCE = 0.002
"""Wobble of a line as a share of its length; printed lines and blunt scans are not ruled exactly."""
MIN_SUPPORT = 0.15
"""Share of positions below which a line is not looked at: shorter runs of chance are in every photograph."""


@dataclass(frozen=True, slots=True)
class Band:
    """One candidate band and the evidence for it. Shares are 0..1.

    Attributes:
        line: Where it ends.
        thickness_px: Depth from the line that it starts at.
        colour: Its RGB levels.
        noise: Robust standard deviation of its pixels, in levels.
        purity: Share of its pixels in its colour.
        support: Share of positions where the colour ends exactly at the line.
        beyond: Share of pixels just beyond the line still in its colour.
        contrast: Median colour step across the line, in levels (largest channel).
        first_px: First position along the side that supports the line.
        last_px: Last position along the side that supports the line.
        spacing_px: Distance between sampled positions.
    """

    line: Line
    thickness_px: float
    colour: tuple[float, float, float]
    noise: float
    purity: float
    support: float
    beyond: float
    contrast: float
    first_px: float
    last_px: float
    spacing_px: float


def commonest_colour(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, float]:
    """The commonest colour of (P, k, 3) uint8 pixels, the share of them near it, and their noise around it.

    Returns:
        RGB levels, share 0..1, robust standard deviation in levels (largest channel).
    """
    flat = pixels.reshape(-1, 3)
    coarse = (flat >> 4).astype(np.int32)
    codes = coarse[:, 0] * 256 + coarse[:, 1] * 16 + coarse[:, 2]
    code = int(np.bincount(codes, minlength=4096).argmax())
    centre = np.array([code // 256, code // 16 % 16, code % 16], dtype=np.float32) * 16 + 8
    difference = np.abs(flat - centre)
    near = (difference[:, 0] <= 24) & (difference[:, 1] <= 24) & (difference[:, 2] <= 24)
    colour = np.median(flat[near], axis=0).astype(np.float32)
    distance = largest_channel(np.abs(flat - colour))
    near = distance <= MAX_TOLERANCE
    return colour, float(near.mean()), float(1.4826 * np.median(distance[near]))


def find_bands(view: SideView, *, also: Sequence[Band] = (), limit: int = 4) -> list[Band]:
    """Candidate bands that start at the view's line, the outermost first.

    The colour is read right behind the line and, once more, a little further in: the edge of a scanned card and the
    seam between two borders are several pixels of neither colour.

    Args:
        view: What the side looks like.
        also: Bands further out whose colours are looked for as well.
        limit: How many candidates to return at most for each colour.
    """
    seam_px = max(2, round(SEAM * view.extent_px))
    bands: list[Band] = []
    colours: list[NDArray[np.float32]] = []
    for first in (0, seam_px):
        strip = view.pixels[:, first : first + max(2, first)]
        if strip.size == 0:
            continue
        colour, share, noise = commonest_colour(strip)
        tolerance = min(MAX_TOLERANCE, MIN_TOLERANCE + 4 * noise)
        if share < MIN_SUPPORT or any(np.abs(colour - other).max() < tolerance / 2 for other in colours):
            continue
        colours.append(colour)
        bands += _bands_of(view, colour, first=first, noise=noise, tolerance=tolerance, limit=limit)
    for known in also:
        colour = np.array(known.colour, dtype=np.float32)
        tolerance = min(MAX_TOLERANCE, MIN_TOLERANCE + 4 * known.noise)
        if all(np.abs(colour - other).max() >= tolerance / 2 for other in colours):
            bands += _bands_of(view, colour, first=0, noise=known.noise, tolerance=tolerance, limit=limit)
    return sorted(_without_crossings(bands, view), key=lambda band: band.thickness_px)


def _without_crossings(bands: list[Band], view: SideView) -> list[Band]:
    """Of lines that cross or touch, keep the one that most positions support."""
    kept: list[Band] = []
    for band in sorted(bands, key=lambda candidate: -candidate.support):
        for other in kept:
            fan_px = abs(band.line.slope - other.line.slope) * view.length_px / 2 + 2 * tolerance_px(view)
            same = max(abs(a - b) for a, b in zip(band.colour, other.colour, strict=True)) <= MAX_TOLERANCE
            if same and abs(band.thickness_px - other.thickness_px) <= fan_px and band.support < 0.9 * other.support:
                break
        else:
            kept.append(band)
    return kept


def _bands_of(
    view: SideView, colour: NDArray[np.float32], *, first: int, noise: float, tolerance: float, limit: int
) -> list[Band]:
    import cv2

    low, high = (np.clip(colour + sign * tolerance, 0, 255) for sign in (-1, 1))
    near = cv2.inRange(view.pixels, low.astype(np.float64), high.astype(np.float64)).view(np.bool_)
    # Two pixels on either side: single deviating pixels are noise, and in a rough band there is one everywhere.
    padded = np.pad(near, ((0, 0), (2, 1)), mode="edge")
    leaves = padded[:, :-3] & padded[:, 1:-2] & ~padded[:, 2:-1] & ~padded[:, 3:]
    exit_position, exit_depth = np.nonzero(leaves)
    if exit_position.size == 0:
        return []
    found = []
    for depth, slope in _peaks(view, exit_position, exit_depth, limit=limit):
        band = _measure(
            view, near, exit_position, exit_depth, depth=depth, slope=slope, colour=colour, first=first, noise=noise
        )
        if band is not None:
            found.append(band)
    return found


def _peaks(
    view: SideView, exit_position: NDArray[np.int64], exit_depth: NDArray[np.int64], *, limit: int
) -> list[tuple[float, float]]:
    """Depth and slope of the straight lines on which most positions leave the colour."""
    positions, depth_px = view.pixels.shape[:2]
    offset = view.position_px[exit_position] - (view.length_px - 1) / 2
    slopes = np.linspace(-MAX_SLOPE, MAX_SLOPE, SLOPE_STEPS)
    reach = tolerance_px(view)
    window = np.ones(2 * reach + 1)
    histogram = np.empty((SLOPE_STEPS, depth_px))
    for row, slope in enumerate(slopes):
        at = np.rint(exit_depth - slope * offset).astype(np.int64)
        inside = (at >= 0) & (at < depth_px)
        counts = np.bincount(at[inside], minlength=depth_px).astype(np.float64)
        # Not mode "same", which answers in the length of the window where that is longer than a shallow view.
        histogram[row] = np.convolve(counts, window)[reach : reach + depth_px]
    # A tilted line must beat the level one, otherwise noise decides.
    histogram[np.arange(SLOPE_STEPS) != SLOPE_STEPS // 2] *= 0.97
    best_row = histogram.argmax(axis=0)
    best = histogram.max(axis=0)
    peaks = []
    for _ in range(limit):
        depth = int(best.argmax())
        if best[depth] < MIN_SUPPORT * positions:
            break
        peaks.append((float(depth), float(slopes[best_row[depth]])))
        best[max(0, depth - 2 * reach) : depth + 2 * reach + 1] = 0
    return peaks


def tolerance_px(view: SideView) -> int:
    """How far from the line the colour may end, in pixels."""
    return max(1, round(LINE_TOLERANCE * view.length_px))


def _measure(
    view: SideView,
    near: NDArray[np.bool_],
    exit_position: NDArray[np.int64],
    exit_depth: NDArray[np.int64],
    *,
    depth: float,
    slope: float,
    colour: NDArray[np.float32],
    first: int,
    noise: float,
) -> Band | None:
    positions, depth_px = near.shape
    reach = tolerance_px(view)
    centred = view.position_px - (view.length_px - 1) / 2
    residual = exit_depth - (depth + slope * centred[exit_position])
    on_line = np.abs(residual) <= reach + 0.5
    if np.unique(exit_position[on_line]).size < 8:
        return None
    if slope != 0:
        slope_fit, depth_fit = np.polyfit(centred[exit_position[on_line]], exit_depth[on_line], 1)
        slope, depth = float(slope_fit), float(depth_fit)
    else:
        depth = float(np.median(exit_depth[on_line]))
    residual = exit_depth - (depth + slope * centred[exit_position])
    on_line = np.abs(residual) <= reach + 0.5
    supported = np.unique(exit_position[on_line])
    at = np.rint(depth + slope * centred).astype(np.int64)
    rows = np.arange(positions)[:, None]
    columns = np.arange(depth_px)[None, :]
    within = columns < np.maximum(at - reach, 1)[:, None]
    if depth > 2 * first:
        within &= columns >= first
    inner = view.pixels[within & near][::4].astype(np.float32)
    if inner.size:  # behind a seam the strip that the colour was read from is rougher than the band
        colour = np.median(inner, axis=0).astype(np.float32)
        noise = float(1.4826 * np.median(largest_channel(np.abs(inner - colour))))
    beyond_columns = np.clip(at[:, None] + reach + np.arange(1, 4)[None, :], 0, depth_px - 1)
    beyond = near[rows, beyond_columns]
    step_columns = np.clip(at[:, None] + np.arange(3)[None, :], 0, depth_px - 1)
    step = largest_channel(np.abs(view.pixels[rows, step_columns] - colour)).max(axis=1)
    return Band(
        line=Line(view.line.depth_px + depth, view.line.slope + slope),
        thickness_px=depth,
        colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        noise=noise,
        purity=float(near[within].mean()),
        support=supported.size / positions,
        beyond=float(beyond.mean()),
        contrast=float(np.median(step)),
        first_px=float(view.position_px[supported[0]]),
        last_px=float(view.position_px[supported[-1]]),
        spacing_px=float(view.position_px[-1] - view.position_px[0]) / max(1, positions - 1),
    )
