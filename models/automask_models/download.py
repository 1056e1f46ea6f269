"""Fetches one file over the network: resumed where it broke off, checked before it gets its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from automask.errors import OutputError, WeightsError
from automask.weights import file_sha256

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_PARTIAL, _WHOLE = 206, 200

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in total) of the file that is being fetched; 0 in total = not known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the bytes of a file have to be. At least one of the hashes is given.

    Attributes:
        sha256: Their hash, or None.
        git_sha1: The hash that git gives a file of these bytes, or None; a hub states it of small files.
        size_bytes: Their number, or None where it is not stated.
    """

    sha256: str | None = None
    git_sha1: str | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.sha256 is None and self.git_sha1 is None:
            raise ValueError("bytes are checked by a hash")

    @property
    def stated(self) -> str:
        """The hash that counts."""
        return self.sha256 or self.git_sha1 or ""


@dataclass(slots=True)
class Answer:
    """Status and headers of an answer without a body."""

    status: int
    headers: Message


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to https, or on the same host; a secret for one host is not told to another."""

    def __init__(self, *, followed: bool) -> None:
        self._followed = followed

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Refuse a redirect that leaves https."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if not self._followed:
            return None
        if new.scheme != "https" and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise URLError(f"redirected to {newurl}, which is not https")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and old.netloc != new.netloc:
            following.remove_header("Authorization")
        return following


def fetch(
    url: str,
    target: Path,
    expected: Expected,
    *,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Fetch a file to a name of its own beside the target, check it, and only then give it its name.

    What a broken connection leaves stays there, and the next call goes on from it; other bytes than expected go.

    Raises:
        WeightsError: The network does not answer, or the bytes are not the right ones.
        OutputError: The folder cannot be written.
    """
    partial = target.with_name(f".{target.name}.{expected.stated[:16]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("ab") as stream:
                _append(url, stream, expected, headers=headers or {}, progress=progress)
                stream.flush()
                os.fsync(stream.fileno())
            found = hash_of(partial, git=expected.sha256 is None)
            if found == expected.stated:
                partial.replace(target)
                return
            partial.unlink()
        finally:
            if partial.is_file() and partial.stat().st_size == 0:
                partial.unlink()
    except OSError as error:
        raise OutputError(
            f"Cannot write the weights to {target.parent}: {error.strerror or error}.",
            advice="Free some space, or name another folder with AUTOMASK_WEIGHTS.",
        ) from error
    raise WeightsError(
        f"{url} gave other bytes than stated ({found} instead of {expected.stated}).",
        advice="Nothing was kept. Try again; if that does not help, upgrade automask or report it.",
        code="weights-mismatch",
    )


def hash_of(path: Path, *, git: bool = False) -> str:
    """sha256 of a file's bytes, or the sha1 that git gives them, lower-case hex."""
    if not git:
        return file_sha256(path)
    with path.open("rb") as stream:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()


def head(url: str, *, headers: Mapping[str, str]) -> Answer:
    """Ask for the facts of an address; redirects are not followed but answered, as their headers are what counts.

    Raises:
        WeightsError: The network does not answer, or the address is refused.
    """
    try:
        with _open(url, headers=headers, method="HEAD", followed=False) as answer:
            return Answer(answer.status, answer.headers)
    except HTTPError as error:
        if 300 <= error.code < 400:
            return Answer(error.code, error.headers)
        raise _refused(url, error) from error
    except (URLError, HTTPException, OSError) as error:
        raise _offline(url, error) from error


def read_small(url: str, *, headers: Mapping[str, str], most_bytes: int = 8 << 20) -> bytes:
    """The body of a short answer.

    Raises:
        WeightsError: The network does not answer, or the answer is longer than `most_bytes`.
    """
    try:
        with _open(url, headers=headers) as answer:
            body = answer.read(most_bytes + 1)
    except HTTPError as error:
        raise _refused(url, error) from error
    except (URLError, HTTPException, OSError) as error:
        raise _offline(url, error) from error
    if len(body) > most_bytes:
        raise WeightsError(f"{url} answers with more than {most_bytes} bytes.", advice="Name a file of your own.")
    return body


def _append(
    url: str, stream: IO[bytes], expected: Expected, *, headers: Mapping[str, str], progress: Progress | None
) -> None:
    """Add to a partial file what it lacks; it is emptied where the server starts from the beginning."""
    done_bytes = stream.seek(0, os.SEEK_END)
    if expected.size_bytes is not None and done_bytes >= expected.size_bytes:
        return  # whole already, or too long; its hash tells
    wanted = dict(headers, **({"Range": f"bytes={done_bytes}-"} if done_bytes else {}))
    try:
        with _open(url, headers=wanted) as answer:
            if not (answer.status == _PARTIAL and _starts_at(answer, done_bytes)):
                stream.truncate(0)
                done_bytes = 0
            total_bytes = expected.size_bytes or done_bytes + int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK_BYTES):
                done_bytes += len(chunk)
                if expected.size_bytes is not None and done_bytes > expected.size_bytes:
                    raise _other_length(url, stream, f"is longer than the stated {expected.size_bytes} bytes")
                _write(stream, chunk)
                if progress is not None:
                    progress(done_bytes, total_bytes)
    except HTTPError as error:
        if error.code == 416:  # the file there is shorter than what is here
            stream.truncate(0)
        raise _refused(url, error) from error
    except _Unwritable as error:
        raise error.cause from error
    except (URLError, HTTPException, OSError) as error:
        raise _offline(url, error, kept=done_bytes > 0) from error
    if total_bytes and done_bytes < total_bytes:
        raise WeightsError(
            f"{url} broke off after {done_bytes} of {total_bytes} bytes.",
            advice="Run the same line again: it goes on from there.",
            code="weights-offline",
        )


class _Unwritable(Exception):
    """A failed write inside what otherwise means that the network failed."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _write(stream: IO[bytes], chunk: bytes) -> None:
    try:
        stream.write(chunk)
    except OSError as error:
        raise _Unwritable(error) from error


def _starts_at(answer: HTTPResponse, offset: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {offset}-")


def _other_length(url: str, stream: IO[bytes], what: str) -> WeightsError:
    stream.truncate(0)
    return WeightsError(f"{url} {what}.", advice="Nothing was kept. Try again.", code="weights-mismatch")


def _open(url: str, *, headers: Mapping[str, str], method: str = "GET", followed: bool = True) -> HTTPResponse:
    # Compressed answers would have other bytes and another length than what is stated.
    given = {"User-Agent": "automask", "Accept-Encoding": "identity", **headers}
    opener = build_opener(_Redirects(followed=followed))
    return cast("HTTPResponse", opener.open(Request(url, headers=given, method=method), timeout=_TIMEOUT_S))


def _refused(url: str, error: HTTPError) -> WeightsError:
    return WeightsError(
        f"{url} answers {error.code} {error.reason}.",
        advice="Try again later, or fetch the file by other means.",
        code="weights-refused" if error.code in (401, 403) else None,
    )


def _offline(url: str, error: Any, *, kept: bool = False) -> WeightsError:  # noqa: ANN401 - several libraries' errors
    reason = getattr(error, "reason", None) or error
    again = "Run the same line again: it goes on from there" if kept else "Check the network"
    return WeightsError(
        f"Cannot fetch {url}: {reason}.",
        advice=f"{again}; or put the file into the folder that AUTOMASK_WEIGHTS names.",
        code="weights-offline",
    )
