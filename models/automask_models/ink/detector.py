"""The detector `ink`: lettering and marks by what their pixels look like, whether or not they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.protocols import WeightFile, WeightSource
from automask.values.geometry import Box
from automask.values.placement import Placement, joined
from automask.values.types import Image, Issue, Kind, Region
from automask_models.ink.confidence import InkModel
from automask_models.ink.groups import EDGE_PROBABILITY, InkGroup, groups_of
from automask_models.ink.judging import GroupJudge, Judged
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.scene.network import DEFAULT_WEIGHTS as SCENE_WEIGHTS
from automask_models.scene.network import SceneNetwork
from automask_models.scene.opinion import SceneModel, SceneOpinion
from automask_models.stages import WeightedStage, WeightOptions, asked_weights
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model

SURE_MARK = 0.75
"""Share of a group from which it is called a mark. What may be either, such as a sign in the picture, is text."""

_RAISED = 0.5
"""Share of the least confidence from which the scene network is asked: it doubles the chance of few things below it."""


class InkOptions(WeightOptions):
    """Options of the `ink` detector."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of an ink network.")
    min_confidence: float = Field(0.1, ge=0, le=1, description="Things below this confidence are not reported.")
    models: str = Field("", description="JSON file of the models that judge what the network sees; empty = ours.")
    scene: str = Field(SCENE_WEIGHTS, description="Weights of the scene network as a second opinion; empty = without.")
    scene_models: str = Field("", description="JSON file of the models that weigh that opinion; empty = ours.")
    reading: bool = Field(True, description="Read what is doubtful: letters in it speak for it, their absence against.")


class InkDetector(WeightedStage[InkOptions]):
    """Finds lettering and marks with the ink network.

    Regions know their pixels. Where its weights are installed, the scene network is asked for a second opinion on them
    (`SceneOpinion`). They are of kind watermark where nearly all of their cells look like a mark, else of kind text.
    Attributes: `probability` (mean over the core), `peak`, `mark` (all 0..1), `cells` (size at training resolution in
    cells of 4 px) and, where it was large or doubtful enough to be read, `read_evidence` (see
    `Recognition`). A ring around the picture is an ornament: it is proposed as a frame and not drawn; the frame
    detector decides. Without the default weights it finds nothing and says so once.
    """

    name: ClassVar[str] = "ink"
    Options: ClassVar[type[FrozenModel]] = InkOptions
    algorithm_version: ClassVar[int] = 6
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS
    model_options: ClassVar[tuple[str, ...]] = ("models", "scene_models")
    weight_options: ClassVar[tuple[str, ...]] = ("weights", "scene")

    def __init__(self, options: InkOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        """Build it.

        Raises:
            ConfigError: The file of other models cannot be read, or holds none.
        """
        super().__init__(options, weights=weights, runtime=runtime)
        self._models = InkModel.chosen(options.models, option="options.ink.models")
        self._scene_models = SceneModel.chosen(options.scene_models, option="options.ink.scene_models")
        self._network: InkNetwork | None = None
        self._scene: WeightFile | None = None
        self._scene_opinion: SceneOpinion | None = None
        self._recognition: WeightFile | None = None
        self._judge: GroupJudge | None = None
        self._reader: GroupReader | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: Named weights are missing, or there is nothing to read with.
            ConfigError: The file of other models cannot be read, or holds none.
        """
        made = super().from_options(options, weights=weights, runtime=runtime)
        made._scene = asked_weights(made._options.scene, weights, shipped=SCENE_WEIGHTS, stage="The ink detector")
        if made._weights is not None and made._options.reading:
            try:
                made._recognition = bundled_model(RECOGNITION_FILE)
            except WeightsError as error:
                advice = f"{error.advice} Or do without it: --option ink.reading=false."
                raise WeightsError(error.message, advice=advice) from error
        return made

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """See `WeightedStage`."""
        recognition = () if self._recognition is None else (self._recognition.sha256,)
        scene = () if self._scene is None else (self._scene.sha256, self._scene_models.sha256)
        return (self._models.sha256, *recognition, *scene)

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        return self._notice_without_weights(
            "ink", "marks that cannot be read are not looked for", otherwise=", or leave the detector out"
        )

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        parts = (self._network, self._reader, self._scene_opinion)
        return joined(part.placement for part in parts if part is not None)

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: A file is no ink network or no recogniser.
        """
        if self._weights is not None and self._network is None:
            if self._recognition is not None:
                self._reader = GroupReader.open(self._recognition, runtime=self._runtime)
            self._judge = GroupJudge(self._models, self._reader)
            self._network = InkNetwork.open(self._weights, runtime=self._runtime)
            if self._scene is not None:
                scene = SceneNetwork.open(self._scene, runtime=self._runtime)
                self._scene_opinion = SceneOpinion(scene, self._scene_models.groups)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image; none without weights.

        Raises:
            StageError: `load` was not called, or the network failed.
        """
        if self._weights is None:
            return [[] for _ in images]
        if self._network is None or self._judge is None:
            raise StageError("ink: detect() before load().")
        return [self._seen(image, self._network.map_of(image), self._judge) for image in images]

    def _seen(self, image: Image, ink: InkMap, judge: GroupJudge) -> list[Region]:
        least = self._options.min_confidence
        if self._scene_opinion is None:
            return list(self._regions(image, ink, judge, least=least))
        doubtful = list(self._regions(image, ink, judge, least=least * _RAISED))
        return [region for region in self._scene_opinion.on(image, doubtful) if region.confidence >= least]

    def _regions(self, image: Image, ink: InkMap, judge: GroupJudge, *, least: float) -> Iterator[Region]:
        for group in groups_of(ink):
            for judged in judge.judge(image.pixels, ink, group):
                if judged.confidence >= least:
                    region = region_of(judged, ink, source=self.name)
                    if region is not None:
                        yield region


def region_of(judged: Judged, ink: InkMap, *, source: str) -> Region | None:
    """A group as a region with its pixels, or None where none is left at the resolution of the picture."""
    import cv2

    group, reading = judged.group, judged.reading
    window = group.box_in(ink)
    cells = np.pad(group.cells, 1)
    near = cv2.dilate(cells.view(np.uint8), np.ones((3, 3), dtype=np.uint8))[1:-1, 1:-1]
    own = cv2.resize(near, (window.width_px, window.height_px), interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    artefact = own & (ink.within(window) >= EDGE_PROBABILITY)
    inner = Box.of_artefact(artefact)
    if inner is None:
        return None
    box = inner.shifted(window.x0, window.y0)
    return Region(
        kind=_kind_of(group),
        box=box,
        confidence=judged.confidence,
        source=source,
        artefact=np.ascontiguousarray(artefact[inner.slices]),
        attributes={
            "probability": round(group.probability, 4),
            "peak": round(group.peak, 4),
            "mark": round(group.mark, 4),
            "cells": group.count,
            **({} if reading is None else {"read_evidence": round(reading.evidence, 4)}),
        },
        proposed=group.is_ring,
    )


def _kind_of(group: InkGroup) -> Kind:
    if group.is_ring:
        return Kind.FRAME
    return Kind.WATERMARK if group.mark >= SURE_MARK else Kind.TEXT
