"""Jobs on a server: work for whole folders that goes on whoever watches. Nothing is sent here."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter, ValidationError

from automask.client import calls
from automask.client.answers import ImageSource, bytes_of
from automask.client.retries import RetryPolicy
from automask.errors import InputError, OutputError, ServerError
from automask.http.request import MaskOptions
from automask.http.wire_jobs import WireJob

if TYPE_CHECKING:
    import httpx

_JOBS = "/v1/jobs"
_PAGE = 100
_LIST = TypeAdapter(list[WireJob])
_LINES = TypeAdapter(dict[str, Any])

NamedImages = Mapping[str, ImageSource] | Iterable[str | os.PathLike[str]]
"""Images by the relative names that their masks shall go by, or files that keep their own."""


def folder_call(folder: str, *, pattern: str | None, options: MaskOptions | None, key: str | None) -> calls.Call:
    """Ask for the masks of a folder that the server can see."""
    body: dict[str, object] = {"folder": folder}
    if pattern is not None:
        body["pattern"] = pattern
    if options is not None:
        body["options"] = options.model_dump(mode="json", exclude_defaults=True)
    return calls.Call("POST", _JOBS, headers=_key_header(key), json=body)


def upload_call(images: NamedImages, *, options: MaskOptions | None, key: str | None) -> calls.Call:
    """Send images and ask for their masks.

    Raises:
        InputError: A file cannot be read, or there are no images.
    """
    named = list(images.items()) if isinstance(images, Mapping) else [(Path(one).name, one) for one in images]
    if not named:
        raise InputError("There are no images to send.", advice="Check the folder.")
    if len(dict(named)) < len(named):
        raise InputError("Two of the files have the same name.", advice="Give a mapping of names to files.")
    return calls.Call(
        "POST",
        f"{_JOBS}/upload",
        query=options.fields() if options is not None else {},
        headers=_key_header(key),
        parts=[("images", name, bytes_of(image)) for name, image in named],
    )


def job_call(job_id: str) -> calls.Call:
    """Ask where a job stands."""
    return calls.Call("GET", _path(job_id))


def cancel_call(job_id: str) -> calls.Call:
    """Ask to end a job."""
    return calls.Call("POST", _path(job_id, "/cancel"))


def delete_call(job_id: str) -> calls.Call:
    """Ask to forget a job. When the answer to that was lost, it is unknown the next time."""
    return calls.Call("DELETE", _path(job_id), gone_is_done=True)


def list_call(cursor: str | None) -> calls.Call:
    """Ask for a page of all jobs."""
    return calls.Call("GET", _JOBS, query={"limit": str(_PAGE), **({"cursor": cursor} if cursor else {})})


def manifest_call(job_id: str) -> calls.Call:
    """Ask what became of every image."""
    return calls.Call("GET", _path(job_id, "/manifest"))


def masks_call(job_id: str) -> calls.Call:
    """Ask for all masks."""
    return calls.Call("GET", _path(job_id, "/masks"))


def export_call(job_id: str, trainer: str) -> calls.Call:
    """Ask for the files of a trainer."""
    return calls.Call("GET", _path(job_id, "/export"), query={"to": trainer})


def read_job(response: httpx.Response) -> WireJob:
    """A job.

    Raises:
        ServerError: It is not one.
    """
    return calls.parsed(WireJob, response.content)


def read_page(response: httpx.Response) -> tuple[list[WireJob], str | None]:
    """The jobs of a page, and the cursor of the next.

    Raises:
        ServerError: It is not one.
    """
    try:
        jobs = _LIST.validate_json(response.content)
    except ValidationError as error:
        raise calls.unknown_answer("it is no list of jobs") from error
    link = response.links.get("next", {}).get("url")
    return jobs, parse_qs(urlsplit(link).query).get("cursor", [None])[0] if link else None


def read_manifest(response: httpx.Response) -> list[dict[str, Any]]:
    """One entry per image.

    Raises:
        ServerError: It is none.
    """
    try:
        return [_LINES.validate_json(line) for line in response.content.split(b"\n") if line]
    except ValidationError as error:
        raise calls.unknown_answer("a line of the manifest is no JSON") from error


class Waiting:
    """How long to sleep between two looks at a job.

    Args:
        job_id: For messages.
        timeout_s: Longest time in all; None = as long as it takes.
        poll_s: Between two looks.
        clock: Seconds.
    """

    def __init__(
        self, job_id: str, *, timeout_s: float | None, poll_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._job_id, self._poll_s, self._clock = job_id, poll_s, clock
        self._until_s = None if timeout_s is None else clock() + timeout_s

    def pause_s(self) -> float:
        """Until the next look.

        Raises:
            ServerError: The time is up; the job goes on.
        """
        if self._until_s is None:
            return self._poll_s
        left_s = self._until_s - self._clock()
        if left_s <= 0:
            raise ServerError(
                f"The job {self._job_id} did not end in time.",
                advice="It goes on: ask for it again later, or cancel it.",
                code="server-timeout",
            )
        return min(self._poll_s, left_s)


class Download:
    """A file that is there whole or not at all, however often its connection breaks. Use as a context manager.

    Args:
        target: The file; one that is there is replaced.
        policy: How often to begin again.
    """

    def __init__(self, target: str | os.PathLike[str], policy: RetryPolicy) -> None:
        self.is_done = False
        self._target = Path(target)
        self._part = self._target.with_name(f".{self._target.name}.{uuid.uuid4().hex[:8]}.part")
        self._policy = policy
        self._failures = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()
        self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[bytes], object]]:
        """Around one answer; gives what takes its bytes.

        Raises:
            ServerError: The connection broke too often.
            OutputError: The file cannot be written.
        """
        import httpx

        try:
            with self._part.open("wb") as self._file:
                yield self._file.write
            self._part.replace(self._target)
            self.is_done = True
        except httpx.TransportError as error:
            self._failures += 1
            if self._failures >= self._policy.attempts:
                raise ServerError(
                    f"The connection broke while {self._target.name} was fetched: {type(error).__name__}.",
                    advice="Check the network and the server's log.",
                    code="server-unreachable",
                ) from error
        except OSError as error:
            raise OutputError(
                f"{self._target} cannot be written: {error.strerror}.", advice="Choose another place."
            ) from error

    def pause_s(self) -> float:
        """Before the next attempt; 0 when it is done."""
        return 0.0 if self.is_done else self._policy.delay_s(self._failures)


def _key_header(key: str | None) -> dict[str, str]:
    """A request that is sent again must not begin a second job, so each has a key."""
    return {"Idempotency-Key": key if key is not None else str(uuid.uuid4())}


def _path(job_id: str, tail: str = "") -> str:
    if not job_id.isascii() or not job_id.isalnum():
        raise InputError(f"{job_id!r} is no id of a job.", advice="Take it from the answer that began it.")
    return f"{_JOBS}/{job_id}{tail}"
