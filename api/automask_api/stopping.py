"""The end of a server: what is in hand gets a few seconds, what waits is told to come again."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automask_api.errors import Busy
from automask_api.problems import problem_of

GRACE_S = 4.0
"""For requests in hand. Together with what threads get after that it is less than the 10 s that `docker stop` waits."""
_CANCEL_S = 1.0


class Stopping:
    """Whether the server is about to end. Used on the event loop only."""

    def __init__(self) -> None:
        self.begun = False
        """Streams that could go on for ever end now."""
        self._over = asyncio.Event()

    def begin(self, *, grace_s: float = GRACE_S) -> None:
        """Let the requests in hand run for so long and no longer."""
        self.begun = True
        asyncio.get_running_loop().call_later(grace_s, self._over.set)

    async def over(self) -> None:
        """Return when the time is up."""
        await self._over.wait()


class StoppingMiddleware:
    """Ends what is not done in time: with a 503, or by cutting an answer that has begun.

    Args:
        app: What it wraps.
        stopping: The server's.
    """

    def __init__(self, app: ASGIApp, *, stopping: Stopping) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        work = asyncio.ensure_future(self._app(scope, receive, send_noting))
        over = asyncio.ensure_future(self._stopping.over())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            over.cancel()
            if not work.done():
                work.cancel()
                # Its own clean-up may wait for a thread that nothing can interrupt.
                await asyncio.wait({work}, timeout=_CANCEL_S)
                with contextlib.suppress(asyncio.CancelledError, asyncio.InvalidStateError):
                    work.exception()  # or the loop complains that nobody asked
        if not has_begun:
            await problem_of(stopping_error(), scope)(scope, receive, send)


def stopping_error() -> Busy:
    """The error of what the server does not get done any more."""
    return Busy("The server is stopping.", retry_after_s=5, code="stopping")
