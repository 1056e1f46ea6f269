"""SQL of decisions: what a person says about an image as a whole. Bound to pixels, only ever added."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable

from automask.store import corrections
from automask.store.queries import find_content
from automask.store.records import Decision, DecisionRecord
from automask.store.rows import from_text, to_text

_COLUMNS = "content_sha256, revision, created_s, author, decision"


def append(
    connection: sqlite3.Connection, content_sha256: str, decision: Decision | None, *, author: str
) -> DecisionRecord:
    """Add a revision and return it.

    Args:
        connection: Inside a write transaction.
        content_sha256: Hash of the image file that the person saw.
        decision: What was decided, or None to take the last decision back.
        author: Who.

    Raises:
        KeyError: The store knows no image with that content.
    """
    row = find_content(connection, content_sha256) or _any_row(connection, content_sha256)
    if row is None:
        raise KeyError(content_sha256)
    record = DecisionRecord(
        content_sha256=content_sha256,
        revision=_revision(connection, content_sha256) + 1,
        decision=decision,
        author=author,
        created_s=time.time(),
    )
    connection.execute(
        f"INSERT INTO decisions ({_COLUMNS}, seen_sha256) VALUES (?, ?, ?, ?, ?, ?)",
        (
            content_sha256,
            record.revision,
            record.created_s,
            to_text(author),
            decision.value if decision is not None else None,
            _seen_sha256(connection, row["image_key"], content_sha256),
        ),
    )
    return record


def newest(connection: sqlite3.Connection, content_sha256: str) -> DecisionRecord | None:
    """The newest revision."""
    row = _newest_row(connection, content_sha256)
    return _record(row) if row is not None else None


def history(connection: sqlite3.Connection, content_sha256: str) -> list[DecisionRecord]:
    """All revisions, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM decisions WHERE content_sha256 = ? ORDER BY revision", (content_sha256,)
    )
    return [_record(row) for row in rows]


def standing(connection: sqlite3.Connection, image_key: int, content_sha256: str | None) -> Decision | None:
    """The decision that holds for an image as it is now.

    Excluding and skipping are about the picture and hold as long as its pixels do. Accepting is about a mask: it holds
    while the regions, their pixels, decisions to draw them and the correction are those that the person saw, under any
    growth or policy: it lapses with a change, and is back when the change is undone.
    """
    row = _newest_row(connection, content_sha256) if content_sha256 is not None else None
    if row is None or content_sha256 is None or row["decision"] is None:
        return None
    decision = Decision(row["decision"])
    if decision is not Decision.ACCEPTED:
        return decision
    seen = _seen_now(connection, image_key, content_sha256, accepted_s=row["created_s"])
    return decision if row["seen_sha256"] in seen else None


def settle(connection: sqlite3.Connection, contents: Iterable[str | None]) -> None:
    """Bring the decision of all images with some contents up to date."""
    for content in {content for content in contents if content is not None}:
        for row in connection.execute(
            "SELECT image_key, decision FROM images WHERE content_sha256 = ?", (content,)
        ).fetchall():
            decision = standing(connection, row["image_key"], content)
            if row["decision"] != decision:
                connection.execute(
                    "UPDATE images SET decision = ?, updated_s = ? WHERE image_key = ?",
                    (decision, time.time(), row["image_key"]),
                )


def _seen_sha256(connection: sqlite3.Connection, image_key: int, content_sha256: str) -> str:
    return _seen_now(connection, image_key, content_sha256, accepted_s=None)[0]


def _seen_now(
    connection: sqlite3.Connection, image_key: int, content_sha256: str, *, accepted_s: float | None
) -> list[str]:
    """Hash of what a person sees of an image, and what it was to older versions for what was accepted at some time.

    Those did not count that a template is applied, which was so if it had been decided by then; before that, they
    counted corrections by revision.
    """
    seen, without = hashlib.sha256(), hashlib.sha256()
    applied_s = 0.0
    for row in connection.execute(
        "SELECT kind, patch_x0, patch_y0, patch_rle, decision, decided_s FROM regions"
        " LEFT JOIN template_decisions USING (template_id)"
        " WHERE image_key = ? AND decision IS NOT 'forget' ORDER BY position",
        (image_key,),
    ):
        outline = f"{row['kind']} {row['patch_x0']} {row['patch_y0']} ".encode() + bytes(row["patch_rle"])
        seen.update(outline)
        without.update(outline)
        if row["decision"] is not None:
            seen.update(b"applied ")
            applied_s = max(applied_s, row["decided_s"])
    by_revision = without.copy()
    correction = corrections.digest(connection, content_sha256)
    if correction is not None:
        seen.update(f"correction {correction}".encode())
        without.update(f"correction {correction}".encode())
    if corrections.is_live(connection, content_sha256):
        by_revision.update(f"correction {corrections.revision(connection, content_sha256)}".encode())
    is_older = accepted_s is not None and applied_s <= accepted_s
    return [seen.hexdigest(), *([without.hexdigest(), by_revision.hexdigest()] if is_older else [])]


def _any_row(connection: sqlite3.Connection, content_sha256: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM images WHERE content_sha256 = ? LIMIT 1", (content_sha256,)
    ).fetchone()
    return row


def _newest_row(connection: sqlite3.Connection, content_sha256: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        f"SELECT {_COLUMNS}, seen_sha256 FROM decisions WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1",
        (content_sha256,),
    ).fetchone()
    return row


def _revision(connection: sqlite3.Connection, content_sha256: str) -> int:
    return int(
        connection.execute(
            "SELECT ifnull(max(revision), 0) FROM decisions WHERE content_sha256 = ?", (content_sha256,)
        ).fetchone()[0]
    )


def _record(row: sqlite3.Row) -> DecisionRecord:
    return DecisionRecord(
        content_sha256=row["content_sha256"],
        revision=row["revision"],
        decision=Decision(row["decision"]) if row["decision"] is not None else None,
        author=from_text(row["author"]),
        created_s=row["created_s"],
    )
