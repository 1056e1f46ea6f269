"""A long list in pages that stay right while it grows and shrinks."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

from automask.errors import ConfigError
from automask_api.jobs.records import Job


def page_of(jobs: Sequence[Job], *, cursor: str | None, limit: int) -> tuple[list[Job], str | None]:
    """One page, and the cursor of the next.

    A cursor is the place of the last job of a page, whether that job is still there or not: what comes or goes in the
    meantime shifts nothing.

    Args:
        jobs: All, newest first.
        cursor: From the page before; None = the first.
        limit: Most jobs of the page.

    Raises:
        ConfigError: It is no cursor.
    """
    after = None if cursor is None else _place(cursor)
    left = [job for job in jobs if after is None or (job.created_s, job.id) < after]
    page = left[:limit]
    return page, _cursor(page[-1]) if len(left) > limit else None


def _cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(f"{job.created_s!r} {job.id}".encode()).decode("ascii").rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        created_s, _, job_id = text.partition(" ")
        place = float(created_s), job_id
    except ValueError as error:
        raise _no_cursor(cursor) from error
    if not math.isfinite(place[0]) or not job_id:
        raise _no_cursor(cursor)
    return place


def _no_cursor(cursor: str) -> ConfigError:
    return ConfigError(
        f"{cursor[:80]!r} is no cursor.",
        advice="Take it from the Link header of a page.",
        code="cursor-invalid",
    )
