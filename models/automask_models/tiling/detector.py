"""The detector `tiling`: marks and nets of lines that are repeated all over a picture, however faint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from automask.config import FrozenModel
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask_models.stages import ConfiguredStage
from automask_models.tiling.pattern import Pattern

WORKING_AREA_PX = 1024 * 1024
"""Larger pictures are looked at in this area, that of a training image."""
SMALLEST_SIDE_PX = 96
TRUST = 0.95
"""Confidence in a pattern that is a perfect lattice and shows everywhere."""
FULL_COVERAGE = 0.9
"""Share of the blocks from which a pattern counts as shown everywhere: some hide it."""
LARGEST_SHARE = 0.5
"""A pattern that covers more of the picture than that is only proposed: tiles of a game, dots on a dress, wallpapers.
Whether there is a picture under it that can be learned is for a person to say, who is asked from `accept` (.5) on."""
MIN_CONTRAST = 1.5
"""Grey levels. The steps of a plain gradient, which eight bits and the blocks of a JPEG file make, repeat as well."""
MIN_SHARE = 0.005
"""Fewer pixels than this share of the picture are no mark."""


class TilingOptions(FrozenModel):
    """Options of the `tiling` detector."""

    min_confidence: float = Field(0.3, ge=0, le=1, description="Patterns below this confidence are not reported.")


class TilingDetector(ConfiguredStage[TilingOptions]):
    """Finds what a picture repeats at the places of a lattice: tiled names, stock agencies' nets of lines.

    One region of kind watermark at most, with its own pixels; what covers most of the picture is proposed, not drawn.
    Attributes: `shifts` (how many were found), `closure` and `coverage`, `contrast` (see `pattern.Pattern`),
    `prominence` of the strongest shift. Needs no weights.
    """

    name: ClassVar[str] = "tiling"
    Options: ClassVar[type[FrozenModel]] = TilingOptions
    algorithm_version: ClassVar[int] = 2

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """The tiled mark of each image, if there is one."""
        return [self._regions(image) for image in images]

    def _regions(self, image: Image) -> list[Region]:
        import cv2

        if min(image.width_px, image.height_px) < SMALLEST_SIDE_PX:
            return []
        scale = min(1.0, math.sqrt(WORKING_AREA_PX / (image.width_px * image.height_px)))
        size_px = (max(1, round(image.width_px * scale)), max(1, round(image.height_px * scale)))
        pixels = image.pixels if scale == 1 else cv2.resize(image.pixels, size_px, interpolation=cv2.INTER_AREA)
        pattern = Pattern.of(pixels)
        if pattern is None or pattern.artefact.mean() < MIN_SHARE or pattern.contrast < MIN_CONTRAST:
            return []
        confidence = TRUST * (pattern.closure * min(1.0, pattern.coverage / FULL_COVERAGE)) ** 2
        if confidence < self._options.min_confidence:
            return []
        artefact = pattern.artefact
        if scale != 1:
            full = cv2.resize(
                artefact.astype(np.float32), (image.width_px, image.height_px), interpolation=cv2.INTER_LINEAR
            )
            artefact = full >= 0.5
        box = Box.of_artefact(artefact)
        if box is None:
            return []
        region = Region(
            kind=Kind.WATERMARK,
            box=box,
            confidence=confidence,
            source=self.name,
            artefact=np.ascontiguousarray(artefact[box.slices]),
            attributes={
                "shifts": len(pattern.shifts),
                "closure": round(pattern.closure, 3),
                "coverage": round(pattern.coverage, 3),
                "contrast": round(pattern.contrast, 1),
                "prominence": round(pattern.shifts[0].prominence, 1),
            },
            proposed=bool(pattern.artefact.mean() > LARGEST_SHARE),
        )
        return [region]
