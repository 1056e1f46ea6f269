"""HEAD wherever there is a GET: the same answer without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OF_THE_ROUTER = ("route", "endpoint", "path_params")


class HeadMiddleware:
    """Asks what it wraps to GET, and ends that with the first byte of the body. Innermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        inner = {**scope, "method": "GET"}
        is_answered = False

        async def send_head(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.body":
                if not is_answered:
                    is_answered = True
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                if message.get("more_body", False):
                    raise _Enough  # streams of events have no end
                return
            await send(message)

        try:
            await self._app(inner, receive, send_head)
        except Exception:
            if not is_answered:
                raise
        finally:
            scope.update({name: inner[name] for name in _OF_THE_ROUTER if name in inner})


class _Enough(OSError):
    """Nobody takes more: as if the client had gone."""
