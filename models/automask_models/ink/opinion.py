"""A second opinion on text lines: is there ink where they are, can they be read, are there others like them?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from automask.values.placement import Placement
from automask.values.types import Image, Region
from automask_models.ink.confidence import DRAWN, InkModel, line_features
from automask_models.ink.network import InkNetwork


class InkOpinion:
    """Weighs what a text detector says of a line with what the ink map shows there and with the picture around it."""

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
        outlined = [line for line in lines if line.polygon is not None]
        if not outlined:
            return list(lines)
        ink = self._network.map_of(image)
        seen = [ink.upper_quartile(line.polygon) for line in outlined if line.polygon is not None]
        features = line_features(outlined, seen, picture_px=image.width_px * image.height_px)
        weighed = iter(self._weighed(*each) for each in zip(outlined, seen, features, strict=True))
        return [line if line.polygon is None else next(weighed) for line in lines]

    def _weighed(self, line: Region, seen: float, features: Mapping[str, float]) -> Region:
        confidence = self._model.of_line(features)
        attributes = {**line.attributes, "ink": round(seen, 4), "score_text": round(line.confidence, 4)}
        proposed = line.proposed and confidence < DRAWN
        return dataclasses.replace(line, confidence=confidence, attributes=attributes, proposed=proposed)
