"""SQL for regions that templates found. Every function works inside a transaction that its caller owns."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence

from automask.store import naming
from automask.store.rows import insert, region_values
from automask.values.templates import TEMPLATE_ATTRIBUTE, template_patch
from automask.values.types import Region

_FIRST_POSITION = 1_000_000
"""Behind all that detectors found, however often they run again."""


def write(connection: sqlite3.Connection, key: int, regions: Sequence[Region], *, fingerprint: str) -> None:
    """Replace what templates found on an image.

    Args:
        connection: A transaction.
        key: The image's `image_key`.
        regions: Each with its `artefact` and the attribute `template`.
        fingerprint: Of the search.
    """
    drop(connection, key)
    for position, region in enumerate(regions, start=_FIRST_POSITION):
        template_id = str(region.attributes[TEMPLATE_ATTRIBUTE])
        values = {"image_key": key, **region_values(position, region, template_patch(region))}
        values["template_id"] = template_id
        insert(connection, "regions", values)
    connection.execute("UPDATE images SET templates_fingerprint = ? WHERE image_key = ?", (fingerprint, key))
    refresh(connection, key)


def drop(connection: sqlite3.Connection, key: int) -> None:
    """Forget what templates found on an image, and that they were looked for."""
    connection.execute("DELETE FROM regions WHERE image_key = ? AND template_id IS NOT NULL", (key,))
    connection.execute("UPDATE images SET templates_fingerprint = NULL, template_set = '' WHERE image_key = ?", (key,))


def refresh(connection: sqlite3.Connection, key: int) -> None:
    """Bring the columns of an image up to date that follow from its regions and the decisions on their templates."""
    rows = connection.execute(
        "SELECT kind, x0, y0, x1, y1, confidence, proposed, patch_rle, template_id, decision FROM regions"
        " LEFT JOIN template_decisions USING (template_id)"
        " WHERE image_key = ? AND decision IS NOT 'forget' ORDER BY position",
        (key,),
    ).fetchall()
    found = [
        [*row[:7], hashlib.sha256(row["patch_rle"]).hexdigest(), row["template_id"], row["decision"]]
        for row in rows
        if row["template_id"] is not None
    ]
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16] if found else ""
    connection.execute("UPDATE images SET template_set = ? WHERE image_key = ?", (digest, key))
    naming.refresh(connection, key)
