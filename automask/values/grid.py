"""The latent grid: how a source image is seen at training resolution, in cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage


@dataclass(frozen=True, slots=True)
class LatentGrid:
    """The training-time size of one image and its cells.

    Trainers with aspect buckets keep the area near `training_px` squared and round both sides to whole cells.

    Attributes:
        width_px: Width at training resolution, a multiple of `cell_px`.
        height_px: Height at training resolution, a multiple of `cell_px`.
        cell_px: Side of one latent cell in training pixels (8 for SD, SDXL and Flux; 16 or 32 for some).
        scale: Training pixels per source pixel, before rounding.
    """

    width_px: int
    height_px: int
    cell_px: int
    scale: float

    @classmethod
    def of(cls, width_px: int, height_px: int, *, training_px: int = 1024, cell_px: int = 8) -> LatentGrid:
        """The grid of a source image of the given size."""
        scale = math.sqrt(training_px * training_px / (width_px * height_px))
        return cls(
            width_px=max(1, round(width_px * scale / cell_px)) * cell_px,
            height_px=max(1, round(height_px * scale / cell_px)) * cell_px,
            cell_px=cell_px,
            scale=scale,
        )

    @property
    def shape_cells(self) -> tuple[int, int]:
        """(rows, columns) in cells."""
        return self.height_px // self.cell_px, self.width_px // self.cell_px

    def source_px(self, cells: float) -> float:
        """Length of `cells` cells, in pixels of the source image."""
        return cells * self.cell_px / self.scale

    def cell_means(self, levels: NDArray[np.uint8], *, resample: PillowImage.Resampling) -> NDArray[np.float64]:
        """Resize an (H, W) uint8 image to training size and average each cell.

        Returns:
            float64 of shape `shape_cells`, 0..1 (level / 255).
        """
        resized = PillowImage.fromarray(levels).resize((self.width_px, self.height_px), resample)
        rows, columns = self.shape_cells
        blocks = np.asarray(resized, dtype=np.float64).reshape(rows, self.cell_px, columns, self.cell_px)
        means: NDArray[np.float64] = blocks.mean(axis=(1, 3)) / 255.0
        return means
