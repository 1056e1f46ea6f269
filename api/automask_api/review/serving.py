"""The review page on a server of its own, for the person at this machine."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from automask.errors import OutputError
from automask.version import __version__
from automask_api import problems
from automask_api.connections import ACCEPTED_AT_ONCE, Connections, GuardedServer, guarded, within_open_files
from automask_api.head import HeadMiddleware
from automask_api.logs import log_to_stderr
from automask_api.review.routes import PREFIX, build_router
from automask_api.review.source import ReviewSource
from automask_api.security.guard import GuardMiddleware
from automask_api.security.keys import ApiKeys
from automask_api.security.limits import BodyLimitMiddleware
from automask_api.settings import ConnectionLimits
from automask_api.tracing import TracingMiddleware

HOST = "127.0.0.1"
_MOST_BODY_BYTES = 400_000_000
"""Layers of a 200 megapixel image at their worst; only this machine can send them."""
_FIRST_PORT, _PORTS = 20_000, 10_000


def serve_review(root: Path, *, port: int | None, opens_browser: bool, author: str) -> None:
    """Serve the page until interrupted.

    Args:
        root: The store.
        port: On the loopback interface, 0 = any free one. None = the store's own, the same every time: browsers keep
            unsent changes by port.
        opens_browser: Open the page once the server listens.
        author: Who reviews.

    Raises:
        StoreError: There is no usable store.
        OutputError: The port is taken.
    """
    with (
        ReviewSource.open(root, author=author) as source,
        _listening(own_port(source.store_id) if port is None else port) as listener,
    ):
        address = f"http://{HOST}:{listener.getsockname()[1]}{PREFIX}/"
        log_to_stderr("text", level=logging.WARNING)
        config = uvicorn.Config(
            build_app(source),
            http=guarded(Connections(within_open_files(ConnectionLimits()))),
            ws="none",
            loop="asyncio",
            backlog=ACCEPTED_AT_ONCE,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        sys.stderr.write(f"Review page: {address}  (Ctrl-C ends it)\n")
        sys.stderr.flush()
        if opens_browser:
            webbrowser.open(address)  # the socket listens already, so the page cannot come too early
        GuardedServer(config).run(sockets=[listener])


def build_app(source: ReviewSource) -> FastAPI:
    """An app with nothing but the review page. It needs no keys, and refuses other hosts and foreign pages."""
    app = FastAPI(title="automask review", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    problems.install(app)
    app.include_router(build_router(source))
    app.add_middleware(HeadMiddleware)

    @app.get("/", include_in_schema=False)
    def to_page() -> RedirectResponse:
        return RedirectResponse(f"{PREFIX}/")

    app.add_middleware(BodyLimitMiddleware, by_path={}, otherwise=_MOST_BODY_BYTES)
    app.add_middleware(GuardMiddleware, keys=ApiKeys({}), hosts=(), origins=(), open_paths=())
    app.add_middleware(TracingMiddleware)
    return app


def own_port(store_id: str) -> int:
    """The port of a store unless told otherwise."""
    return _FIRST_PORT + int(store_id, 16) % _PORTS


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise OutputError(
            f"Cannot listen on {HOST}, port {port}: {error.strerror}.",
            advice="Is the page of this store open already? Or choose another --port.",
            code="port-taken",
        ) from error
    with listener:
        yield listener
