"""The `edges` detector: frames, borders, bars, mats and caption strips from straight edges, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel, RuntimeConfig
from automask.geometry import Box
from automask.protocols import WeightSource, stage_fingerprint
from automask.types import Attribute, Image, Issue, Kind, Region
from automask_models.frames.nesting import Layer, follow
from automask_models.frames.shape import outside_of
from automask_models.frames.sides import Line, Side

ALGORITHM_VERSION = 1


class EdgesOptions(FrozenModel):
    """The `edges` detector has no options yet."""


class EdgesDetector:
    """Finds what was put around a picture. Needs no weights; runs in the calling thread.

    Regions have kind frame and their own `artefact`, the exact pixels of the frame. Attributes:

    - `pattern`: ring, pair or single, for each layer from outside inwards, joined by `>`;
    - `left_px`, `top_px`, `right_px`, `bottom_px`: depth of the whole region at the middle of each side;
    - `support`, `purity`, `beyond`, `noise`, `contrast`: the weakest values over the sides of the outermost layer
      (see `bands.Band`).
    """

    name: ClassVar[str] = "edges"
    Options: ClassVar[type[FrozenModel]] = EdgesOptions

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the detector; it has nothing to check."""
        return cls()

    @property
    def fingerprint(self) -> str:
        """Depends on the algorithm alone."""
        return stage_fingerprint(self.name, algorithm_version=ALGORITHM_VERSION)

    @property
    def notices(self) -> Sequence[Issue]:
        """None."""
        return ()

    def load(self) -> None:
        """Nothing to load."""

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Frames per image."""
        return [detect_frames(image.pixels) for image in images]


def detect_frames(pixels: NDArray[np.uint8]) -> list[Region]:
    """Frame regions of an (H, W, 3) uint8 image."""
    height_px, width_px = pixels.shape[:2]
    regions = []
    done = np.zeros((height_px, width_px), dtype=np.bool_)
    lines = {side: Line() for side in Side}
    accepted: list[Layer] = []
    for layer in follow(pixels):
        if accepted and (layer.confidence >= 0.5) != (accepted[-1].confidence >= 0.5):
            regions.append(_region(accepted, lines, done))
            accepted = []
        accepted.append(layer)
        lines.update(layer.lines)
    if accepted:
        regions.append(_region(accepted, lines, done))
    return [region for region in regions if region is not None]


def _region(layers: list[Layer], lines: dict[Side, Line], done: NDArray[np.bool_]) -> Region | None:
    height_px, width_px = done.shape
    outside = outside_of(lines, height_px=height_px, width_px=width_px) & ~done
    box = Box.of_artefact(outside)
    if box is None:
        return None
    done |= outside
    bands = [chain[0] for chain in layers[0].chains.values()]
    attributes: dict[str, Attribute] = {
        "pattern": ">".join(layer.pattern for layer in layers),
        **{f"{side.value}_px": round(lines[side].depth_px, 1) for side in Side},
        "support": round(min(band.support for band in bands), 3),
        "purity": round(min(band.purity for band in bands), 3),
        "beyond": round(max(band.beyond for band in bands), 3),
        "noise": round(max(band.noise for band in bands), 2),
        "contrast": round(min(band.contrast for band in bands), 1),
    }
    return Region(
        kind=Kind.FRAME,
        box=box,
        confidence=round(min(layer.confidence for layer in layers), 4),
        source="edges",
        artefact=np.ascontiguousarray(outside[box.slices]),
        attributes=attributes,
    )
