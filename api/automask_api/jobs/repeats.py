"""Requests that come again because their answer was lost: one key, one job."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from automask_api.errors import RequestInvalid, UnusableKey
from automask_api.jobs.records import Job

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job, and whether this request began it."""

    job: Job
    is_new: bool


def idempotency_of(header: str | None, *, caller: str | None) -> str:
    """What is kept of an `Idempotency-Key`: a hash that differs from caller to caller; empty without one.

    Args:
        header: As the client sent it.
        caller: The name of its API key, if it has one.

    Raises:
        RequestInvalid: It is no key.
    """
    if header is None:
        return ""
    if not _KEY.fullmatch(header):
        raise RequestInvalid(
            "The Idempotency-Key is none.", advice="Send 1 to 255 visible ASCII characters, such as a UUID."
        )
    return hashlib.sha256(f"{caller or ''}\n{header}".encode()).hexdigest()


def key_reused() -> UnusableKey:
    """The error of a key that came with another request before."""
    return UnusableKey("This Idempotency-Key came with another request before.", advice="Make a new key for each job.")
