"""Tables of the store, and the way from older versions to this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from automask.errors import StoreError, StoreTooNew
from automask.files.atomic import discard, output_error, sync_folder
from automask.store.database import Database
from automask.store.migrations import DECISION_TABLES, INDEX_OF_MATCHES, MIGRATIONS, TEMPLATE_TABLES, statements_of
from automask.version import __version__

SCHEMA_VERSION: Final = 6
APPLICATION_ID: Final = 0x41554D4B
"""`AUMK` in SQLite's header: tells a store from any other SQLite file."""

_TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE runs (
    run_id INTEGER PRIMARY KEY,
    started_s REAL NOT NULL,
    finished_s REAL,
    status TEXT NOT NULL,                   -- running, done, interrupted, failed
    version TEXT NOT NULL,
    input_root TEXT NOT NULL,
    config_json TEXT NOT NULL
);
CREATE TABLE images (
    image_key INTEGER PRIMARY KEY,
    image_id TEXT NOT NULL UNIQUE,          -- names that are not UTF-8 are kept as BLOB
    status TEXT NOT NULL CHECK (status IN ('done', 'failed', 'missing')),
    run_id INTEGER REFERENCES runs,
    updated_s REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content_sha256 TEXT,                    -- of the image file; NULL when it was never read
    orientation INTEGER,                    -- EXIF 1..8
    width_px INTEGER,                       -- upright
    height_px INTEGER,
    detect_fingerprint TEXT,                -- NULL: regions and patches must not be used again
    refine_fingerprint TEXT,
    fuse_fingerprint TEXT,
    confidence REAL,
    verdict TEXT CHECK (verdict IN ('auto', 'review')),
    pipeline_verdict TEXT,                  -- without what a stale correction adds
    masked_share REAL,
    kinds TEXT NOT NULL DEFAULT '',         -- of its regions as people call them, sorted, joined by a comma
    timings_json TEXT NOT NULL DEFAULT '{}',
    mask_name TEXT UNIQUE,                  -- relative to masks/; NULL: there is no mask
    mask_sha256 TEXT,
    mask_size_bytes INTEGER,
    mask_mtime_ns INTEGER,
    correction_revision INTEGER,            -- the one that the mask shows
    stale_sha256 TEXT,                      -- content whose correction waits here, unapplied
    templates_fingerprint TEXT,             -- of the search that found its template regions; NULL: none yet
    template_set TEXT NOT NULL DEFAULT '',  -- hash of its template regions under the decisions; '': none is drawn
    decision TEXT,                          -- the one that holds for the image as it is now, see `decisions`
    ctime_ns INTEGER                        -- change time of the image file; NULL: not looked at since version 5
);
CREATE INDEX images_by_confidence ON images (ifnull(confidence, -1.0), image_id);
CREATE INDEX images_by_content ON images (content_sha256);
CREATE INDEX images_by_size ON images (size_bytes);
CREATE INDEX images_stale ON images (stale_sha256) WHERE stale_sha256 IS NOT NULL;
CREATE TABLE regions (
    image_key INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    confidence REAL NOT NULL,
    source TEXT NOT NULL,
    polygon_json TEXT,
    attributes_json TEXT NOT NULL,
    artefact_rle BLOB,                      -- what the detector itself drew
    artefact_is_patch INTEGER NOT NULL,     -- 1: the same pixels as patch_rle, kept once
    patch_x0 INTEGER NOT NULL, patch_y0 INTEGER NOT NULL, patch_x1 INTEGER NOT NULL, patch_y1 INTEGER NOT NULL,
    patch_rle BLOB NOT NULL,
    score REAL NOT NULL,
    refiner TEXT NOT NULL,
    note TEXT NOT NULL,
    template_id TEXT,                       -- found by this template; NULL: by a detector
    proposed INTEGER NOT NULL DEFAULT 0,    -- 1: only a person can say if it is masked
    PRIMARY KEY (image_key, position)
);
CREATE TABLE issues (
    image_key INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    position INTEGER NOT NULL,
    stage TEXT NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (image_key, position)
);
CREATE TABLE corrections (
    content_sha256 TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_s REAL NOT NULL,
    author TEXT NOT NULL,
    tool TEXT NOT NULL,
    withdrawn INTEGER NOT NULL,             -- 1: the automatic mask counts again
    replaces INTEGER NOT NULL,
    already_grown INTEGER NOT NULL,
    add_rle BLOB,
    remove_rle BLOB,
    weight_set_rle BLOB,
    weight_levels BLOB,                     -- zlib of the uint8 levels where weight_set is true, row-major
    kinds_json TEXT NOT NULL DEFAULT '{}',  -- what regions were called, by source and box
    PRIMARY KEY (content_sha256, revision)
);
CREATE TRIGGER corrections_keep_history BEFORE UPDATE ON corrections
    BEGIN SELECT raise(ABORT, 'corrections are only ever added'); END;
