"""The steps from older versions of the store to newer ones. Each runs inside a transaction that its caller owns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping

Migration = Callable[[sqlite3.Connection], None]

TEMPLATE_TABLES = """
CREATE TABLE templates (
    template_id TEXT PRIMARY KEY,           -- hash of its content
    detector TEXT NOT NULL,
    kind TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('estimated', 'saved')),
    active INTEGER NOT NULL,                -- 1: looked for; 0: kept for the decision on it
    created_s REAL NOT NULL,
    content BLOB NOT NULL,                  -- the detector's own
    picture_png BLOB NOT NULL,
    anchor TEXT NOT NULL,
    support REAL NOT NULL,
    images INTEGER NOT NULL,
    confidence REAL NOT NULL,
    area_share REAL NOT NULL,
    needs_review INTEGER NOT NULL
);
CREATE TABLE template_decisions (
    template_id TEXT PRIMARY KEY REFERENCES templates,
    decision TEXT NOT NULL CHECK (decision IN ('apply', 'forget')),
    author TEXT NOT NULL,
    decided_s REAL NOT NULL
);
"""

DECISION_TABLES = """
CREATE TABLE decisions (
    content_sha256 TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_s REAL NOT NULL,
    author TEXT NOT NULL,
    decision TEXT CHECK (decision IN ('accepted', 'excluded', 'skipped')), -- NULL: the one before was taken back
    seen_sha256 TEXT NOT NULL,              -- of the regions' pixels and the correction that the person saw
    PRIMARY KEY (content_sha256, revision)
);
CREATE TRIGGER decisions_keep_history BEFORE UPDATE ON decisions
    BEGIN SELECT raise(ABORT, 'decisions are only ever added'); END;
CREATE TRIGGER decisions_keep_all BEFORE DELETE ON decisions
    BEGIN SELECT raise(ABORT, 'decisions are only ever added'); END;
CREATE INDEX images_by_decision ON images (decision) WHERE decision IS NOT NULL;
"""


def statements_of(script: str) -> list[str]:
    """Single statements of a script: `executescript` would commit the transaction around it."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements


def _templates(connection: sqlite3.Connection) -> None:
    """1 to 2: templates of a dataset, where images show them, and what a person decided about them."""
    for statement in statements_of(TEMPLATE_TABLES):
        connection.execute(statement)
    connection.execute("ALTER TABLE images ADD COLUMN templates_fingerprint TEXT")
    connection.execute("ALTER TABLE images ADD COLUMN template_set TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE regions ADD COLUMN template_id TEXT")
    connection.execute(INDEX_OF_MATCHES)


def _decisions(connection: sqlite3.Connection) -> None:
    """2 to 3: what a person decided about whole images."""
    connection.execute("ALTER TABLE images ADD COLUMN decision TEXT")
    for statement in statements_of(DECISION_TABLES):
        connection.execute(statement)


def _kinds(connection: sqlite3.Connection) -> None:
    """3 to 4: what a person calls single regions."""
    connection.execute("ALTER TABLE corrections ADD COLUMN kinds_json TEXT NOT NULL DEFAULT '{}'")


def _proposed(connection: sqlite3.Connection) -> None:
    """4 to 5: regions that only ask say so. Until then they had a confidence of .45 (templates .4), or less.

    What the last run drew in spite of that, by its own `accept`, it goes on to draw: no mask changes.
    """
    connection.execute("ALTER TABLE regions ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE regions SET proposed = 1 WHERE confidence <= 0.45")
    last = connection.execute("SELECT config_json FROM runs ORDER BY run_id DESC LIMIT 1").fetchone()
    for kind, rule in (json.loads(last[0]).get("policy", {}) if last is not None else {}).items():
        connection.execute(
            "UPDATE regions SET proposed = 0 WHERE kind = ? AND confidence >= ?", (kind, rule.get("accept", 0.5))
        )


def _change_times(connection: sqlite3.Connection) -> None:
    """5 to 6: change times of image files. The next run learns those of files that are as they were read."""
    connection.execute("ALTER TABLE images ADD COLUMN ctime_ns INTEGER")


INDEX_OF_MATCHES = "CREATE INDEX regions_by_template ON regions (template_id) WHERE template_id IS NOT NULL"

MIGRATIONS: Mapping[int, Migration] = {1: _templates, 2: _decisions, 3: _kinds, 4: _proposed, 5: _change_times}
"""`MIGRATIONS[n]` changes version n into n + 1."""
