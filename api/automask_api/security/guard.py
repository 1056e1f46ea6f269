"""The gate before all routes: host names, web origins, API keys."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from automask_api.errors import KeyRequired, OriginRefused, ServiceError
from automask_api.problems import problem_of
from automask_api.security.keys import ApiKeys

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""They need no key."""
_OWN_SITES = frozenset({"same-origin", "none"})


class GuardMiddleware:
    """Refuses callers.

    Without keys the server trusts whoever is on this machine, but not the web pages in their browsers: requests that
    come under a foreign host name (DNS rebinding) or from a foreign page are refused, whatever the route. With keys a
    request needs one; foreign pages are refused then, too.

    Args:
        app: What is guarded.
        keys: None = everybody who can connect.
        hosts: Host names besides the loopback ones.
        origins: Web origins that may call (CORS).
        open_paths: Paths that need no key.
    """

    def __init__(
        self, app: ASGIApp, *, keys: ApiKeys, hosts: Iterable[str], origins: Iterable[str], open_paths: Iterable[str]
    ) -> None:
        self._app = app
        self._keys = keys
        self._hosts = _LOOPBACK_HOSTS | {host.lower() for host in hosts}
        self._origins = frozenset(origins)
        self._open_paths = OPEN_PATHS | frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] == "http":
            try:
                self._check(scope, Headers(scope=scope))
            except ServiceError as error:
                await problem_of(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if not self._keys:
            self._check_host(headers)
        self._check_origin(scope, headers)
        if self._keys and scope["path"] not in self._open_paths:
            scope["automask.key"] = self._key_name(headers)

    def _check_host(self, headers: Headers) -> None:
        host = host_name(headers.get("host", ""))
        if host not in self._hosts:
            raise OriginRefused(
                f"This server is not called {host!r}.",
                advice="Call it as localhost, or name the host in AUTOMASK_SERVE_ALLOWED_HOSTS.",
                code="host-refused",
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None:
            if origin in self._origins or network_location(origin) == headers.get("host", "").lower() != "":
                return
        elif headers.get("sec-fetch-site", "none") in _OWN_SITES or _is_navigation(scope, headers):
            return
        raise OriginRefused(
            f"A web page of {origin or 'another site'} called this server.",
            advice="Name its origin in AUTOMASK_SERVE_CORS_ORIGINS if it may.",
        )

    def _key_name(self, headers: Headers) -> str:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            key = _password(bearer)
        else:
            key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        name = self._keys.name_of(key) if key else None
        if name is None:
            raise KeyRequired(
                "The API key is not known." if key else "This server needs an API key.",
                advice="Send it as `Authorization: Bearer KEY`; `automask serve keys add NAME` makes one.",
            )
        return name


def _password(basic: str) -> str:
    """The password of HTTP's basic authentication, for programs that know no other; empty where it is malformed."""
    try:
        return base64.b64decode(basic.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def host_name(header: str) -> str:
    """The lower-case name in a `Host` header, without port and brackets; empty for one that is malformed."""
    try:
        parts = urlsplit(f"//{header}")
        return (parts.hostname or "") if not (parts.path or parts.query or parts.fragment or parts.username) else ""
    except ValueError:
        return ""


def network_location(origin: str) -> str:
    """The lower-case host and port of an `Origin` header; empty for one that is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Somebody followed a link to this server: the other page cannot read what it gets."""
    return bool(scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate")
