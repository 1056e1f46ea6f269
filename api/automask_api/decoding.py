"""A bound on decoded pixels: bytes may wait in numbers, pixels may not."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator


class PixelBudget:
    """Lets images in one after the other, as long as their pixels together stay within a bound.

    An image that is larger than the bound is let in alone. For one event loop.

    Args:
        most_px: The bound.
    """

    def __init__(self, most_px: int) -> None:
        self._most_px = most_px
        self._taken_px = 0
        self._queue: collections.deque[tuple[int, asyncio.Future[None]]] = collections.deque()

    @contextlib.asynccontextmanager
    async def taken(self, pixels: int) -> AsyncIterator[None]:
        """Hold a share of the budget; waits for it, first come, first served."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((pixels, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(pixels)
            else:
                self._queue = collections.deque(entry for entry in self._queue if entry[1] is not turn)
                self._let_in()
            raise
        try:
            yield
        finally:
            self._give_back(pixels)

    def _give_back(self, pixels: int) -> None:
        self._taken_px -= pixels
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and (self._taken_px == 0 or self._taken_px + self._queue[0][0] <= self._most_px):
            pixels, turn = self._queue.popleft()
            if not turn.done():
                self._taken_px += pixels
                turn.set_result(None)
