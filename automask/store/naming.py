"""SQL of the kinds of an image: those of its regions as people call them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from automask.store import corrections
from automask.values.kinds import keys_of


def refresh(connection: sqlite3.Connection, image_key: int) -> None:
    """Bring the column `kinds` of an image up to date, inside a transaction that the caller owns."""
    rows = connection.execute(
        "SELECT kind, source, x0, y0, x1, y1 FROM regions LEFT JOIN template_decisions USING (template_id)"
        " WHERE image_key = ? AND decision IS NOT 'forget' ORDER BY position",
        (image_key,),
    ).fetchall()
    content = connection.execute("SELECT content_sha256 FROM images WHERE image_key = ?", (image_key,)).fetchone()
    called = corrections.newest_kinds(connection, content["content_sha256"] if content is not None else None)
    keys = keys_of((row["source"], (row["x0"], row["y0"], row["x1"], row["y1"])) for row in rows)
    kinds = {called.get(key, row["kind"]) for key, row in zip(keys, rows, strict=True)}
    connection.execute("UPDATE images SET kinds = ? WHERE image_key = ?", (",".join(sorted(kinds)), image_key))


def settle(connection: sqlite3.Connection, contents: Iterable[str | None]) -> None:
    """Bring the kinds of all images with some contents up to date."""
    for content in {content for content in contents if content is not None}:
        for row in connection.execute("SELECT image_key FROM images WHERE content_sha256 = ?", (content,)).fetchall():
            refresh(connection, row["image_key"])
