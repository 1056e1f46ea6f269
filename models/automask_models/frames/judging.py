"""What speaks for and against a proposed frame, weighed by one fitted model for every kind of proposal.

Geometry knows exactly where a line runs, and cannot tell a wall from a border. The layout network sees which part of
the image is picture, and knows its edge to a cell only. A proposal is drawn where both together make it likely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from automask_models.fitted import FittedModel
from automask_models.frames.nesting import ACCEPT
from automask_models.layout.network import LayoutMap
from automask_models.text.evidence import LogisticModel

_SURE = 0.01
"""Probabilities beyond this and one minus it say no more: neither the network nor geometry is calibrated that far."""
_NEAR_CELLS = 3
"""How far from the edge of a proposal the network is asked for picture, in its cells: what lies further in may be a
plate or another frame, and the cells at the edge hold both."""
_MIXED = 0.2
"""Share of a cell up to which a proposal leaves it to the picture."""
_SEEN_CELLS = 2.0
"""Depth from which the network, whose cells are four of its pixels wide, sees all there is to see of a border."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one proposal.

    Attributes:
        geometry: Confidence of the geometry that proposed it, 0..1 (`Region.weighed_confidence`); below `ACCEPT` it is
            for a person to say.
        inside: Mean probability of frame in its cells, 0..1.
        otherwise: Mean probability in its cells of what is no frame and looks like one, a page's margin or plain
            ground, whichever is likelier, 0..1.
        beyond: Mean probability of frame in the cells next to it that it leaves to the picture, 0..1.
        share: Share of the image that it covers, 0..1.
        depth_cells: Its mean depth, in cells of the network.
    """

    geometry: float
    inside: float
    otherwise: float
    beyond: float
    share: float
    depth_cells: float

    @classmethod
    def of(cls, layout: LayoutMap, mask: NDArray[np.bool_], *, geometry: float) -> Evidence:
        """Evidence about a mask of the whole image, (H, W), that is not empty."""
        import cv2

        shares = layout.share_of(mask)
        weight = max(1e-6, float(shares.sum()))
        otherwise = np.maximum(layout.margin, layout.ground)
        reach = np.ones((2 * _NEAR_CELLS + 1, 2 * _NEAR_CELLS + 1), np.uint8)
        near = (cv2.dilate((shares > _MIXED).astype(np.uint8), reach) > 0) & (shares <= _MIXED)
        edge_cells = int(((cv2.dilate(shares, np.ones((3, 3), np.uint8)) > _MIXED) & (shares <= _MIXED)).sum())
        return cls(
            geometry=geometry,
            inside=float((layout.frame * shares).sum()) / weight,
            otherwise=float((otherwise * shares).sum()) / weight,
            beyond=float(layout.frame[near].mean()) if near.any() else 0.5,
            share=float(shares.mean()),
            depth_cells=weight / max(1, edge_cells),
        )

    @property
    def features(self) -> dict[str, float]:
        """The numbers that the model weighs, by the names in its coefficient file.

        How sure geometry is counts once by itself and once more by how undecided the network is: where it is blind or
        says one half, nothing else is left to go by.
        """
        seen = min(1.0, self.depth_cells / _SEEN_CELLS)
        undecided = 4 * self.inside * (1 - self.inside)
        return {
            "geometry": _log_odds(self.geometry),
            "geometry_undecided": undecided * _log_odds(self.geometry),
            "for_a_person": float(self.geometry < ACCEPT),
            "inside": seen * _log_odds(self.inside),
            "inside_thin": (1 - seen) * _log_odds(self.inside),
            "otherwise": seen * _log_odds(self.otherwise),
            "beyond": _log_odds(self.beyond),
            "log_share": math.log(max(self.share, 1e-3)),
            "thin": 1 - seen,
        }


PROPOSAL_FEATURES = (
    "geometry",
    "geometry_undecided",
    "for_a_person",
    "inside",
    "inside_thin",
    "otherwise",
    "beyond",
    "log_share",
    "thin",
)
"""Names of `Evidence.features`."""
TRACE_FEATURES = (*PROPOSAL_FEATURES, "sureness")
"""The same of what is traced from the network's map."""


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _SURE), 1 - _SURE)
    return math.log(kept / (1 - kept))


class FrameJudge(FittedModel):
    """The fitted models; their file also says how they were fitted.

    Attributes:
        proposed: Of what geometry proposed.
        traced: Of what was traced from the network's map.
    """

    FILE: ClassVar[str] = "judge.json"

    proposed: LogisticModel
    traced: LogisticModel

    @model_validator(mode="after")
    def _of_known_numbers(self) -> Self:
        self.proposed.refuse_unknown(PROPOSAL_FEATURES)
        self.traced.refuse_unknown(TRACE_FEATURES)
        return self
