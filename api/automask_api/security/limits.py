"""The most bytes of each request's body, counted as they arrive."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automask_api.errors import TooLarge
from automask_api.problems import problem_of


class BodyLimitMiddleware:
    """Refuses larger bodies, before the first byte where the client says the length.

    Args:
        app: What is guarded.
        by_path: Most bytes of single paths.
        otherwise: Most bytes of all others.
    """

    def __init__(self, app: ASGIApp, *, by_path: Mapping[str, int], otherwise: int) -> None:
        self._app = app
        self._by_path = dict(by_path)
        self._otherwise = otherwise

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

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, receive_counted, send)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the {limit / (1 << 20):.4g} MiB that this route takes.",
        advice="Send less at once, or raise the limit in the server's settings.",
        code="body-too-large",
    )
