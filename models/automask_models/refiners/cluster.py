"""The baseline refiner: colours inside each polygon, split into lettering and background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, Share
from automask.mask.rendering import grow
from automask.values.geometry import Box
from automask.values.types import Image, Patch, Region
from automask_models.refiners.polygon import filled_region, polygon_patch
from automask_models.stages import ConfiguredStage

_SAMPLES = 8192
_ITERATIONS = 12
_CHUNK = 1 << 20
"""Points that are converted and compared at once."""


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
            return polygon_patch(region, box, filled)
        ink = find_ink(image, box, filled, colours=self._options.colours)
        share = float(ink.artefact.sum() / filled.sum()) if ink is not None else 0.0
        if ink is None or share > self._options.max_ink_share:
            note = "cluster: no colours apart from the background" if ink is None else f"cluster: {share:.0%} is ink"
            return polygon_patch(region, box, filled, note=note)
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
    margin_px = max(2, min(box.shape) // 4)
    window = box.padded(margin_px, width_px=image.width_px, height_px=image.height_px)
    inside = np.zeros(window.shape, dtype=np.bool_)
    offset_y, offset_x = box.y0 - window.y0, box.x0 - window.x0
    inside[offset_y : offset_y + box.height_px, offset_x : offset_x + box.width_px] = filled
    around = grow(inside, margin_px) & ~inside
    pixels = image.pixels[window.slices]
    within, outside = _colours(pixels, inside), _colours(pixels, around)
    if len(within) < colours or len(outside) == 0:
        return None
    centres = k_means(_lab(within[:: _step(within)]), count=colours)
    labels, total, rest = _labelled(within, centres)
    inside_share = np.bincount(labels, minlength=len(centres)) / len(labels)
    around_share = np.bincount(_labelled(outside, centres)[0], minlength=len(centres)) / len(outside)
    is_ink = around_share < 0.5 * inside_share
    if not is_ink.any():
        return None
    artefact = np.zeros(window.shape, dtype=np.bool_)
    artefact[inside] = is_ink[labels]
    return Ink(
        artefact=artefact[offset_y : offset_y + box.height_px, offset_x : offset_x + box.width_px],
        separation=min(1.0, max(0.0, 1.0 - rest / total)) if total > 0 else 0.0,
    )


def _colours(pixels: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(N, 3) uint8 colours of the True pixels, row by row; numpy would take 16 bytes more for each, all at once."""
    rows = max(1, _CHUNK // where.shape[1])
    parts = [pixels[top : top + rows][where[top : top + rows]] for top in range(0, len(where), rows)]
    return np.concatenate(parts)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 3) float32 CIE Lab of (N, 3) uint8 RGB."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb[None].astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)[0], dtype=np.float32)


def _step(points: NDArray[np.generic]) -> int:
    """Every so many points are looked at for the centres."""
    return max(1, len(points) // _SAMPLES)


def _labelled(rgb: NDArray[np.uint8], centres: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, float]:
    """Index of the nearest centre, (N,) uint8, and the squared distances of (N, 3) colours to their mean and to it.

    A part at a time: a region may be the whole of a large image.
    """
    labels = np.empty(len(rgb), dtype=np.uint8)
    sums, squares, rest = np.zeros(3), 0.0, 0.0
    for at in range(0, len(rgb), _CHUNK):
        lab = _lab(rgb[at : at + _CHUNK])
        found = nearest(lab, centres)
        labels[at : at + _CHUNK] = found
        rest += float(np.square(lab - centres[found]).sum(dtype=np.float64))
        sums += lab.sum(axis=0, dtype=np.float64)
        squares += float(np.square(lab).sum(dtype=np.float64))
    return labels, squares - float(np.square(sums).sum()) / len(rgb), rest


def k_means(points: NDArray[np.float32], *, count: int) -> NDArray[np.float32]:
    """Cluster centres, (count, channels) float32; deterministic, started at quantiles along the main axis."""
    sample = points[:: _step(points)].astype(np.float64)
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
