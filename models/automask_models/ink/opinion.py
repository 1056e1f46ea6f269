"""A second opinion on text lines: does the picture show ink where they are?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from automask.values.placement import Placement
from automask.values.types import Image, Region
from automask_models.ink.confidence import DRAWN, InkModel
from automask_models.ink.network import InkNetwork


class InkOpinion:
    """Weighs what a text detector says of a line against what the ink map shows there."""

    def __init__(self, network: InkNetwork, model: InkModel) -> None:
        self._network = network
        self._model = model

    @property
    def placement(self) -> Placement:
        """See `automask.protocols.PlacedStage`."""
        return self._network.placement

    def on(self, image: Image, lines: Sequence[Region]) -> list[Region]:
        """The lines with their confidence weighed again.

        They get the attributes `ink` (see `InkMap.upper_quartile`) and `score_text` (the confidence without it), both
        0..1. A line that was only proposed is so no longer where the ink makes it one. Regions without a polygon are
        left as they are.
        """
        if not lines:
            return []
        ink = self._network.map_of(image)
        weighed = []
        for line in lines:
            if line.polygon is None:
                weighed.append(line)
                continue
            seen = ink.upper_quartile(line.polygon)
            attributes = {**line.attributes, "ink": round(seen, 4), "score_text": round(line.confidence, 4)}
            confidence = self._model.of_line(line.weighed_confidence, seen)
            proposed = line.proposed and confidence < DRAWN
            weighed.append(dataclasses.replace(line, confidence=confidence, attributes=attributes, proposed=proposed))
        return weighed
