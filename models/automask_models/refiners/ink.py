"""The refiner `ink`: the strokes inside each region, as the ink network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.errors import StageError
from automask.fuse import grow
from automask.geometry import Box
from automask.protocols import PromptSession, WeightFile, WeightSource, stage_fingerprint
from automask.types import Image, Issue, Patch, Region
from automask.weights import missing_weights
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap, InkNetwork
from automask_models.ink.prompts import InkPromptSession
from automask_models.refiners.agreement import span_of
from automask_models.refiners.polygon import filled_region

ALGORITHM_VERSION = 1
_SLACK_SHARE = 0.15
"""Lettering may reach over its region by this share of the region's shorter side: detectors cut corners."""


class InkRefinerOptions(FrozenModel):
    """Options of the `ink` refiner."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of an ink network.")
    threshold: Share = Field(0.15, description="Pixels at or above this probability are ink.")
    min_span: Share = Field(0.8, description="Of the parts of a region, at least this share must show ink.")
    close_cells: float = Field(1.0, ge=0, le=16, description="Gaps up to twice this many 8 px cells are closed.")


class InkRefiner:
    """Takes from each region the pixels that the ink network calls lettering or mark.

    A region whose parts do not all show ink keeps its own shape (the patch's note says why): the network missed
    something that the detector saw, and masking a little more costs less than teaching a letter.
    """

    name: ClassVar[str] = "ink"
    Options: ClassVar[type[FrozenModel]] = InkRefinerOptions

    def __init__(self, options: InkRefinerOptions, *, weights: WeightFile, runtime: RuntimeConfig) -> None:
        self._options = options
        self._weights = weights
        self._runtime = runtime
        self._network: InkNetwork | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The weights are not on this machine.
        """
        checked = InkRefinerOptions.model_validate(options.model_dump())
        found = weights.find(checked.weights)
        if found is None:
            raise missing_weights(checked.weights, stage="The ink refiner")
        return cls(checked, weights=found, runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """See `automask.protocols.Stage`."""
        return stage_fingerprint(
            self.name,
            algorithm_version=ALGORITHM_VERSION,
            options=self._options.model_copy(update={"weights": ""}),
            weights_sha256=(self._weights.sha256,),
        )

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell."""
        return ()

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no ink network.
        """
        if self._network is None:
            self._network = InkNetwork.open(self._weights, runtime=self._runtime)

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
            return Patch(box=box, artefact=filled, score=region.confidence, refiner="polygon")
        ink = network.map_of(image)
        slack_px = max(1, round(_SLACK_SHARE * min(box.shape)))
        window = box.padded(slack_px, width_px=image.width_px, height_px=image.height_px)
        shape = np.zeros(window.shape, dtype=np.bool_)
        shape[_inner(box, window)] = filled
        found = (ink.within(window) >= self._options.threshold) & grow(shape, slack_px)
        span = span_of(found[_inner(box, window)], filled)
        if span < self._options.min_span:
            note = f"ink: seen in {span:.0%} of the region"
            return Patch(box=box, artefact=filled, score=region.confidence, refiner="polygon", note=note)
        closed = self._closed(found, shape, ink)
        score = float(ink.within(window)[found].mean())
        return Patch(box=window, artefact=closed, score=min(1.0, score), refiner=self.name)

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
