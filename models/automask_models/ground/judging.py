"""Whether what was grown is plain ground behind a subject, told by one fitted model."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel
from automask.values.geometry import Box
from automask_models.layout.network import LayoutMap
from automask_models.text.evidence import LogisticModel

_SURE = 0.01
"""Probabilities beyond this and one minus it say no more: the network is not calibrated that far."""


@dataclass(frozen=True, slots=True)
class GroundEvidence:
    """What is known about a grown ground.

    Attributes:
        ground: Mean probability of ground in its cells, 0..1.
        frame: Mean probability of frame in its cells, 0..1.
        margin: Mean probability of a page's margin in its cells, 0..1.
        beyond: Mean probability of ground or frame, whichever is likelier, in the cells that it leaves, 0..1.
        share: Share of the image that it covers, 0..1.
        fullness: Share that what it leaves covers of the box around that: a picture in a frame covers all of it.
        noise_levels: See `growing.Grown`.
    """

    ground: float
    frame: float
    margin: float
    beyond: float
    share: float
    fullness: float
    noise_levels: float

    @classmethod
    def of(cls, layout: LayoutMap, artefact: NDArray[np.bool_], *, noise_levels: float) -> GroundEvidence:
        """Evidence about an (H, W) artefact that is not empty."""
        shares = layout.share_of(artefact)
        weight, rest = max(1e-6, float(shares.sum())), max(1e-6, float((1 - shares).sum()))
        box = Box.of_artefact(shares < 0.5)
        return cls(
            ground=float((layout.ground * shares).sum()) / weight,
            frame=float((layout.frame * shares).sum()) / weight,
            margin=float((layout.margin * shares).sum()) / weight,
            beyond=float((np.maximum(layout.ground, layout.frame) * (1 - shares)).sum()) / rest,
            share=float(shares.mean()),
            fullness=1.0 if box is None else float((1 - shares[box.slices]).mean()),
            noise_levels=noise_levels,
        )

    @property
    def features(self) -> dict[str, float]:
        """The numbers that the model weighs, by the names in its coefficient file."""
        return {
            "ground": _log_odds(self.ground),
            "frame": _log_odds(self.frame),
            "margin": _log_odds(self.margin),
            "beyond": _log_odds(self.beyond),
            "log_share": math.log(max(self.share, 1e-3)),
            "fullness": self.fullness,
            "noise": math.log1p(self.noise_levels),
        }


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _SURE), 1 - _SURE)
    return math.log(kept / (1 - kept))


class GroundJudge(FrozenModel):
    """The fitted model; its file also says how it was fitted.

    Attributes:
        fitted_on: What the coefficients come from.
        model: Weighs the features of `GroundEvidence`.
    """

    fitted_on: str
    model: LogisticModel

    @classmethod
    def bundled(cls) -> Self:
        """The model fitted for the shipped layout network."""
        return cls.model_validate(json.loads(files(__package__).joinpath("judge.json").read_text("utf-8")))

    @property
    def sha256(self) -> str:
        """Hash of the numbers, for fingerprints."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted_on"}).encode()).hexdigest()

    def probability(self, evidence: GroundEvidence) -> float:
        """Probability that it is plain ground behind a subject, 0..1."""
        return self.model.probability(evidence.features)
