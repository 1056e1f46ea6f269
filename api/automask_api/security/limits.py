"""The most bytes of each request's body, counted as they arrive, and how slowly they may."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automask_api.errors import ServiceError, TooLarge, TooSlow
from automask_api.problems import problem_of

ARRIVAL = "automask.arrival"
"""Key of the request's `Arrival` in its ASGI scope."""

_SILENCE_S = 30.0
_GRACE_S = 60.0
_LEAST_BYTES_PER_S = 4096
_TAKEN_BEFORE = 65_536
"""Bytes of a body that are read before its request asks for a place: small ones need none while they arrive."""
_HEAD_START_S = 0.25
_SLOW_BYTES_PER_S = 32_768
"""Larger bodies that arrive slower than this lose their place when all are taken."""


class Arrival:
    """How the body of a request arrives, kept in its scope. On the event loop only.

    Attributes:
        seen: Bytes so far.
        complete: Nothing more will come.
        given_up: Its place was given to somebody else.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.complete = False
        self.given_up = False
        self._started_s = self._placed_s = time.monotonic()
        self._placed_at = 0
        self._waiting: asyncio.Timeout | None = None

    @property
    def age_s(self) -> float:
        """Since the head of the request was there."""
        return time.monotonic() - self._started_s

    def take_place(self) -> None:
        """Its request has a place from now on."""
        self._placed_s, self._placed_at = time.monotonic(), self.seen

    @property
    def rate(self) -> float:
        """Bytes a second since it has a place."""
        return (self.seen - self._placed_at) / max(time.monotonic() - self._placed_s, 1e-3)

    def gives_way_to(self, newcomer: Arrival) -> bool:
        """Whether another request would make more of its place: one that is there already, or where this one stalls."""
        if self.complete or self.given_up:
            return False
        stalls = time.monotonic() - self._placed_s > _HEAD_START_S and self.rate < _SLOW_BYTES_PER_S
        return newcomer.complete or stalls

    def give_up(self) -> None:
        """Let the request end as too slow."""
        self.given_up = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def next(self, receive: Receive, *, silence_s: float) -> Message:
        """The next message of the body.

        Raises:
            TooSlow: It did not come in time, or was given up.
        """
        if self.given_up:
            raise _too_slow()
        try:
            async with asyncio.timeout(silence_s) as self._waiting:  # wait_for of 3.11 may swallow a cancellation
                message = await receive()
        except TimeoutError as error:
            raise _too_slow() from error
        finally:
            self._waiting = None
        self.seen += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        return message


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
        arrival = scope[ARRIVAL] = Arrival()

        async def receive_checked() -> Message:
            message = await arrival.next(receive, silence_s=self._silence_s)
            if arrival.seen > limit:
                raise _too_large(limit)
            late_s = arrival.age_s - self._grace_s
            if not arrival.complete and late_s > 0 and arrival.seen < late_s * _LEAST_BYTES_PER_S:
                raise _too_slow()
            return message

        begun: collections.deque[Message] = collections.deque()
        try:
            while not arrival.complete and arrival.seen < _TAKEN_BEFORE:
                begun.append(await receive_checked())
        except ServiceError as error:
            await problem_of(error, scope)(scope, receive, send)
            return

        async def receive_counted() -> Message:
            if begun:
                return begun.popleft()
            return await (receive() if arrival.complete else receive_checked())

        await self._app(scope, receive_counted, send)


def _too_slow() -> TooSlow:
    return TooSlow("The body of the request stopped arriving.", advice="Send it again, over a faster connection.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the {limit / (1 << 20):.4g} MiB that this route takes.",
        advice="Send less at once, or raise the limit in the server's settings.",
        code="body-too-large",
    )
