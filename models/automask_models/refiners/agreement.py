"""Whether a mask from a network agrees with the region that it was asked about.

What is at stake is lopsided. A stroke that the mask misses leaks into training; a mask that is refused only costs the
background between the letters, because the filled polygon stands in. So a mask must show that it found something all
over its region, but not that it fills it: strokes cover a tenth to a half of a line of text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel, Share
from automask.mask.rendering import grow
from automask.values.geometry import Box

STABILITY_OFFSET = 1.0
"""Logits by which the threshold is moved either way to see whether the mask holds (as in SAM's own mask generator)."""

_TILE_INK = 0.02
"""Share of a tile that must be in the mask for the tile to count as answered."""

_MAX_TILES = 48
_MAX_PIXELS = 20_000


class AgreementLimits(FrozenModel):
    """From where on a mask is taken.

    Tried with the truth of real lettering in place of a network: complete, these limits let most of the gain through;
    with three strokes in ten taken away, they keep the leak at that of the filled polygons. The span and the clear ink
    each catch what the other does not.
    """

    min_iou: Share = 0.5
    """The network's own guess of the mask's IoU."""
    min_containment: Share = 0.6
    """Share of the mask that lies on the region or next to it."""
    min_area: Share = 0.03
    """Share of the region that is in the mask."""
    min_span: Share = 0.7
    """Share of the tiles along the region that hold some of the mask."""
    min_stability: Share = 0.6
    """IoU of the masks at a stricter and a laxer threshold."""
    max_missed_ink: Share = 0.25
    """Share of the ink that plain colour clustering is sure of, but that the mask does not reach."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a mask agrees with its prompt; every figure is 0..1. `AgreementLimits` says what they mean."""

    iou: float
    containment: float
    area: float
    span: float
    stability: float
    missed_ink: float

    @property
    def rank(self) -> float:
        """For choosing among alternatives: the network's guess, discounted by what contradicts it."""
        return self.iou * self.containment * self.span * (1.0 - self.missed_ink)

    def objection(self, limits: AgreementLimits) -> str:
        """Why the mask is not taken, in a few words, or empty."""
        checks = (
            (self.area >= limits.min_area, f"mask covers {self.area:.0%} of its region"),
            (self.containment >= limits.min_containment, f"mask leaves its region (inside: {self.containment:.0%})"),
            (self.span >= limits.min_span, f"mask misses parts of its region (reaches {self.span:.0%})"),
            (self.missed_ink <= limits.max_missed_ink, f"mask misses {self.missed_ink:.0%} of the clear ink"),
            (self.stability >= limits.min_stability, f"mask is unstable ({self.stability:.2f})"),
            (self.iou >= limits.min_iou, f"predicted IoU {self.iou:.2f}"),
        )
        return next((words for holds, words in checks if not holds), "")


def agreement_of(
    logits: NDArray[np.float32],
    filled: NDArray[np.bool_],
    *,
    iou: float,
    tolerance_px: int,
    clear_ink: NDArray[np.bool_] | None = None,
) -> Agreement:
    """Compare a mask with its region.

    Args:
        logits: (h, w) float32 of a window around the region, > 0 = in the mask.
        filled: (h, w) bool, the region's own shape in that window.
        iou: The network's guess.
        tolerance_px: How far a mask may miss an edge, about one step of the network's output.
        clear_ink: (h, w) bool, ink that colour alone shows, or None where colours do not tell.
    """
    mask = logits > 0
    mask_px, region_px = int(mask.sum()), int(filled.sum())
    if mask_px == 0 or region_px == 0:
        return Agreement(iou=iou, containment=0.0, area=0.0, span=0.0, stability=0.0, missed_ink=1.0)
    strict, lax = logits > STABILITY_OFFSET, logits > -STABILITY_OFFSET
    # Rendering grows every mask, so edges that move by a step or two do not count as unstable.
    strict_px, lax_px = int((grow(strict, tolerance_px) & lax).sum()), int(lax.sum())
    missed = 0.0
    if clear_ink is not None and clear_ink.any():
        missed = float((clear_ink & ~grow(mask, tolerance_px)).sum() / clear_ink.sum())
    return Agreement(
        iou=min(1.0, max(0.0, iou)),
        containment=float((mask & grow(filled, tolerance_px)).sum() / mask_px),
        area=float((mask & filled).sum() / region_px),
        span=span_of(mask, filled),
        stability=strict_px / lax_px,
        missed_ink=missed,
    )


def span_of(mask: NDArray[np.bool_], filled: NDArray[np.bool_]) -> float:
    """Share of a region's tiles that hold some of the mask.

    The region is cut across its long axis into pieces about as long as it is wide, and along it into two halves, so
    that a letter, a word or a line that is missing shows.
    """
    points = _sampled_pixels(filled)
    if len(points) == 0:
        return 0.0
    centred = points - points.mean(axis=0)
    axes = _axes(centred)
    along, across = centred @ axes[0], centred @ axes[1]
    length, width = float(np.ptp(along)) + 1.0, float(np.ptp(across)) + 1.0
    pieces = int(min(_MAX_TILES, max(1, round(length / width))))
    piece = np.minimum(((along - along.min()) / length * pieces).astype(int), pieces - 1)
    half = (across > 0).astype(int)
    tile = 2 * piece + half
    sizes = np.bincount(tile, minlength=2 * pieces)
    inked = np.bincount(tile, weights=mask[points[:, 1].astype(int), points[:, 0].astype(int)], minlength=2 * pieces)
    counted = sizes > 0.25 * sizes.max()  # slivers at the ends of a slanted region say nothing
    return float((inked[counted] > _TILE_INK * sizes[counted]).mean())


def centre_points(
    filled: NDArray[np.bool_], box: Box, ink: NDArray[np.bool_] | None, *, count: int
) -> NDArray[np.float32]:
    """Points inside a region, at the middle of equal pieces along it, on ink where it is known.

    Args:
        filled: Shape of the region, `box.shape`.
        box: Its place; the points are in the same pixels.
        ink: bool of the same shape, or None.
        count: Number of points.

    Returns:
        (count, 2) float32 x, y.
    """
    region = _sampled_pixels(filled)
    candidates = region if ink is None else _sampled_pixels(filled & ink)
    if len(candidates) == 0:
        candidates = region
    middle = region.mean(axis=0)
    axes = _axes(region - middle)
    along = (region - middle) @ axes[0]
    targets = along.min() + (np.arange(count) + 0.5) / count * np.ptp(along)
    wished = middle + targets[:, None] * axes[0]
    nearest = np.argmin(np.square(candidates[None] - wished[:, None]).sum(axis=2), axis=1)
    chosen: NDArray[np.float32] = (candidates[nearest] + [box.x0 + 0.5, box.y0 + 0.5]).astype(np.float32)
    return chosen


def _sampled_pixels(artefact: NDArray[np.bool_]) -> NDArray[np.float64]:
    """At most some ten thousand True pixels as (N, 2) x, y: enough to measure a shape, whatever its size."""
    rows, columns = np.nonzero(artefact)
    step = max(1, len(rows) // _MAX_PIXELS)
    return np.stack([columns[::step], rows[::step]], axis=1).astype(np.float64)


def _axes(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Main axes of points around their mean, the longest first, as rows; the sign is fixed."""
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes: NDArray[np.float64] = vectors.T[::-1]
    return axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
