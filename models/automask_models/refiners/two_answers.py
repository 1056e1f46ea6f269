"""What a person means who points: asked of the ink map and of a segment-anything network, the likelier answer taken.

The ink map knows whole lines and faint strokes, and floods where a background looks like lettering; the network keeps
to one thing, and misses parts of large ones. Neither is better everywhere: a fitted model of a few numbers decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask_models.fitted import FittedModel
from automask_models.text.evidence import LogisticModel

FEATURES = ("ink_score", "ink_area", "network_score", "network_area", "overlap")
_SMALLEST_SHARE = 1e-5
"""Of the picture: what is smaller is a dot whatever its size."""
_NEW_SHARE = 0.25
"""Who clicks beside a mask means what it has missed. An answer that is mostly masked already outlines the same thing
once more, a little differently; of a line of which only the beginning is masked, far more than a quarter is new."""


class AnswerChoice(FittedModel):
    """When the network's answer is taken in place of that of the ink map.

    Attributes:
        by_click: Chance that it is the better one, where there are clicks alone.
        by_region: The same where there is a box or a drawing, which say how large the thing is.
    """

    FILE: ClassVar[str] = "answer_choice.json"

    by_click: LogisticModel
    by_region: LogisticModel

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        for each in (self.by_click, self.by_region):
            each.refuse_unknown(FEATURES)
        return self

    def takes_network(self, prompt: Prompt, ink: PromptAnswer, network: PromptAnswer) -> bool:
        """Whether the answer of the network is taken."""
        model = self.by_click if prompt.box is None and prompt.drawn is None else self.by_region
        return network_is_likelier(
            model,
            choice_features(ink, network),
            ink_speaks=says_something(prompt, ink),
            network_speaks=says_something(prompt, network),
        )


def network_is_likelier(
    model: LogisticModel, features: Mapping[str, float], *, ink_speaks: bool, network_speaks: bool
) -> bool:
    """Whether the network's answer is taken: by the model where both say something, else by who does."""
    if not (ink_speaks and network_speaks):
        return network_speaks
    return model.probability(features) > 0.5


def says_something(prompt: Prompt, answer: PromptAnswer) -> bool:
    """Whether an answer holds anything that is not masked already."""
    found = int(answer.artefact.sum())
    new = found if prompt.masked is None else int((answer.artefact & ~prompt.masked).sum())
    return found > 0 and new >= _NEW_SHARE * found


def choice_features(ink: PromptAnswer, network: PromptAnswer) -> Mapping[str, float]:
    """The numbers that decide, by the names of `FEATURES`.

    Scores are 0..1 as the methods give them, areas decimal logarithms of the share of the picture, the overlap is
    their IoU.
    """
    both = int((ink.artefact & network.artefact).sum())
    either = int((ink.artefact | network.artefact).sum())
    return {
        "ink_score": ink.score,
        "ink_area": _log_share(ink.artefact),
        "network_score": network.score,
        "network_area": _log_share(network.artefact),
        "overlap": both / max(1, either),
    }


class TwoAnswersSession(PromptSession):
    """Asks both; see `automask.protocols.PromptSession`.

    Args:
        ink: Answers from the ink map.
        network: Answers from a segment-anything network.
        choice: Which of the two is taken.
    """

    def __init__(self, ink: PromptSession, network: PromptSession, choice: AnswerChoice) -> None:
        self._ink = ink
        self._network = network
        self._choice = choice

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        by_ink, by_network = self._ink.answer(prompt), self._network.answer(prompt)
        return by_network if self._choice.takes_network(prompt, by_ink, by_network) else by_ink

    def wrong_part(
        self, thing: NDArray[np.bool_], point: tuple[float, float], *, wanted: Sequence[tuple[float, float]] = ()
    ) -> NDArray[np.bool_]:
        """See `automask.protocols.PromptSession`: what is surer than the rest is seen in the ink map."""
        return self._ink.wrong_part(thing, point, wanted=wanted)


def _log_share(artefact: NDArray[np.bool_]) -> float:
    return math.log10(max(_SMALLEST_SHARE, float(artefact.mean())))
