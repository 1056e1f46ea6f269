"""How sure we are that a group of ink cells is lettering or a mark: a logistic model over what the map says of it."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.resources import files
from typing import Self

from automask.config import FrozenModel
from automask_models.ink.groups import InkGroup
from automask_models.text.evidence import LogisticModel

_SURE = 1e-4
_LARGEST_CELLS = 400.0


def features_of(group: InkGroup) -> dict[str, float]:
    """The numbers that the model weighs, by name."""
    return {
        "log_odds": _log_odds(group.probability),
        "peak_log_odds": _log_odds(group.peak),
        "log_cells": math.log(min(group.count, _LARGEST_CELLS)),
    }


class GroupModel(FrozenModel):
    """The fitted model; its file also says how it was fitted."""

    fitted_on: str
    logistic: LogisticModel

    @classmethod
    def bundled(cls) -> Self:
        """The model fitted for the shipped ink network."""
        return cls.model_validate(json.loads(files(__package__).joinpath("confidence.json").read_text("utf-8")))

    @property
    def sha256(self) -> str:
        """Hash of the numbers, for fingerprints."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted_on"}).encode()).hexdigest()

    def confidence(self, group: InkGroup) -> float:
        """Probability that the group is lettering or a mark, 0..1."""
        return self.logistic.probability(features_of(group))


def _log_odds(probability: float) -> float:
    kept = min(1 - _SURE, max(_SURE, probability))
    return math.log(kept / (1 - kept))
