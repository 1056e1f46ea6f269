"""The baseline refiner: colours inside each polygon, split into lettering and background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, Share
from automask.fuse import grow
from automask.geometry import Box
from automask.types import Image, Patch, Region
from automask_models.refiners.polygon import filled_region
from automask_models.stages import ConfiguredStage

_SAMPLES = 8192
_ITERATIONS = 12


class ClusterOptions(FrozenModel):
    """Options of the `cluster` refiner."""

    colours: int = Field(3, ge=2, le=8, description="Clusters: background, lettering and its outline make three.")
    max_ink_share: Share = Field(0.8, description="More ink than this inside a polygon is no lettering: fill it.")


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """Lettering found by colour.

    Attributes:
        artefact: bool, True = ink, of the shape of the region it was looked for in.
        separation: 0..1, share of the colour variance that lies between the clusters.
    """

    artefact: NDArray[np.bool_]
    separation: float


class ClusterRefiner(ConfiguredStage[ClusterOptions]):
    """K-means in Lab inside each polygon; clusters that also lie around the polygon are background.

    No weights. It knows nothing about letters: on textured backgrounds it takes the wrong pixels, and where colours do
    not separate the polygon stands and the patch's note says so.
    """

    name: ClassVar[str] = "cluster"
    Options: ClassVar[type[FrozenModel]] = ClusterOptions
    algorithm_version: ClassVar[int] = 1

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One patch per region: its ink, or the filled region where no ink is found."""
        return [self._patch(image, region) for region in regions]

    def _patch(self, image: Image, region: Region) -> Patch:
        box, filled = filled_region(region, image=image)
        if region.artefact is not None:
            return Patch(box=box, artefact=filled, score=region.confidence, refiner="polygon")
        ink = find_ink(image, box, filled, colours=self._options.colours)
        share = float(ink.artefact.sum() / filled.sum()) if ink is not None else 0.0
        if ink is None or share > self._options.max_ink_share:
            note = "cluster: no colours apart from the background" if ink is None else f"cluster: {share:.0%} is ink"
            return Patch(box=box, artefact=filled, score=region.confidence, refiner="polygon", note=note)
        return Patch(box=box, artefact=ink.artefact, score=ink.separation, refiner=self.name)


def find_ink(image: Image, box: Box, filled: NDArray[np.bool_], *, colours: int = 3) -> Ink | None:
    """Pixels of a region whose colours do not continue around it.

    Args:
        image: The image.
        box: Window of the region in it.
        filled: Shape of the region, `box.shape`.
        colours: Number of clusters.

    Returns:
        The ink, or None where no cluster is apart from the surroundings.
    """
    import cv2

    margin_px = max(2, min(box.shape) // 4)
    window = box.padded(margin_px, width_px=image.width_px, height_px=image.height_px)
    inside = np.zeros(window.shape, dtype=np.bool_)
    offset_y, offset_x = box.y0 - window.y0, box.x0 - window.x0
    inside[offset_y : offset_y + box.height_px, offset_x : offset_x + box.width_px] = filled
    around = grow(inside, margin_px) & ~inside
    lab = cv2.cvtColor(image.pixels[window.slices].astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    within, outside = lab[inside], lab[around]
    if len(within) < colours or len(outside) == 0:
        return None
    centres = k_means(within, count=colours)
    labels = nearest(within, centres)
    inside_share = np.bincount(labels, minlength=len(centres)) / len(labels)
    around_share = np.bincount(nearest(outside, centres), minlength=len(centres)) / len(outside)
    is_ink = around_share < 0.5 * inside_share
    if not is_ink.any():
        return None
    artefact = np.zeros(window.shape, dtype=np.bool_)
    artefact[inside] = is_ink[labels]
    total = float(np.square(within - within.mean(axis=0)).sum())
    rest = float(np.square(within - centres[labels]).sum())
    return Ink(
        artefact=artefact[offset_y : offset_y + box.height_px, offset_x : offset_x + box.width_px],
        separation=min(1.0, max(0.0, 1.0 - rest / total)) if total > 0 else 0.0,
    )


def k_means(points: NDArray[np.float32], *, count: int) -> NDArray[np.float32]:
    """Cluster centres, (count, channels) float32; deterministic, started at quantiles along the main axis."""
    sample = points[:: max(1, len(points) // _SAMPLES)].astype(np.float64)
    centred = sample - sample.mean(axis=0)
    _, _, axes = np.linalg.svd(centred.T @ centred)
    order = np.argsort(centred @ axes[0], kind="stable")
    picks = ((np.arange(count) + 0.5) / count * len(order)).astype(int)
    centres: NDArray[np.float32] = sample[order[picks]].astype(np.float32)
    for _ in range(_ITERATIONS):
        labels = nearest(sample.astype(np.float32), centres)
        sums = np.stack([np.bincount(labels, weights=sample[:, c], minlength=count) for c in range(sample.shape[1])], 1)
        sizes = np.bincount(labels, minlength=count)[:, None]
        moved = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres).astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """Index of the nearest centre for each of (N, channels) points."""
    # |p - c|^2 without |p|^2, which is the same for every centre.
    distance = np.square(centres).sum(axis=1) - 2.0 * points @ centres.T
    return np.asarray(np.argmin(distance, axis=1), dtype=np.intp)
