"""How sure we are that what the shipped network boxes is a mark: its own score, and what others see of the place.

The network tells marks from the rest of a picture by what it learned on drawn pictures alone. A logo on a box, an
ornament or a pattern over the whole picture look like marks to it; the ink map and the scene network, which learned
from other pictures, often know better. None of them decides by itself: a fitted model of a few numbers weighs them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import model_validator

from automask.values.geometry import Box
from automask.values.placement import Placement, joined
from automask.values.types import Image, Region
from automask_models.fitted import FittedModel
from automask_models.ink.confidence import log_odds
from automask_models.ink.network import InkMap, InkNetwork
from automask_models.scene.network import SceneMap, SceneNetwork
from automask_models.text.evidence import LogisticModel

FEATURES = (
    "log_odds",
    "is_logo",
    "is_signature",
    "is_timestamp",
    "is_code",
    "log_share",
    "ink_log_odds",
    "mark",
    "scene_log_odds",
)
"""Names of what the model weighs; see `mark_features`."""

_PATTERN_SHARE = 0.05
"""Of the picture: a fine mask may waste no more."""
_SAME, _WITHIN = 0.45, 0.7
"""IoU of two boxes, and share of the less likely one inside of the other, from which they are of one thing. The network
itself leaves those that overlap by less than .6."""
_LEAST_SHARE = 1e-4
"""Of the picture: below it all boxes are small, 6 px of 640."""
_UPPER_QUARTILE = 0.75


class MarkModel(FittedModel):
    """The fitted model; its file also says how it was fitted.

    Attributes:
        boxes: Of the boxes of `automask-watermark`.
    """

    FILE: ClassVar[str] = "judge.json"

    boxes: LogisticModel

    @model_validator(mode="after")
    def _of_known_numbers(self) -> Self:
        self.boxes.refuse_unknown(FEATURES)
        return self


def is_pattern(region: Region, image: Image) -> bool:
    """Whether a box is one of a large watermark: a pattern, a word or lines across the picture.

    A box is no outline of such: masked it would spoil the picture, and `ink` and `tiling` look for its strokes.
    """
    return region.attributes["label"] == "watermark" and region.box.area_px > _PATTERN_SHARE * image.box.area_px


def mark_features(regions: Sequence[Region], image: Image, ink: InkMap, scene: SceneMap) -> list[dict[str, float]]:
    """The numbers that the model weighs, by the names of `FEATURES`, of each box of one picture.

    These are: the log odds of the network's score; 1 for its class, else 0 (watermark is what none of the others is);
    the logarithm of the share of the picture that the box covers; the log odds of what the surest quarter of the ink
    map in it reaches; the share of its ink that is a mark rather than text; and the log odds of what the surest quarter
    of the scene map in it reaches.

    Args:
        regions: All boxes of the picture, with the attributes `label` and `score` of `yolo`.
        image: The picture.
        ink: Its ink map.
        scene: Its scene map.
    """
    return [
        {
            "log_odds": log_odds(float(region.attributes["score"])),
            **{f"is_{name}": float(region.attributes["label"] == name) for name in _CLASSES},
            "log_share": math.log10(max(region.box.area_px / image.box.area_px, _LEAST_SHARE)),
            "scene_log_odds": log_odds(scene.upper_quartile(region)),
            **_ink_features(region.box, ink),
        }
        for region in regions
    ]


_CLASSES = ("logo", "signature", "timestamp", "code")


def _ink_features(box: Box, ink: InkMap) -> dict[str, float]:
    across, down = ink.cells_per_px
    rows, columns = ink.unwanted.shape
    corners = (box.x0 * across, box.y0 * down), (box.x1 * across, box.y1 * down)
    touched = Box.around(corners).clipped(width_px=columns, height_px=rows)
    if touched is None:
        raise ValueError(f"{box} lies outside of the picture")
    cells = touched.slices
    inside = ink.unwanted[cells]
    inked = float(inside.sum())
    return {
        "ink_log_odds": log_odds(float(np.quantile(inside, _UPPER_QUARTILE))),
        "mark": float((inside * ink.mark[cells]).sum()) / inked if inked > 0 else 0.0,
    }


class MarkJudge:
    """Weighs boxes of `automask-watermark`. One instance serves one thread.

    Args:
        ink: The ink network.
        scene: The scene network.
        model: What their maps and the boxes' own numbers say.
    """

    def __init__(self, ink: InkNetwork, scene: SceneNetwork, model: MarkModel) -> None:
        self._ink = ink
        self._scene = scene
        self._model = model

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return joined((self._ink.placement, self._scene.placement))

    def on(self, image: Image, regions: Sequence[Region]) -> list[Region]:
        """The regions with the chance that they are marks as their confidence, the likeliest first and none twice.

        Those that `is_pattern` are left out.

        Raises:
            StageError: A network failed.
        """
        regions = [region for region in regions if not is_pattern(region, image)]
        if not regions:
            return []
        features = mark_features(regions, image, self._ink.map_of(image), self._scene.map_of(image))
        judged = [
            dataclasses.replace(region, confidence=self._model.boxes.probability(numbers))
            for region, numbers in zip(regions, features, strict=True)
        ]
        return each_once(judged)


def each_once(regions: Sequence[Region]) -> list[Region]:
    """The likeliest box of each thing, the likeliest first: without those that lie on or in a likelier one."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda each: -each.confidence):
        if not any(_is_same(region.box, better.box) for better in kept):
            kept.append(region)
    return kept


def _is_same(box: Box, better: Box) -> bool:
    shared = box.intersection(better)
    return shared is not None and (shared.area_px > _WITHIN * box.area_px or box.iou(better) > _SAME)