CREATE TRIGGER corrections_keep_all BEFORE DELETE ON corrections
    BEGIN SELECT raise(ABORT, 'corrections are only ever added'); END;
"""


def create_tables(database: Database) -> None:
    """Make an empty file a store, wholly or not at all."""
    with database.writing(durable=True) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return  # another process was faster
        for statement in [*statements_of(_TABLES + TEMPLATE_TABLES + DECISION_TABLES), INDEX_OF_MATCHES]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [("schema_version", str(SCHEMA_VERSION)), ("created_by", f"automask {__version__}")],
        )


def read_version(database: Database, path: Path) -> int | None:
    """Schema version of an open file, or None for a file without any table.

    Raises:
        StoreError: It is the database of another program.
    """
    with database.reading() as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        application_id = int(connection.execute("PRAGMA application_id").fetchone()[0])
        if not tables and application_id in (0, APPLICATION_ID):
            return None
        if application_id != APPLICATION_ID or "meta" not in tables:
            raise StoreError(
                f"{path} is a database of another program.", advice="Choose another --output.", code="store-foreign"
            )
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None or not str(row[0]).isdigit():
        raise StoreError(f"{path} does not tell its version.", advice="Put back a copy of it.", code="store-corrupt")
    return int(row[0])


def check_not_newer(version: int, path: Path) -> None:
    """Refuse a store that a newer automask wrote.

    Raises:
        StoreTooNew: It is newer.
    """
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has version {version}, this automask knows versions up to {SCHEMA_VERSION}.",
            advice="Use the automask that wrote it or a newer one, or choose another --output.",
        )


def migrate(database: Database, path: Path, *, from_version: int) -> Path:
    """Bring a store to `SCHEMA_VERSION`: all steps or none, after a backup.

    Returns:
        The backup, beside the store.

    Raises:
        StoreError: There is no way from that version.
        OutputError: No space for the backup.
    """
    missing = [version for version in range(from_version, SCHEMA_VERSION) if version not in MIGRATIONS]
    if missing:
        raise StoreError(
            f"{path} has version {from_version}, which this automask cannot read any more.",
            advice="Open it with an older automask first, or choose another --output.",
            code="store-too-old",
        )
    backup = path.with_name(f"{path.stem}.v{from_version}.backup{path.suffix}")
    _back_up(database, backup)
    with database.writing(durable=True) as connection:
        for version in range(from_version, SCHEMA_VERSION):
            MIGRATIONS[version](connection)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION),))
    return backup


def _back_up(database: Database, backup: Path) -> None:
    partial = backup.with_name(backup.name + ".partial")
    discard(partial)
    try:
        with database.reading() as source:
            target = sqlite3.connect(partial)
            try:
                source.backup(target)
            finally:
                target.close()
        partial.replace(backup)
        sync_folder(backup.parent)
    except OSError as error:
        raise output_error(error, backup) from error
    finally:
        discard(partial)
