"""Two ways to answer a prompt, in order: a network that finds nothing must not leave a person with nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask.protocols import Prompt, PromptAnswer, PromptSession


class FallbackPromptSession(PromptSession):
    """Asks the first session, and the second one where the first answers with nothing.

    See `automask.protocols.PromptSession`.
    """

    def __init__(self, first: PromptSession, second: PromptSession) -> None:
        self._first = first
        self._second = second

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        found = self._first.answer(prompt)
        return found if found.artefact.any() else self._second.answer(prompt)

    def wrong_part(
        self, thing: NDArray[np.bool_], point: tuple[float, float], *, wanted: Sequence[tuple[float, float]] = ()
    ) -> NDArray[np.bool_]:
        """See `automask.protocols.PromptSession`."""
        return self._first.wrong_part(thing, point, wanted=wanted)
