"""Answers of a server that are not a success, as the errors that the same fault raises without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator

from automask.dataset.codes import Refusal
from automask.errors import AutomaskError, ImageError, ServerError

UNKNOWN_ANSWER = "server-answer-unknown"
"""Code of answers that no automask server gives."""

_QUOTED_CHARACTERS = 200


def error_of_answer(status: int, body: bytes) -> AutomaskError:
    """The error for an answer of 400 and above.

    Args:
        status: HTTP status.
        body: Problem details (RFC 9457) with `code` and `advice`, or whatever a proxy says.
    """
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        said = " ".join(body.decode("utf-8", "replace").split())[:_QUOTED_CHARACTERS]
        return ServerError(
            f"The server answered with status {status}" + (f": {said}." if said else "."),
            advice="Check that the address is that of an automask server, and what stands between.",
            code=UNKNOWN_ANSWER,
        )
    return error_of(
        problem["code"],
        str(problem.get("detail") or problem.get("title") or f"status {status}"),
        advice=str(problem.get("advice") or ""),
        exit_code=problem.get("exit_code"),
        status=status,
    )


def error_of(code: str, message: str, *, advice: str, exit_code: object, status: int) -> AutomaskError:
    """The error that a server described."""
    return _class_of(code, exit_code=exit_code, status=status)(message, advice=advice, code=code)


def _class_of(code: str, *, exit_code: object, status: int) -> type[AutomaskError]:
    """The class that has a code as its default, else the most general one with the exit code."""
    classes = list(_core_classes())
    for cls in classes:
        if cls.default_code == code:
            return cls
    if code in set(Refusal):
        return ImageError
    if exit_code == AutomaskError.exit_code and status != AutomaskError.http_status:
        return ServerError  # a missing key, a body that is too large: only servers say that
    return next((cls for cls in classes if cls.exit_code == exit_code), ServerError)


def _core_classes() -> Iterator[type[AutomaskError]]:
    """Broad ones before narrow ones. Those of other packages are not looked at: they may take other arguments."""
    pending = [AutomaskError]
    while pending:
        cls = pending.pop(0)
        yield cls
        pending.extend(sub for sub in cls.__subclasses__() if sub.__module__ == AutomaskError.__module__)
