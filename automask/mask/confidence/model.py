"""The fitted model: how likely a mask is fine, from the features of its image."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from pydantic import Field, FiniteFloat

from automask.config import FrozenModel

FINE_LEAK: Final = 0.1
FINE_WASTE: Final = 0.05
"""A mask with at most this leak and this waste is fine: nobody has to look."""

_MOST_LOG_ODDS = 30.0


def is_fine(leak: float | None, waste: float | None) -> bool:
    """Whether a mask can be used as it is; a figure that does not exist is none."""
    return (leak or 0.0) <= FINE_LEAK and (waste or 0.0) <= FINE_WASTE


class FeatureWeight(FrozenModel):
    """What one feature counts.

    Attributes:
        log_odds: Per unit; positive speaks for a fine mask.
        lowest: Values below count as this: the model does not extrapolate from what it was fitted on.
        highest: Values above count as this.
    """

    log_odds: FiniteFloat
    lowest: FiniteFloat
    highest: FiniteFloat


class ConfidenceModel(FrozenModel):
    """A logistic model; its file also says how it was fitted.

    Attributes:
        fitted_on: What the numbers come from.
        intercept: Log odds where all features are 0.
        features: By name.
    """

    fitted_on: str
    intercept: FiniteFloat
    features: dict[str, FeatureWeight] = Field(min_length=1)

    @property
    def sha256(self) -> str:
        """Hash of the numbers, part of the fingerprint of a verdict."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted_on"}).encode()).hexdigest()

    def log_odds(self, features: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the log odds of a fine mask: the reasons for a probability."""
        return {
            name: weight.log_odds * min(max(features[name], weight.lowest), weight.highest)
            for name, weight in self.features.items()
        }

    def probability(self, features: Mapping[str, float]) -> float:
        """Probability, 0..1, that a mask has a leak of at most `FINE_LEAK` and a waste of at most `FINE_WASTE`."""
        total = self.intercept + sum(self.log_odds(features).values())
        return 1.0 / (1.0 + math.exp(-min(max(total, -_MOST_LOG_ODDS), _MOST_LOG_ODDS)))


@functools.cache
def bundled_model() -> ConfidenceModel:
    """The model in the package, read once."""
    return ConfidenceModel.model_validate_json((files(__package__) / "model.json").read_text(encoding="utf-8"))
