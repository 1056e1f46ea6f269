"""The most bytes of each request's body, counted as they arrive, and how slowly they may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automask_api.errors import TooLarge, TooSlow
from automask_api.problems import problem_of

_SILENCE_S = 30.0
_GRACE_S = 60.0
_LEAST_BYTES_PER_S = 4096


class BodyLimitMiddleware:
    """Refuses larger bodies, before the first byte where the client says the length, and such as hardly arrive.

    A request has its place in the queue while its body arrives: clients that send a byte now and then would take all.

    Args:
        app: What is guarded.
        by_path: Most bytes of single paths.
        otherwise: Most bytes of all others.
        silence_s: Longest time without a byte of a body.
        grace_s: So long a body may take however small it is; after that it must have come at 4 KiB a second.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        by_path: Mapping[str, int],
        otherwise: int,
        silence_s: float = _SILENCE_S,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._app = app
        self._by_path = dict(by_path)
        self._otherwise = otherwise
        self._silence_s = silence_s
        self._grace_s = grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._by_path.get(scope["path"], self._otherwise)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await problem_of(_too_large(limit), scope)(scope, receive, send)
            return
        seen = 0
        complete = False
        started = time.monotonic()

        async def receive_counted() -> Message:
            nonlocal seen, complete
            if complete:  # all that can come is that the client goes away
                return await receive()
            try:
                async with asyncio.timeout(self._silence_s):  # wait_for of Python 3.11 may swallow a cancellation
                    message = await receive()
            except TimeoutError as error:
                raise _too_slow() from error
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit:
                raise _too_large(limit)
            late_s = time.monotonic() - started - self._grace_s
            if not complete and late_s > 0 and seen < late_s * _LEAST_BYTES_PER_S:
                raise _too_slow()
            return message

        await self._app(scope, receive_counted, send)


def _too_slow() -> TooSlow:
    return TooSlow("The body of the request stopped arriving.", advice="Send it again, over a faster connection.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the {limit / (1 << 20):.4g} MiB that this route takes.",
        advice="Send less at once, or raise the limit in the server's settings.",
        code="body-too-large",
    )
