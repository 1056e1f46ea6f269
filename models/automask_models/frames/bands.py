"""Bands: a stretch of near-uniform colour along one side that ends at one straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.sides import Line, SideView

MIN_TOLERANCE = 8.0
"""Levels that a pixel of a uniform band may differ at least: JPEG ringing beside a sharp edge reaches this."""
MAX_TOLERANCE = 40.0
"""Levels beyond which a pixel is another colour, however rough the band is (paper, scans)."""
MAX_SLOPE = 0.012
"""Tangent of the largest tilt followed: 0.7 degrees, what a flat-bed scan shows."""
SLOPE_STEPS = 13
LINE_TOLERANCE = 0.002
"""Wobble of a line as a share of its length; printed lines and blunt scans are not ruled exactly."""
MIN_SUPPORT = 0.30
"""Share of positions below which a line is not looked at: a photograph's own straight edges stay below."""


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
        straightness_px: Root mean square distance of the ends of the colour from the line.
    """

    line: Line
    thickness_px: float
    colour: tuple[float, float, float]
    noise: float
    purity: float
    support: float
    beyond: float
    contrast: float
    straightness_px: float


def outer_colour(strip: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The commonest colour of a (P, k, 3) strip and the share of its pixels near that colour."""
    flat = strip.reshape(-1, 3)
    quantised = (flat / 16.0).astype(np.int32)
    codes = quantised[:, 0] * 256 + quantised[:, 1] * 16 + quantised[:, 2]
    values, counts = np.unique(codes, return_counts=True)
    code = int(values[int(counts.argmax())])
    centre = np.array([code // 256, code // 16 % 16, code % 16], dtype=np.float32) * 16 + 8
    near = np.abs(flat - centre).max(axis=1) <= 24
    colour = np.median(flat[near], axis=0).astype(np.float32)
    return colour, float((np.abs(flat - colour).max(axis=1) <= MAX_TOLERANCE).mean())


def find_bands(view: SideView, *, limit: int = 4) -> list[Band]:
    """Candidate bands that start at the view's line, the outermost first.

    Args:
        view: What the side looks like.
        limit: How many candidates to return at most.
    """
    positions, depth_px = view.pixels.shape[:2]
    colour, share = outer_colour(view.pixels[:, : min(2, depth_px)])
    if share < MIN_SUPPORT:
        return []
    difference = np.abs(view.pixels - colour).max(axis=2)
    edge_pixels = difference[:, : min(2, depth_px)]
    noise = float(1.4826 * np.median(edge_pixels[edge_pixels <= MAX_TOLERANCE]))
    tolerance = min(MAX_TOLERANCE, MIN_TOLERANCE + 4 * noise)
    near = difference <= tolerance
    exit_position, exit_depth = np.nonzero(near[:, :-1] & ~near[:, 1:])
    exit_depth = exit_depth + 1
    if exit_position.size == 0:
        return []
    bands = []
    purity_to = np.cumsum(near.mean(axis=0)) / np.arange(1, depth_px + 1)
    for depth, slope in _peaks(view, exit_position, exit_depth, limit=limit):
        band = _measure(
            view, near, difference, exit_position, exit_depth, depth=depth, slope=slope, colour=colour, noise=noise,
            purity=float(purity_to[min(depth_px - 1, max(0, round(depth) - 1))]),
        )
        if band is not None:
            bands.append(band)
    return sorted(bands, key=lambda band: band.thickness_px)


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
        histogram[row] = np.convolve(counts, window, mode="same")
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
    difference: NDArray[np.float32],
    exit_position: NDArray[np.int64],
    exit_depth: NDArray[np.int64],
    *,
    depth: float,
    slope: float,
    colour: NDArray[np.float32],
    noise: float,
    purity: float,
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
    beyond_columns = np.clip(at[:, None] + reach + np.arange(1, 4)[None, :], 0, depth_px - 1)
    beyond = near[rows, beyond_columns]
    step = difference[rows, np.clip(at[:, None] + np.arange(0, 3)[None, :], 0, depth_px - 1)].max(axis=1)
    return Band(
        line=Line(view.line.depth_px + depth, view.line.slope + slope),
        thickness_px=depth,
        colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        noise=noise,
        purity=purity,
        support=supported.size / positions,
        beyond=float(beyond.mean()),
        contrast=float(np.median(step)),
        straightness_px=float(np.sqrt(np.mean(residual[on_line] ** 2))),
    )
