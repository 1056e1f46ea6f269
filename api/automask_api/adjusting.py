"""Growing, shrinking, inverting and closing of finished masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automask.dataset.decode import Decoded
from automask.files.png import encode_mask
from automask.mask.rendering import fill_holes, growth_px
from automask.values.grid import LatentGrid

_WHITE = 255


class Adjustments(BaseModel):
    """What to do to a mask; what is left out is not done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    invert: bool = Field(False, description="Turn the weights around before anything else.")
    grow_cells: float = Field(0.0, ge=-16, le=16, description="Grow what is masked by cells; below 0 it shrinks.")
    fill_holes_cells: float = Field(0.0, ge=0, le=64, description="Close trained islands up to this side.")
    training_px: int = Field(1024, ge=64, le=8192, description="Training resolution that cells are meant at.")
    cell_px: int = Field(8, ge=1, le=64, description="Latent cell in training pixels.")


def adjusted(levels: NDArray[np.uint8], adjustments: Adjustments) -> NDArray[np.uint8]:
    """The mask after adjustments.

    Every level below 255 counts as masked. Grown pixels take the lowest level within reach, shrunk ones the highest.

    Args:
        levels: (H, W) uint8, 255 = train.
        adjustments: What to do.

    Returns:
        A new (H, W) uint8 array.
    """
    import cv2

    out = _WHITE - levels if adjustments.invert else levels.copy()
    height_px, width_px = out.shape
    grid = LatentGrid.of(width_px, height_px, training_px=adjustments.training_px, cell_px=adjustments.cell_px)
    side_px = 2 * growth_px(grid, abs(adjustments.grow_cells)) + 1
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (side_px, side_px))  # as `automask.mask.rendering.grow`
    if adjustments.grow_cells > 0:
        out = np.asarray(cv2.erode(out, square), dtype=np.uint8)
    elif adjustments.grow_cells < 0:
        out = np.asarray(cv2.dilate(out, square), dtype=np.uint8)
    if adjustments.fill_holes_cells > 0:
        masked = out < _WHITE
        filled = fill_holes(masked, grid.source_px(adjustments.fill_holes_cells) ** 2) & ~masked
        out[filled] = out[masked].min(initial=0)
    return out


def adjusted_png(decoded: Decoded, adjustments: Adjustments) -> bytes:
    """The mask file of an image that is a mask."""
    pixels = decoded.image.pixels
    grey = pixels[..., 0] if (pixels == pixels[..., :1]).all() else _brightness(pixels)
    return encode_mask(adjusted(np.ascontiguousarray(grey), adjustments))


def _brightness(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
