"""The refiner `ink`: the strokes inside each region, as the ink network sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.errors import StageError
from automask.mask.rendering import grow
from automask.protocols import PromptSession, WeightFile
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.types import Image, Patch, Region
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap, InkNetwork
from automask_models.ink.prompts import InkPromptSession
from automask_models.refiners.agreement import span_of
from automask_models.refiners.cluster import find_ink
from automask_models.refiners.polygon import filled_region, polygon_patch
from automask_models.stages import WeightedStage, WeightOptions

_SURE = 0.5
"""From this probability on, colours must show what the network sees."""
_FAR_SHARE = 0.08
"""By this share of a region's shorter side colours and network may disagree."""
_SLACK_SHARE = 0.15
"""Lettering may reach over its region by this share of the region's shorter side: detectors cut corners."""


class InkRefinerOptions(WeightOptions):
    """Options of the `ink` refiner."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of an ink network.")
    threshold: Share = Field(0.15, description="Pixels at or above this probability are ink.")
    min_span: Share = Field(0.8, description="Of the parts of a region, at least this share must show ink.")
    close_cells: float = Field(1.0, ge=0, le=16, description="Gaps up to twice this many 8 px cells are closed.")
    by_colour: bool = Field(True, description="Take outlines from colours where they show what the network sees.")
    max_colour_share: Share = Field(0.8, description="Colours that fill more of a region are not lettering alone.")
    min_colour_recall: Share = Field(0.8, description="Of what the network is sure of, colours must show this share.")


class InkRefiner(WeightedStage[InkRefinerOptions]):
    """Takes from each region the pixels that the ink network calls lettering or mark.

    The network answers in cells of 4 px. Where the colours of a region part into lettering and background, and the
    lettering covers what the network is sure of, the outline follows the colours: they are exact to the pixel. A region
    whose parts do not all show ink keeps its own shape (the patch's note says why): the network missed something that
    the detector saw, and masking a little more costs less than teaching a letter.
    """

    name: ClassVar[str] = "ink"
    Options: ClassVar[type[FrozenModel]] = InkRefinerOptions
    algorithm_version: ClassVar[int] = 1
    role: ClassVar[str] = "refiner"

    def __init__(self, options: InkRefinerOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: InkNetwork | None = None

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return None if self._network is None else self._network.placement

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no ink network.
        """
        if self._network is None:
            self._network = InkNetwork.open(self.weight_file, runtime=self._runtime)

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One patch per region.

        Raises:
            StageError: `load` was not called, or the network failed.
        """
        if self._network is None:
            raise StageError("ink: refine() before load().")
        network = self._network
        return [self._patch(image, region, network) for region in regions]

    def prompt_session(self, image: Image) -> PromptSession:
        """See `automask.protocols.PromptableRefiner`.

        Raises:
            WeightsError: The file is no ink network.
            StageError: The network failed.
        """
        self.load()
        if self._network is None:
            raise StageError("ink: prompt_session() before load().")
        return InkPromptSession(self._network.map_of(image), name=self.name)

    def _patch(self, image: Image, region: Region, network: InkNetwork) -> Patch:
        box, filled = filled_region(region, image=image)
        if region.artefact is not None:  # its detector knows the pixels
            return polygon_patch(region, box, filled)
        ink = network.map_of(image)
        coloured = self._by_colour(image, box, filled, ink) if self._options.by_colour else None
        if coloured is not None:
            return coloured
        slack_px = max(1, round(_SLACK_SHARE * min(box.shape)))
        window = box.padded(slack_px, width_px=image.width_px, height_px=image.height_px)
        shape = np.zeros(window.shape, dtype=np.bool_)
        shape[_inner(box, window)] = filled
        found = (ink.within(window) >= self._options.threshold) & grow(shape, slack_px)
        span = span_of(found[_inner(box, window)], filled)
        if span < self._options.min_span:
            note = f"ink: seen in {span:.0%} of the region"
            return polygon_patch(region, box, filled, note=note)
        closed = self._closed(found, shape, ink)
        score = float(ink.within(window)[found].mean())
        return Patch(box=window, artefact=closed, score=min(1.0, score), refiner=self.name)

    def _by_colour(self, image: Image, box: Box, filled: NDArray[np.bool_], ink: InkMap) -> Patch | None:
        """The region's lettering by its colours; None where they do not part, or the network sees it elsewhere."""
        found = find_ink(image, box, filled)
        if found is None or found.artefact.sum() > self._options.max_colour_share * filled.sum():
            return None
        sure = (ink.within(box) >= _SURE) & filled
        # The map is not more exact than its cells, and large letters are seen in it from afar.
        near_px = max(1, math.ceil(1 / ink.cells_per_px[0]), round(_FAR_SHARE * min(box.shape)))
        missed = float((sure & ~grow(found.artefact, near_px)).sum())
        if missed > (1 - self._options.min_colour_recall) * sure.sum():
            return None
        return Patch(box=box, artefact=found.artefact, score=found.separation, refiner=self.name)

    def _closed(self, found: NDArray[np.bool_], shape: NDArray[np.bool_], ink: InkMap) -> NDArray[np.bool_]:
        """Ink with the gaps between its strokes closed: what lies between letters is text to a trainer's cells."""
        across, _ = ink.cells_per_px
        reach_px = round(self._options.close_cells * 2 / across)  # two cells of the map are one of 8 px
        if reach_px < 1:
            return found
        padded = np.pad(found, reach_px)
        closed = ~grow(~grow(padded, reach_px), reach_px)
        inner = closed[reach_px:-reach_px, reach_px:-reach_px]
        return found | (inner & shape)


def _inner(box: Box, window: Box) -> tuple[slice, slice]:
    return (
        slice(box.y0 - window.y0, box.y1 - window.y0),
        slice(box.x0 - window.x0, box.x1 - window.x0),
    )
