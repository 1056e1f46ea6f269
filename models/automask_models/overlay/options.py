"""Options of the overlay stage."""

from __future__ import annotations

from pydantic import Field

from automask.config import FrozenModel


class OverlayOptions(FrozenModel):
    """How much of a dataset is looked at to find what repeats in it."""

    reduced_px: int = Field(512, ge=128, le=2048, description="Long side at which images are compared.")
    max_images_per_group: int = Field(
        96, ge=5, le=1024, description="Images of one shape that are kept for comparison; the others only count."
    )
    max_images: int = Field(256, ge=5, le=8192, description="Reduced images kept in memory over all shapes.")
    min_images: int = Field(5, ge=4, description="Independent images that must share a mark before it is believed.")
