"""Leak and waste: the two figures of merit of a loss mask, on the latent grid.

`leak` is the mean weight still trained on cells that hold unwanted pixels, `waste` the mean weight lost on cells more
than one cell away from them; both have goal 0. The ring of one cell around the unwanted ones counts in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.values.grid import LatentGrid

UNWANTED_SHARE = 0.02
"""A cell is unwanted when more than this share of it is."""

TRUTH_UNWANTED = 255
TRUTH_IGNORE = 128


@dataclass(frozen=True, slots=True)
class MaskScore:
    """Leak and waste of one image.

    Attributes:
        leak: 0..1, or None for an image without unwanted cells.
        waste: 0..1, or None for an image without far cells.
        unwanted_cells: How many cells `leak` averages over.
        far_cells: How many cells `waste` averages over.
    """

    leak: float | None
    waste: float | None
    unwanted_cells: int
    far_cells: int


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCells:
    """The latent cells of a mask, all arrays of one shape.

    Attributes:
        weight: float64, 0..1, what is trained.
        unwanted: bool, the cells that leak.
        far: bool, the cells that are wasted when they are not trained.
    """

    weight: NDArray[np.float64]
    unwanted: NDArray[np.bool_]
    far: NDArray[np.bool_]


def with_neighbours(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Spread True cells to their eight neighbours."""
    padded = np.pad(cells, 1)
    rows, columns = cells.shape
    out = np.zeros_like(cells)
    for dy in range(3):
        for dx in range(3):
            out |= padded[dy : dy + rows, dx : dx + columns]
    return out


def score_mask(
    weight_levels: NDArray[np.uint8], truth: NDArray[np.uint8] | None, *, training_px: int = 1024, cell_px: int = 8
) -> MaskScore:
    """Score a mask against a truth of the same size.

    Args:
        weight_levels: (H, W) uint8 mask, 255 = train, 0 = ignore.
        truth: (H, W) uint8, 255 = unwanted, 128 = counts in neither figure; None = nothing unwanted.
        training_px: Training resolution (side of a square of the same area).
        cell_px: Side of a latent cell in training pixels.

    Raises:
        ValueError: The two differ in size.
    """
    cells = judged_cells(weight_levels, truth, training_px=training_px, cell_px=cell_px)
    unwanted, far, weight = cells.unwanted, cells.far, cells.weight
    return MaskScore(
        leak=float(weight[unwanted].mean()) if unwanted.any() else None,
        waste=float((1.0 - weight[far]).mean()) if far.any() else None,
        unwanted_cells=int(unwanted.sum()),
        far_cells=int(far.sum()),
    )


def judged_cells(
    weight_levels: NDArray[np.uint8], truth: NDArray[np.uint8] | None, *, training_px: int = 1024, cell_px: int = 8
) -> JudgedCells:
    """What `score_mask` averages over, cell by cell.

    Raises:
        ValueError: The two differ in size.
    """
    height_px, width_px = weight_levels.shape
    grid = LatentGrid.of(width_px, height_px, training_px=training_px, cell_px=cell_px)
    if truth is None:
        truth = np.zeros_like(weight_levels)
    if truth.shape != weight_levels.shape:
        raise ValueError(f"mask is {weight_levels.shape}, truth is {truth.shape}: they must be of one size")
    box_filter = PillowImage.Resampling.BOX
    unwanted_share = grid.cell_means(np.where(truth == TRUTH_UNWANTED, 255, 0).astype(np.uint8), resample=box_filter)
    ignore_share = grid.cell_means(np.where(truth == TRUTH_IGNORE, 255, 0).astype(np.uint8), resample=box_filter)
    weight = grid.cell_means(weight_levels, resample=PillowImage.Resampling.BILINEAR)
    counted = ~with_neighbours(ignore_share > 0)
    unwanted = unwanted_share > UNWANTED_SHARE
    far = ~with_neighbours(unwanted) & counted
    unwanted &= counted
    return JudgedCells(weight=weight, unwanted=unwanted, far=far)


def mean_of(scores: list[float | None]) -> float | None:
    """Mean of the figures that exist, or None where none does."""
    present = [score for score in scores if score is not None]
    return sum(present) / len(present) if present else None
