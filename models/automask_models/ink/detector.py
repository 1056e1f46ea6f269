"""The detector `ink`: lettering and marks by what their pixels look like, whether or not they can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.geometry import Box
from automask.protocols import WeightFile, WeightSource
from automask.types import Image, Issue, Kind, Region
from automask_models.ink.confidence import DRAWN, InkModel
from automask_models.ink.groups import EDGE_PROBABILITY, InkGroup, groups_of, parts_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.stages import WeightedStage, WeightOptions
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_models.text.regions import Recognition

_RING_CONFIDENCE = 0.3
SURE_MARK = 0.75
"""Share of a group from which it is called a mark. What may be either, such as a sign in the picture, is text."""


_LETTERING = 0.6
_LETTERS = 2
"""What a part of something that is no lettering must be read with to be drawn."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A group, how sure we are that it is lettering or a mark (0..1), and what was read in it, if it was."""

    group: InkGroup
    confidence: float
    reading: Recognition | None = None

    def at_most(self, confidence: float) -> _Judged:
        """The same, no surer than that."""
        return dataclasses.replace(self, confidence=min(self.confidence, confidence))

    @property
    def is_lettering(self) -> bool:
        """Whether it is drawn for what is read in it."""
        read = self.reading
        return (
            read is not None and self.confidence >= DRAWN and read.different >= _LETTERS and read.evidence >= _LETTERING
        )


class InkOptions(WeightOptions):
    """Options of the `ink` detector."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of an ink network.")
    min_confidence: float = Field(0.1, ge=0, le=1, description="Things below this confidence are not reported.")
    reading: bool = Field(True, description="Read what is doubtful: letters in it speak for it, their absence against.")


class InkDetector(WeightedStage[InkOptions]):
    """Finds lettering and marks with the ink network.

    Regions know their pixels. They are of kind watermark where nearly all of their cells look like a mark, else of
    kind text. Attributes: `probability` (mean over the core), `peak`, `mark` (all 0..1), `cells` (size at training
    resolution in cells of 4 px) and, where it was doubtful enough to be read, `read_evidence` (see `Recognition`). A
    ring around the picture is an ornament: it is proposed as a frame and not drawn; the frame detector decides. Without
    the default weights it finds nothing and says so once.
    """

    name: ClassVar[str] = "ink"
    Options: ClassVar[type[FrozenModel]] = InkOptions
    algorithm_version: ClassVar[int] = 3
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS

    def __init__(self, options: InkOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: InkNetwork | None = None
        self._model: InkModel | None = None
        self._recognition: WeightFile | None = None
        self._reader: GroupReader | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: Named weights are missing, or there is nothing to read with.
        """
        made = super().from_options(options, weights=weights, runtime=runtime)
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
        return (InkModel.bundled().sha256, *([] if self._recognition is None else [self._recognition.sha256]))

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        if self._weights is not None:
            return ()
        return (
            Issue(
                stage=self.name,
                code="weights-missing",
                message=f"No ink weights ({self._options.weights}) on this machine: marks that cannot be read are not "
                "looked for. Give some with `--option ink.weights=FILE`, or leave the detector out.",
            ),
        )

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: A file is no ink network or no recogniser.
        """
        if self._weights is not None and self._network is None:
            if self._recognition is not None:
                self._reader = GroupReader.open(self._recognition, runtime=self._runtime)
            self._network = InkNetwork.open(self._weights, runtime=self._runtime)
            self._model = InkModel.bundled()

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image; none without weights.

        Raises:
            StageError: `load` was not called, or the network failed.
        """
        if self._weights is None:
            return [[] for _ in images]
        if self._network is None or self._model is None:
            raise StageError("ink: detect() before load().")
        return [list(self._regions(image, self._network.map_of(image), self._model)) for image in images]

    def _regions(self, image: Image, ink: InkMap, model: InkModel) -> Iterator[Region]:
        for group in groups_of(ink):
            for judged in self._judged(image, ink, group, model):
                if judged.confidence >= self._options.min_confidence:
                    region = region_of(judged, ink, source=self.name)
                    if region is not None:
                        yield region

    def _judged(self, image: Image, ink: InkMap, group: InkGroup, model: InkModel) -> list[_Judged]:
        """How sure we are of a group; or of its parts, where the whole is not lettering and some of them are."""
        if group.is_ring:
            return [_Judged(group, min(model.of_group(group), _RING_CONFIDENCE))]
        if self._reader is None or not model.is_doubtful(group):
            return [_Judged(group, model.of_group(group))]
        whole = self._read(self._reader, image, ink, group, model)
        if whole.confidence < DRAWN:
            for parts in parts_of(group, ink):
                judged = [self._read(self._reader, image, ink, part, model) for part in parts]
                if any(each.is_lettering for each in judged):
                    return [each if each.is_lettering else each.at_most(whole.confidence) for each in judged]
        return [whole]

    @staticmethod
    def _read(reader: GroupReader, image: Image, ink: InkMap, group: InkGroup, model: InkModel) -> _Judged:
        reading = reader.read(image.pixels, ink, group)
        return _Judged(group, model.of_group(group, reading), reading)


def region_of(judged: _Judged, ink: InkMap, *, source: str) -> Region | None:
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
    )


def _kind_of(group: InkGroup) -> Kind:
    if group.is_ring:
        return Kind.FRAME
    return Kind.WATERMARK if group.mark >= SURE_MARK else Kind.TEXT
