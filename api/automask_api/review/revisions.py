"""Which revision of a correction a change is based on: `ETag`, `If-Match`, and the answer when somebody was faster."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from fastapi.responses import JSONResponse

from automask.errors import CorrectionConflict, InputError
from automask_api.review.documents import CorrectionDocument
from automask_api.review.source import ReviewSource

IfMatch = Annotated[str | None, Header(alias="If-Match")]


def etag(revision: int) -> str:
    """The `ETag` of a revision, 0 where there is none."""
    return f'"{revision}"'


def known_revision(if_match: str | None) -> int | None:
    """The revision in an `If-Match`; None where the page saw no correction.

    Raises:
        InputError: It is missing or no number (`revision-missing`).
    """
    text = (if_match or "").strip().strip('"')
    if not text.isdigit():
        raise InputError(
            "A change must say which revision it is based on.", advice="Send If-Match.", code="revision-missing"
        )
    return int(text) or None


def conflict(source: ReviewSource, content_sha256: str, raised: CorrectionConflict) -> JSONResponse:
    """The answer to who was not first, with what is newest."""
    newest = source.store.correction(content_sha256)
    document = {
        "title": "Changed by somebody else",
        "status": 412,
        "detail": raised.message,
        "code": raised.code,
        "newest": CorrectionDocument.of(newest, with_layers=False).model_dump(mode="json") if newest else None,
    }
    return JSONResponse(document, status_code=412, media_type="application/problem+json")
