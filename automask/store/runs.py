"""SQL of runs."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from automask.errors import StoreError
from automask.store.records import RunRecord, RunStatus
from automask.store.rows import from_text, to_text
from automask.values.types import Issue

_NOTICES_KEY: Final = "dataset_notices"


def begin(connection: sqlite3.Connection, *, config_json: str, input_root: str, version: str) -> int:
    """Add a run and return its id. A run that was killed counts as interrupted from now on."""
    connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")
    connection.execute(
        "INSERT INTO runs (started_s, status, version, input_root, config_json) VALUES (?, 'running', ?, ?, ?)",
        (time.time(), version, to_text(input_root), config_json),
    )
    run_id: int = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
    return run_id


def finish(
    connection: sqlite3.Connection, run_id: int, *, status: RunStatus, notices: Sequence[Issue] | None = None
) -> None:
    """Note how a run ended, and what it had to say about the dataset; None leaves what the one before said."""
    connection.execute("UPDATE runs SET finished_s = ?, status = ? WHERE run_id = ?", (time.time(), status, run_id))
    if notices is not None:
        kept = json.dumps([asdict(notice) for notice in notices])
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_NOTICES_KEY, kept))


def notices(connection: sqlite3.Connection) -> list[Issue]:
    """What the last whole run had to say about the dataset."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_NOTICES_KEY,)).fetchone()
    return [Issue(**notice) for notice in json.loads(row[0])] if row is not None else []


def last(connection: sqlite3.Connection) -> RunRecord | None:
    """The run that began last."""
    row = connection.execute("SELECT * FROM runs ORDER BY run_id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    return RunRecord(
        run_id=row["run_id"],
        started_s=row["started_s"],
        finished_s=row["finished_s"],
        status=row["status"],
        version=row["version"],
        input_root=from_text(row["input_root"]),
        config_json=row["config_json"],
    )


def check_same_input(last_run: RunRecord | None, input_root: str, *, store_root: Path) -> None:
    """Refuse to mix two datasets in one store, where the same relative path means two images.

    Raises:
        StoreError: The last run was over another folder that still exists.
    """
    if last_run is None or last_run.input_root == input_root:
        return
    former, present = Path(last_run.input_root), Path(input_root)
    if not former.exists() or (present.exists() and former.samefile(present)):
        return
    raise StoreError(
        f"{store_root} holds the masks of {former}, not of {present}.",
        advice="Choose another --output.",
        code="store-other-input",
    )
