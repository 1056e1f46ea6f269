"""Which images of a stack show the same frame, and which are the same picture again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.reduction import Gradients, resized

REDUCTION = 4
"""Relations are judged at a quarter of the compared size: misplacement by a pixel or two does not matter there."""
SAME_COLOUR_LEVELS = 24
"""Greatest difference per channel between prints of one colour: scans and encoders stay below, pictures rarely do."""
SAME_TYPE = 0.55
"""Mean share of the fixed places at which images of one frame type have the same colour."""
SAME_PLATE = 0.35
"""The same for plates that carry different words."""
FAINT_LEVELS = 4.0
SAME_PICTURE = 0.3
"""Correlation of whitened gradients: other pictures stay below .1, recoloured or recompressed ones lie above .45."""


def same_type_clusters(
    stack: Sequence[NDArray[np.uint8]], places: NDArray[np.bool_], *, least: int, share: float = SAME_TYPE
) -> list[list[int]]:
    """Indices of (h, w, 3) images that have the same colours at the (h, w) `places`, in clusters of at least `least`.

    Average linkage down to the given share of places with the same colour, so that the number of types need not be
    known.
    """
    import cv2

    height_px, width_px = (max(1, side // REDUCTION) for side in places.shape)
    shares = cv2.resize(places.astype(np.float32), (width_px, height_px), interpolation=cv2.INTER_AREA)
    small = shares >= min(0.3, float(shares.max()))
    if not places.any():
        return []
    rows = np.stack([resized(pixels, width_px=width_px, height_px=height_px)[small] for pixels in stack])
    channels = [np.ascontiguousarray(rows[..., channel], dtype=np.int16) for channel in range(rows.shape[-1])]
    similarity = np.empty((len(rows), len(rows)), dtype=np.float32)
    for i in range(len(rows)):
        close = np.logical_and.reduce([np.abs(each[i:] - each[i]) <= SAME_COLOUR_LEVELS for each in channels])
        similarity[i, i:] = similarity[i:, i] = close.mean(axis=1)
    return [cluster for cluster in _average_linkage(similarity, share) if len(cluster) >= least]


def _average_linkage(similarity: NDArray[np.float32], least: float) -> list[list[int]]:
    clusters = [[i] for i in range(len(similarity))]
    between = similarity.astype(np.float64)
    np.fill_diagonal(between, -1.0)
    sizes = np.ones(len(similarity))
    while len(clusters) > 1:
        a, b = sorted(int(i) for i in np.unravel_index(int(np.argmax(between)), between.shape))
        if between[a, b] < least:
            break
        merged = (between[a] * sizes[a] + between[b] * sizes[b]) / (sizes[a] + sizes[b])
        between[a] = between[:, a] = merged
        between[a, a] = -1.0
        sizes[a] += sizes[b]
        clusters[a] += clusters.pop(b)
        between = np.delete(np.delete(between, b, axis=0), b, axis=1)
        sizes = np.delete(sizes, b)
    return [sorted(cluster) for cluster in clusters]


def different_pictures(stack: Sequence[NDArray[np.uint8]], within: NDArray[np.bool_]) -> list[int]:
    """Indices of images that show different pictures inside the (h, w) area, the first of each.

    Series of one scene and recoloured copies agree on their edges as a mark would; one of each is enough.
    """
    import cv2

    height_px, width_px = (max(1, side // REDUCTION) for side in within.shape)
    inside = cv2.resize(within.astype(np.float32), (width_px, height_px), interpolation=cv2.INTER_AREA) > 0.99
    # Gradients reach one pixel out: those on the rim of the area show what all images share around it.
    inside = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(np.bool_)
    kept: list[int] = []
    vectors: list[NDArray[np.float32]] = []
    for index, pixels in enumerate(stack):
        gradients = _soft_gradients(resized(pixels, width_px=width_px, height_px=height_px))[:, inside].ravel()
        norm = float(np.linalg.norm(gradients))
        if norm == 0.0:
            continue  # nothing to compare: an empty picture confirms nothing
        gradients /= norm
        if all(float(gradients @ other) < SAME_PICTURE for other in vectors):
            kept.append(index)
            vectors.append(gradients)
    return kept


def _soft_gradients(pixels: NDArray[np.uint8]) -> Gradients:
    """Direction of the gradients of an (h, w, 3) uint8 image, fading out below a few levels; (2, h, w).

    Unlike whitened ones they depend on the nearest pixels alone, and carry nothing of a frame into its window.
    """
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    gradients: Gradients = np.stack([across, down])
    gradients /= np.sqrt(across**2 + down**2 + np.float32(FAINT_LEVELS**2))
    return gradients
