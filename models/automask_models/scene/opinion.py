"""A second opinion on text: does the picture look as if there were lettering?

The ink network knows strokes, not things: railings, petals, feathers and night skies are strokes to it. The scene
network knows things. It is coarse, and blind for what is small or faint, so that it only weighs what others found, and
marks are none of its business: it would lose those that can hardly be seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import model_validator

from automask.values.placement import Placement
from automask.values.types import Image, Kind, Region
from automask_models.fitted import FittedModel
from automask_models.ink.confidence import DRAWN, log_odds
from automask_models.scene.network import SceneNetwork
from automask_models.text.evidence import LogisticModel

FEATURES = ("log_odds", "scene_log_odds")
"""What the models weigh: the confidence of who found it, and what the scene network says of the place."""
SCENE, BEFORE = "scene", "score_before_scene"
"""Attributes of a region that was weighed: what the network says (0..1), and the confidence without it."""


class SceneModel(FittedModel):
    """The fitted models; their file also says how they were fitted.

    Attributes:
        lines: Of lines of a text detector.
        groups: Of what the ink network shows and calls text.
    """

    FILE: ClassVar[str] = "judge.json"

    lines: LogisticModel
    groups: LogisticModel

    @model_validator(mode="after")
    def _of_known_numbers(self) -> Self:
        self.lines.refuse_unknown(FEATURES)
        self.groups.refuse_unknown(FEATURES)
        return self


class SceneOpinion:
    """Weighs the confidence of text with what the scene network says of their places.

    Args:
        network: The network.
        model: That for regions of this kind: `SceneModel.lines` or `.groups`.
    """

    def __init__(self, network: SceneNetwork, model: LogisticModel) -> None:
        self._network = network
        self._model = model

    @property
    def placement(self) -> Placement:
        """See `automask.protocols.PlacedStage`."""
        return self._network.placement

    def on(self, image: Image, regions: Sequence[Region]) -> list[Region]:
        """The regions with their confidence weighed again, and the attributes `SCENE` and `BEFORE`.

        What is no text stays as it is.

        What was only proposed is so no longer where this makes it sure.

        Raises:
            StageError: The network failed.
        """
        if not any(region.kind is Kind.TEXT for region in regions):
            return list(regions)
        seen = self._network.map_of(image)
        return [
            self._weighed(region, seen.upper_quartile(region)) if region.kind is Kind.TEXT else region
            for region in regions
        ]

    def _weighed(self, region: Region, seen: float) -> Region:
        features = {"log_odds": log_odds(region.confidence), "scene_log_odds": log_odds(seen)}
        confidence = self._model.probability(features)
        attributes = {**region.attributes, SCENE: round(seen, 4), BEFORE: round(region.confidence, 4)}
        proposed = region.proposed and confidence < DRAWN
        return dataclasses.replace(region, confidence=confidence, attributes=attributes, proposed=proposed)
