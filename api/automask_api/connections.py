"""Connections: how many there may be, and how long one may keep the server waiting.

Clients that connect and say nothing, say it byte by byte, or take no answer cost a file handle each, and a process has
few of them. So each wait has its limit, and when all places are taken, the one whose request is longest in coming goes
to who comes.
"""

from __future__ import annotations

import asyncio
import collections
import errno
import ipaddress
import json
import logging
import socket
from collections.abc import Iterable
from typing import Any, Literal, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from automask_api.problems import MEDIA_TYPE
from automask_api.settings import ConnectionLimits

logger = logging.getLogger(__name__)

BACKLOG = 512
"""Connections that the system keeps until they are accepted."""
ACCEPTED_AT_ONCE = 16
"""Connections that the loop accepts before it does anything else, closing those that are too many included."""
_SPARE_FILES = 64 + 4 * ACCEPTED_AT_ONCE
"""File handles beside connections: models, databases, images, and what is accepted before it is looked at."""
_FEWEST = 8
_DRAIN_S = 30.0
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Reason = Literal["header-timeout", "write-timeout", "made-room", "refused"]


class Connections:
    """All connections of a server. Used on its event loop only, but for the counts.

    Args:
        limits: Of these connections.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.ended: collections.Counter[Reason] = collections.Counter()
        """Connections that the server ended, by reason."""
        self._open: dict[GuardedProtocol, None] = {}  # in the order in which they came

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, newcomer: GuardedProtocol) -> bool:
        """Take a connection in, if there is a place or one that waits for nothing in particular gives up its own."""
        limit, address = self.limits.most_per_address, newcomer.address
        if limit and address is not None and not _is_own(address):
            siblings = [one for one in self._open if one.address == address]
            if len(siblings) >= limit and not self._make_room(siblings):
                return False
        if len(self._open) >= self.limits.most and not self._make_room(self._open):
            return False
        self._open[newcomer] = None
        return True

    def forget(self, protocol: GuardedProtocol) -> None:
        """A connection is gone."""
        self._open.pop(protocol, None)

    def _make_room(self, among: Iterable[GuardedProtocol]) -> bool:
        waiting = [one for one in among if one.is_waiting or one.is_arriving]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.waiting_since_s if one.is_waiting else one.heard_s)
        longest.end("made-room")
        self.forget(longest)
        return True


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to every wait."""

    registry: Connections  # set by `guarded`

    waiting_since_s = heard_s = 0.0
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str | None:
        """Of the client."""
        return self.client[0] if self.client else None

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for a request, and works on none."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_arriving(self) -> bool:
        """Whether the body of a request is still on its way."""
        return not self.is_waiting and bool(self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """See asyncio."""
        super().connection_made(transport)
        self.waiting_since_s = self.heard_s = self.loop.time()
        if self.registry.admit(self):
            self._watch_head()
        else:
            self._refuse(503, "busy", "The server has as many connections as it takes.", headers="Retry-After: 2\r\n")
            self.registry.ended["refused"] += 1

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self.heard_s = self.loop.time()
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self.waiting_since_s = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.registry.forget(self)
        self._stop_timers()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio: the client is behind with taking its answer."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.registry.limits.write_s, self.end, "write-timeout")

    def resume_writing(self) -> None:
        """See asyncio."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        """See uvicorn: what came is no HTTP."""
        if self.is_waiting:
            self._refuse(400, "request-invalid", "This is no HTTP/1.1 request.")
        else:
            self.transport.close()  # in the middle of an answer

    def end(self, reason: Reason) -> None:
        """Close the connection at once, whatever it is at."""
        self.registry.ended[reason] += 1
        self._stop_timers()
        self.transport.abort()

    def _watch_head(self) -> None:
        if not self.is_waiting:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            # The rest of a body that is not wanted any more may take longer: its sender reads the answer only then.
            draining = self.cycle is not None and self.conn.their_state is h11.SEND_BODY
            seconds = _DRAIN_S if draining else self.registry.limits.header_s
            self._head_timer = self.loop.call_later(seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.is_waiting or self.transport.is_closing():
            return
        self.registry.ended["header-timeout"] += 1
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "request-too-slow", "The head of the request did not arrive in time.")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, detail: str, *, headers: str = "") -> None:
        """Answer without an app: there is no request."""
        phrase = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}[status]
        problem = {"type": f"urn:automask:error:{code}", "title": phrase, "status": status, "detail": detail}
        body = json.dumps({**problem, "code": code, "exit_code": 1, "request_id": ""})
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
        self._stop_timers()
        self.transport.write(f"{head}{headers}Connection: close\r\n\r\n{body}".encode("ascii"))
        self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._write_timer = None
        self._unset_keepalive_if_required()


class GuardedServer(uvicorn.Server):
    """A server whose event loop writes no tracebacks about connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        asyncio.get_running_loop().set_exception_handler(on_loop_error)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has set the number that it accepts at once


def guarded(connections: Connections) -> type[asyncio.Protocol]:
    """The protocol of a server with these connections, for `uvicorn.Config(http=...)`."""
    return cast("type[asyncio.Protocol]", type("BoundProtocol", (GuardedProtocol,), {"registry": connections}))


def within_open_files(limits: ConnectionLimits) -> ConnectionLimits:
    """Limits that leave file handles for everything else; the process's own limit is raised first, if it may be."""
    try:
        import resource
    except ImportError:  # Windows
        return limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.most + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError):
            pass  # some systems allow less than they say
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    most = max(_FEWEST, soft - _SPARE_FILES)
    logger.warning("only %d files may be open: the server takes %d connections at once", soft, most)
    return ConnectionLimits(most, limits.most_per_address, limits.header_s, limits.write_s)


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what an event loop meets, in one line where it is no defect; for `set_exception_handler`."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _NO_FILES:
        logger.error("no connection can be accepted: %s", error.strerror)
    elif isinstance(error, (ConnectionError, TimeoutError)):
        logger.info("a connection broke: %s", type(error).__name__)
    else:
        logger.error("unexpected error in the event loop: %s", context.get("message"), exc_info=error)


def _is_own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a socket of the file system has no address
