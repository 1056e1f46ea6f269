"""The refiner that needs no weights: a region's own shape, filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel
from automask.values.geometry import Box, rasterise_polygon
from automask.values.types import Image, Patch, Region
from automask_models.stages import ConfiguredStage


class PolygonOptions(FrozenModel):
    """The polygon refiner has no options."""


class PolygonRefiner(ConfiguredStage[PolygonOptions]):
    """Fills each region: its artefact where the detector knows the pixels, else its polygon, else its box.

    The patch's score is the region's confidence, as nothing was learned about the outline.
    """

    name: ClassVar[str] = "polygon"
    Options: ClassVar[type[FrozenModel]] = PolygonOptions
    algorithm_version: ClassVar[int] = 1

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One filled patch per region."""
        return [polygon_patch(region, *filled_region(region, image=image)) for region in regions]


def polygon_patch(region: Region, box: Box, filled: NDArray[np.bool_], *, note: str = "") -> Patch:
    """A region's own shape as its outline: what refiners keep where theirs is no better, with a note why."""
    return Patch(box=box, artefact=filled, score=region.confidence, refiner=PolygonRefiner.name, note=note)


def filled_region(region: Region, *, image: Image) -> tuple[Box, NDArray[np.bool_]]:
    """The pixels of a region's own shape.

    Returns:
        A window inside the image and a bool array of its shape, True = unwanted. The window is the part of the
        polygon's box that lies inside the image, or the region's box where it has no polygon (or none inside).

    Raises:
        ValueError: The region's box reaches outside the image.
    """
    if not image.box.contains(region.box):
        raise ValueError(f"region box {region.box.xyxy} reaches outside the image {image.box.xyxy}")
    if region.artefact is not None:
        return region.box, region.artefact
    if region.polygon is not None:
        box = Box.around(region.polygon).clipped(width_px=image.width_px, height_px=image.height_px)
        if box is not None:
            artefact = rasterise_polygon(region.polygon, box)
            if artefact.any():
                return box, artefact
    return region.box, np.ones(region.box.shape, dtype=np.bool_)
