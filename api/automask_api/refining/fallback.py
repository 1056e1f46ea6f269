"""Two ways to answer a prompt, in order: a network that finds nothing must not leave a person with nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask.protocols import PromptAnswer, PromptSession
from automask.values.geometry import Box


class FallbackPromptSession:
    """Asks the first session, and the second one where the first answers with nothing.

    See `automask.protocols.PromptSession`.
    """

    def __init__(self, first: PromptSession, second: PromptSession) -> None:
        self._first = first
        self._second = second

    def answer(
        self,
        *,
        points: Sequence[tuple[float, float]] = (),
        wanted: Sequence[bool] = (),
        box: Box | None = None,
        drawn: NDArray[np.bool_] | None = None,
        masked: NDArray[np.bool_] | None = None,
    ) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        found = self._first.answer(points=points, wanted=wanted, box=box, drawn=drawn, masked=masked)
        if found.artefact.any():
            return found
        return self._second.answer(points=points, wanted=wanted, box=box, drawn=drawn, masked=masked)

    def wrong_part(
        self, thing: NDArray[np.bool_], point: tuple[float, float], *, wanted: Sequence[tuple[float, float]] = ()
    ) -> NDArray[np.bool_]:
        """See `automask.protocols.PromptSession`."""
        return self._first.wrong_part(thing, point, wanted=wanted)
