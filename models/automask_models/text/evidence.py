"""How sure we are that a detected line is text: a logistic model over a few pieces of evidence.

Detectors fire on foliage, fences, faces and water. What they find there differs from text: it is large compared with
the image, as high as it is long, found with less probability, and the recogniser reads one odd character or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, FiniteFloat

from automask.config import FrozenModel
from automask_models.fitted import FittedModel

_MIN_LETTERS_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one detected line.

    Attributes:
        score_det: Mean detection probability, 0..1.
        score_rec: Mean probability of the recognised characters, 0..1; 0 where nothing was read.
        letters_share: Height of the letters as a share of the image's short side.
        aspect: Length of the line along the direction of reading, as a multiple of the height of its letters.
    """

    score_det: float
    score_rec: float
    letters_share: float
    aspect: float

    @property
    def features(self) -> dict[str, float]:
        """The numbers that the model weighs, by the names in its coefficient file."""
        return {
            "score_det": self.score_det,
            "score_rec": self.score_rec,
            "log_letters_share": math.log(max(self.letters_share, _MIN_LETTERS_SHARE)),
            "log_aspect": math.log(min(max(self.aspect, 0.5), 10.0)),
        }


class LogisticModel(FrozenModel):
    """Coefficients of one logistic model: log odds at zero, and per unit of each named feature."""

    intercept: FiniteFloat
    coefficients: dict[str, FiniteFloat]

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuse coefficients of what is not measured.

        Raises:
            ValueError: It weighs something else than these.
        """
        unknown = sorted(set(self.coefficients) - set(known))
        if unknown:
            raise ValueError(f"it weighs {', '.join(unknown)}, which is not measured")

    def probability(self, features: Mapping[str, float]) -> float:
        """Probability for one set of features, 0..1."""
        log_odds = self.intercept + sum(weight * features[name] for name, weight in self.coefficients.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))


class EvidenceModel(FittedModel):
    """The fitted models; their file also says how they were fitted.

    Attributes:
        full: Weighs all features.
        blind: Weighs detection and shape only.
        blind_share: How much `blind` counts where the recogniser disagrees. The recogniser does not know every script,
            so that its silence lowers the confidence of a strong detection but never drops it alone.
    """

    FILE: ClassVar[str] = "evidence.json"

    full: LogisticModel
    blind: LogisticModel
    blind_share: float = Field(ge=0, le=1)

    def confidence(self, evidence: Evidence) -> float:
        """Probability that the line is text, 0..1."""
        features = evidence.features
        return max(self.full.probability(features), self.blind_share * self.blind.probability(features))
