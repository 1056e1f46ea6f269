"""The images of Label Studio's tasks: only from where the operator of this server allows it."""

from __future__ import annotations

import base64
import binascii
import http.client
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urljoin, urlsplit

from automask.dataset.walk import real_path
from automask.errors import InputError
from automask_api.errors import OriginRefused, TooLarge

_LOCAL_FILES, _UPLOADS = "/data/local-files/", "/data/upload/"
_PORTS = {"http": 80, "https": 443}
_SILENCE_S, _LONGEST_S = 10.0, 60.0
_CHUNK = 1 << 16
_SHOWN = 120


class TaskImages:
    """Reads the images of tasks. Blocking; any thread may use it.

    Args:
        roots: Resolved folders that files may lie in.
        origins: Web origins that images may be fetched from.
        max_bytes: Larger ones are refused.
    """

    def __init__(self, *, roots: Sequence[Path], origins: Sequence[str], max_bytes: int) -> None:
        self._roots = tuple(roots)
        self._origins = frozenset(filter(None, map(origin_of, origins)))
        self._max_bytes = max_bytes

    def read(self, address: str, *, hostname: str = "", token: str = "") -> bytes:
        """The bytes behind an address.

        Args:
            address: A `data:` URI, the address of an upload or local file of Label Studio, or one of the web.
            hostname: Label Studio's own address. It said so itself: it is believed only where it is one of the origins.
            token: Label Studio's key; sent there and nowhere else.

        Raises:
            OriginRefused: The operator does not allow that place.
            InputError: There is nothing, or it cannot be fetched.
            TooLarge: It is larger than allowed.
        """
        if address[:5].lower() == "data:":
            return self._checked(_data_of(address))
        if address.startswith("/") and not address.startswith("//"):
            found = self._file(address)
            if found is not None:
                return found
            if origin_of(hostname) in self._origins:
                return self._fetched(urljoin(hostname, address), own=origin_of(hostname), token=token)
            raise _refused(address)
        return self._fetched(address, own=origin_of(hostname), token=token)

    def _file(self, address: str) -> bytes | None:
        """A file in a root by Label Studio's address of it; None where there is none."""
        parts = urlsplit(address)
        if parts.path == _LOCAL_FILES:
            name = parse_qs(parts.query).get("d", [""])[0]
        elif parts.path.startswith(_UPLOADS):
            name = unquote(parts.path.removeprefix("/data/"))
        else:
            return None
        for root in self._roots:
            try:
                path = real_path(root / name.lstrip("/"))
                if not path.is_relative_to(root):
                    continue
                with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
                    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                        return self._checked(stream.read(self._max_bytes + 1))
            except (OSError, ValueError):  # not there, not allowed to us, no name of a file
                continue
        return None

    def _fetched(self, address: str, *, own: str, token: str) -> bytes:
        origin = origin_of(address)
        if not origin or origin not in self._origins:
            raise _refused(address)
        headers = {"User-Agent": "automask"}
        if token and token.isascii() and token.isprintable() and origin == own:
            headers["Authorization"] = f"Token {token}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _SameOrigin(origin))
        try:
            request = urllib.request.Request(address, headers=headers)  # of an allowed origin
            with opener.open(request, timeout=_SILENCE_S) as answer:
                return self._checked(self._body(answer))
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = f"status {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
            raise InputError(
                f"The image {address[:_SHOWN]!r} cannot be fetched: {reason}.",
                advice="Check the address from where this server runs.",
                code="image-unreachable",
            ) from error

    def _body(self, answer: IO[bytes]) -> bytes:
        until_s = time.monotonic() + _LONGEST_S
        data = b""
        while chunk := answer.read(_CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                break
            if time.monotonic() > until_s:
                raise TimeoutError("it takes too long")
        return data

    def _checked(self, data: bytes) -> bytes:
        if len(data) > self._max_bytes:
            raise TooLarge(
                f"The image is larger than {self._max_bytes / (1 << 20):.4g} MiB.",
                advice="Scale it down or compress it, or raise AUTOMASK_SERVE_MAX_IMAGE_BYTES.",
                code="body-too-large",
            )
        return data


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows no address away from where it was sent: what is allowed may not lead to what is not."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """See urllib."""
        if origin_of(newurl) != self._origin:
            raise ValueError("it leads to another server")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def origin_of(address: str) -> str:
    """`scheme://host:port` of a web address, lower case, the port always there; empty for everything else."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or "\\" in address:
        return ""
    return f"{parts.scheme}://{parts.hostname.lower()}:{port}" if address.isprintable() and " " not in address else ""


def field_of(data: Mapping[str, object], name: str) -> str:
    """The address that a task has under a name.

    Raises:
        InputError: It has none.
    """
    address = data.get(name)
    if not isinstance(address, str) or not address:
        raise InputError(f"The task has no address of an image as {name[:_SHOWN]!r}.", code="image-missing")
    return address


def _data_of(address: str) -> bytes:
    head, comma, body = address.partition(",")
    try:
        if comma and head.lower().endswith(";base64"):
            return base64.b64decode(unquote_to_bytes(body), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"The data: URI is damaged: {error}.", code="image-unreadable") from error
    if not comma:
        raise InputError("The data: URI is damaged: it has no comma.", code="image-unreadable")
    return unquote_to_bytes(body)


def _refused(address: str) -> OriginRefused:
    return OriginRefused(
        f"This server does not read images from {address[:_SHOWN]!r}.",
        advice="Name the origin in AUTOMASK_SERVE_IMAGE_ORIGINS, or start it with --root for Label Studio's files.",
        code="image-address-refused",
    )
