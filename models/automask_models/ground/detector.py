"""The `ground` detector: plain studio ground behind things that are shown alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.outlines import RECTANGULAR, corners_of
from automask.values.placement import Placement
from automask.values.types import Image, Issue, Kind, Region
from automask_models.ground.growing import grown
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutMap, LayoutNetwork
from automask_models.stages import WeightedStage, WeightOptions

LEAST_SHARE = 0.05
"""Share of the image below which ground is a gap: on the latent grid its growth alone is as large."""
LEAST_SUBJECT = 0.005
"""Share of the image that something stands on the ground with at least; less is dust on an empty page."""
WEAK = 0.2
"""Confidence below which it is not even kept: four to one that it is something else."""


class GroundOptions(WeightOptions):
    """Options of the `ground` detector."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of a layout network.")


class GroundDetector(WeightedStage[GroundOptions]):
    """Finds the ground that a subject was photographed or drawn on; runs in the calling thread.

    At most one region per image, of kind ground, with its own `artefact`. The layout network's map, which `edges` and
    `overlay` look at too, is computed once per image, whoever asks first. Attributes:

    - `layout_ground`, `layout_frame`: mean probability of ground and of frame in it;
    - `corners`: share that the largest thing on it covers of the corners of the box around that;
    - `noise_levels`: deviation of its pixels from its own smooth colour, 0..255.
    """

    name: ClassVar[str] = "ground"
    Options: ClassVar[type[FrozenModel]] = GroundOptions
    algorithm_version: ClassVar[int] = 2
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS

    def __init__(self, options: GroundOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: LayoutNetwork | None = None

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        return self._notice_without_weights("layout", "plain ground is not looked for")

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return None if self._network is None else self._network.placement

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no layout network.
        """
        if self._weights is not None and self._network is None:
            self._network = LayoutNetwork.open(self._weights, runtime=self._runtime)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """The ground of each image, if it has one.

        Raises:
            StageError: There are weights and `load` was not called, or the network failed.
        """
        if self._weights is None:
            return [[] for _ in images]
        if self._network is None:
            raise StageError("ground: detect() before load().")
        found = [ground_of(image, self._network.map_of(image)) for image in images]
        return [[] if region is None else [region] for region in found]


def ground_of(image: Image, layout: LayoutMap) -> Region | None:
    """The plain ground of an image whose map is known, or None.

    How sure it is, is what the map says of its cells. Of a device that stands square on plain ground the map cannot
    tell whether it is a framed picture; its outline does: what is no rectangle is no picture in a frame. A cell is
    ground or frame and not both, so that the two probabilities add up.
    """
    found = grown(image.pixels, layout)
    if found is None:
        return None
    artefact = found.artefact
    if image.alpha is not None:  # transparent pixels are known without looking
        artefact = artefact & (image.alpha > 0)
    share = float(np.count_nonzero(artefact)) / artefact.size
    if not LEAST_SHARE <= share <= 1 - LEAST_SUBJECT:
        return None
    cells = layout.share_of(artefact)
    ground, frame = (float((channel * cells).sum() / cells.sum()) for channel in (layout.ground, layout.frame))
    corners = corners_of(~found.on_copy)
    confidence = min(1.0, ground if corners >= RECTANGULAR else ground + frame)
    box = Box.of_artefact(artefact)
    if confidence < WEAK or box is None:
        return None
    return Region(
        kind=Kind.GROUND,
        box=box,
        confidence=round(confidence, 4),
        source=GroundDetector.name,
        artefact=np.ascontiguousarray(artefact[box.slices]),
        attributes={
            "layout_ground": round(ground, 3),
            "layout_frame": round(frame, 3),
            "corners": round(corners, 3),
            "noise_levels": round(found.noise_levels, 2),
        },
    )
