"""What the ink map says about the chance that something is lettering or a mark: logistic models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from automask.values.types import LETTERS_ATTRIBUTE, Region
from automask_models.fitted import FittedModel
from automask_models.ink.groups import InkGroup
from automask_models.text.evidence import LogisticModel
from automask_models.text.regions import Recognition

_SURE = 1e-3
_LARGEST_CELLS = 400.0
_BARELY = 0.03
"""Groups that are less sure without a reading are not read: there are many of them, and next to none is lettering."""
LARGE_SHARE = 0.0125
"""Share of a picture from which lettering must be read in a group: a false one costs a quarter of what a fine mask may
waste, and what is that large can be read where it is lettering."""
_NOTHING, _LINE = Recognition("", 0.0), Recognition("abcdefghij", 0.95)
DRAWN = 0.5
"""From this confidence on a thing is drawn, unless the policy says otherwise."""

GROUP_FEATURES = ("log_odds", "peak_log_odds", "log_cells")
READ_GROUP_FEATURES = (*GROUP_FEATURES, "read_evidence")
LARGE_GROUP_FEATURES = ("log_odds", "read_evidence")
LINE_FEATURES = ("text_log_odds", "ink_log_odds", "read_letters", "log_share", "unread_size", "company")
"""Names of what the models weigh."""

_LEAST_SHARE = 0.002
"""Below this share of a picture, all lines are small: what they are does not depend on it."""
_SIZE_FROM = 0.01
"""From this share of a picture on it matters that a line cannot be read: a fifth of what a fine mask may waste."""
_LIKE_HEIGHT = 0.25
"""Lines keep each other company by the logarithm of their letters' heights, with this deviation: capitals, small
letters and accents make that difference between lines of one size."""


def group_features(group: InkGroup, reading: Recognition | None = None) -> dict[str, float]:
    """The numbers that the models of groups weigh, by name; `read_evidence` only with a reading."""
    features = {
        "log_odds": log_odds(group.probability),
        "peak_log_odds": log_odds(group.peak),
        "log_cells": math.log(min(group.count, _LARGEST_CELLS)),
    }
    if reading is not None:
        features["read_evidence"] = reading.evidence
    return features


def large_group_features(group: InkGroup, reading: Recognition) -> dict[str, float]:
    """The numbers that the model of large groups weighs, by name: size and peak say nothing of them any more."""
    return {"log_odds": log_odds(group.probability), "read_evidence": reading.evidence}


def line_features(
    lines: Sequence[Region], ink_probabilities: Sequence[float], *, picture_px: int
) -> list[dict[str, float]]:
    """The numbers that the model of text lines weighs, by name, of each line of one picture.

    Beside what the detector and the map say these are: `read_letters`, 0 for nothing and 1.1 for two sure letters,
    rising with their score and how many different ones there are; the logarithm of the share of the picture that the
    box covers; `unread_size`, the logarithm of how many times larger than a hundredth of it the box is, so far as
    little is read and the map shows no ink (letters that the recogniser does not know do show); and `company`, how many
    sure lines of like height the picture has beside this one.

    Args:
        lines: All text lines of the picture, with the confidence and the attributes of `text_region`.
        ink_probabilities: `InkMap.upper_quartile` of the outline of each, 0..1.
        picture_px: Number of pixels of the picture.
    """
    found = []
    for line, ink, company in zip(lines, ink_probabilities, _company(lines), strict=True):
        share = line.box.area_px / picture_px
        score = float(line.attributes.get("score_rec", 0.0))
        read = score**2 * math.log1p(Recognition(str(line.attributes.get("text", "")), score).different)
        found.append(
            {
                "text_log_odds": log_odds(line.confidence),
                "ink_log_odds": log_odds(ink),
                "read_letters": read,
                "log_share": math.log(max(share, _LEAST_SHARE)),
                "unread_size": math.log(max(share / _SIZE_FROM, 1.0)) * max(0.0, 1.0 - read) * (1.0 - ink),
                "company": company,
            }
        )
    return found


def _company(lines: Sequence[Region]) -> list[float]:
    """Of each line: log(1 + the number of others, counted by confidence and by how alike their letters' height is)."""
    heights = np.log([max(float(line.attributes.get(LETTERS_ATTRIBUTE, 0.0)), _SURE) for line in lines])
    likeness = np.exp(-(((heights[:, None] - heights[None, :]) / _LIKE_HEIGHT) ** 2) / 2)
    np.fill_diagonal(likeness, 0.0)
    return [float(each) for each in np.log1p(likeness @ np.array([line.confidence for line in lines]))]


def log_odds(probability: float) -> float:
    """Log odds of a probability, within what a map of finite precision can tell."""
    return float(log_odds_of_map(np.array(probability)))


def log_odds_of_map(probability: NDArray[Any]) -> NDArray[Any]:
    """`log_odds` of each, in the shape and dtype given."""
    kept = np.clip(probability, _SURE, 1 - _SURE)
    return np.asarray(np.log(kept / (1 - kept)))


class InkModel(FittedModel):
    """The fitted models; their file also says how they were fitted.

    Attributes:
        groups: Of what the ink map shows by itself.
        read_groups: The same where a recogniser was asked what it reads there.
        large_groups: The same of what covers `LARGE_SHARE` of the picture.
        lines: Of lines that a text detector found: its own confidence, what the map shows there, what is read in the
            line, how large it is and how many like it there are.
    """

    FILE: ClassVar[str] = "confidence.json"

    groups: LogisticModel
    read_groups: LogisticModel
    large_groups: LogisticModel
    lines: LogisticModel

    @model_validator(mode="after")
    def _of_known_numbers(self) -> Self:
        self.groups.refuse_unknown(GROUP_FEATURES)
        self.read_groups.refuse_unknown(READ_GROUP_FEATURES)
        self.large_groups.refuse_unknown(LARGE_GROUP_FEATURES)
        self.lines.refuse_unknown(LINE_FEATURES)
        return self

    def of_group(self, group: InkGroup, reading: Recognition | None = None) -> float:
        """Probability that a group is lettering or a mark, 0..1."""
        model = self.groups if reading is None else self.read_groups
        return model.probability(group_features(group, reading))

    def of_large_group(self, group: InkGroup, reading: Recognition) -> float:
        """The same for a group of at least `LARGE_SHARE`, by the surest reading of it or of one of its lines."""
        return self.large_groups.probability(large_group_features(group, reading))

    def is_doubtful(self, group: InkGroup) -> bool:
        """Whether it depends on what can be read in a group if it is drawn."""
        return self.of_group(group) >= _BARELY and (
            self.of_group(group, _NOTHING) < DRAWN <= self.of_group(group, _LINE)
        )

    def of_line(self, features: Mapping[str, float]) -> float:
        """Probability that a line is text, 0..1, from its `line_features`."""
        return self.lines.probability(features)
