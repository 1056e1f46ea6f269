"""What a person said of a whole image settles its verdict; corrections whose image changed wait until one looks."""

from __future__ import annotations

import sqlite3

from automask.store import corrections, decisions, naming
from automask.store.records import STALE_CORRECTION_CODE, STALE_CORRECTION_MESSAGE, Decision, Status
from automask.store.rows import issue_values
from automask.values.types import Issue, Verdict

_THRESHOLD_KEY = "review_threshold"
_VERDICT = f"""CASE
    WHEN decision IN ('{Decision.ACCEPTED.value}', '{Decision.EXCLUDED.value}') THEN '{Verdict.AUTO.value}'
    WHEN (SELECT {corrections.IS_WHOLE_MASK} FROM corrections WHERE corrections.content_sha256 = images.content_sha256
          ORDER BY revision DESC LIMIT 1) THEN '{Verdict.AUTO.value}'
    WHEN stale_sha256 IS NOT NULL AND status = '{Status.DONE.value}' THEN '{Verdict.REVIEW.value}'
    WHEN confidence < (SELECT CAST(value AS REAL) FROM meta WHERE key = '{_THRESHOLD_KEY}')
        THEN '{Verdict.REVIEW.value}'
    ELSE pipeline_verdict END"""


def content_that_waits(
    connection: sqlite3.Connection, previous: sqlite3.Row | None, content_sha256: str | None
) -> str | None:
    """Former pixels of an image that have a correction, while the present pixels are other ones."""
    if previous is None:
        return None
    former: str | None = previous["content_sha256"]
    if former != content_sha256 and corrections.is_live(connection, former):
        return former
    stale: str | None = previous["stale_sha256"]
    return stale


def settle(connection: sqlite3.Connection, *content_sha256: str | None) -> None:
    """Bring decision, verdict and stale mark of all images that have to do with some contents up to date.

    The verdict is the pipeline's unless a person accepted the mask of the present pixels, brought a whole one, or
    excluded the image. A change of a part settles nothing: it may come from another image, or be the first of many.

    An image is stale while the correction of its former pixels waits for a person: until one brings a whole mask of its
    present pixels, the old one is withdrawn, or the old pixels turn up under another name (a rename). Accepting and
    excluding silence it for as long as they stand.
    """
    decisions.settle(connection, content_sha256)
    for content in {content for content in content_sha256 if content is not None}:
        _settle_verdicts(connection, content)
        for row in connection.execute(
            "SELECT image_key, image_id, status, content_sha256, stale_sha256, decision FROM images"
            " WHERE stale_sha256 IS NOT NULL AND (stale_sha256 = ?1 OR content_sha256 = ?1)",
            (content,),
        ).fetchall():
            _settle_one(connection, row)


def settle_corrected(connection: sqlite3.Connection, *content_sha256: str) -> None:
    """The same after a new revision of corrections, which may call regions other kinds."""
    naming.settle(connection, content_sha256)
    settle(connection, *content_sha256)


def _settle_verdicts(connection: sqlite3.Connection, content_sha256: str) -> None:
    connection.execute(
        f"UPDATE images SET verdict = {_VERDICT} WHERE content_sha256 = ? AND pipeline_verdict IS NOT NULL",
        (content_sha256,),
    )


def apply_threshold(connection: sqlite3.Connection, threshold: float | None) -> None:
    """Send every image of a lower confidence to review, now and whenever its verdict is settled; None ends that."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_THRESHOLD_KEY,))
    if threshold is not None:
        connection.execute("INSERT INTO meta VALUES (?, ?)", (_THRESHOLD_KEY, repr(threshold)))
    connection.execute(
        f"UPDATE images SET verdict = {_VERDICT} WHERE pipeline_verdict IS NOT NULL AND verdict IS NOT {_VERDICT}"
    )


def _settle_one(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    stale, key = row["stale_sha256"], row["image_key"]
    if row["content_sha256"] is None:
        return  # unreadable for now: it may come back with its old pixels
    elsewhere = connection.execute(
        "SELECT 1 FROM images WHERE content_sha256 = ? AND image_key <> ? AND status <> 'missing'", (stale, key)
    ).fetchone()
    connection.execute("DELETE FROM issues WHERE image_key = ? AND code = ?", (key, STALE_CORRECTION_CODE))
    if (
        stale == row["content_sha256"]
        or elsewhere is not None
        or not corrections.is_live(connection, stale)
        or corrections.is_whole_mask(connection, row["content_sha256"])
    ):
        connection.execute("UPDATE images SET stale_sha256 = NULL WHERE image_key = ?", (key,))
        _settle_verdicts(connection, row["content_sha256"])
        return
    if row["decision"] in (Decision.ACCEPTED.value, Decision.EXCLUDED.value):
        return  # a person has looked; should the decision be taken back, the correction waits again
    position = connection.execute("SELECT count(*) FROM issues WHERE image_key = ?", (key,)).fetchone()[0]
    values = (key, *issue_values(position, Issue("write", STALE_CORRECTION_CODE, STALE_CORRECTION_MESSAGE)))
    connection.execute(
        "INSERT INTO issues (image_key, position, stage, code, severity, message) VALUES (?, ?, ?, ?, ?, ?)", values
    )
    if row["status"] == Status.DONE.value:
        connection.execute("UPDATE images SET verdict = ? WHERE image_key = ?", (Verdict.REVIEW.value, key))
