"""What the ink map says about the chance that something is lettering or a mark: logistic models."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

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
LINE_FEATURES = ("text_log_odds", "ink_log_odds")
"""Names of what the models weigh."""


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


def line_features(text_confidence: float, ink_probability: float) -> dict[str, float]:
    """The numbers that the model of text lines weighs, by name.

    Args:
        text_confidence: What a text detector says of the line, 0..1.
        ink_probability: `InkMap.upper_quartile` of its outline, 0..1.
    """
    return {"text_log_odds": log_odds(text_confidence), "ink_log_odds": log_odds(ink_probability)}


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
        lines: Of lines that a text detector found: its own confidence weighed against what the map shows there.
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

    def of_line(self, text_confidence: float, ink_probability: float) -> float:
        """Probability that a line is text, 0..1; see `line_features`."""
        return self.lines.probability(line_features(text_confidence, ink_probability))
