"""Which stages have to run for a file: the resume rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from automask.store import images, masks, queries
from automask.store.database import Database
from automask.store.records import FileFacts, Plan, Status, Work, is_shown
from automask.store.rows import fingerprints_of, from_text, stored_image, to_text
from automask.values.types import Fingerprints, Verdict

_CLOCK_NS = 2_000_000_000
"""The coarsest clock of a file system, FAT's: within it a file may change and keep its time."""


def plan(
    database: Database, masks_root: Path, file: FileFacts, fingerprints: Fingerprints, *, run_id: int | None
) -> Plan:
    """Find the first stage that has to run for a file; see `Store.plan`."""
    with database.reading() as connection:
        row = next(queries.planned(connection, [file.id]), None)
        stored = stored_image(row) if row is not None else None
    if row is not None and stored is not None and not _is_as_read(row, file):
        if _content_sha256(file) != stored.content_sha256:
            return Plan(Work.DETECT, stored)
        facts = {"size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns, "ctime_ns": file.ctime_ns}
        note(database, file.id, {**facts, "run_id": run_id})
    elif row is not None:
        _learn_change_times(database, [(row, file)])
    if row is None:
        row = _adopted(database, file)
        stored = stored_image(row) if row is not None else None
    if row is None or stored is None:
        return Plan(Work.DETECT, None)
    work = _work(row, file, fingerprints)
    if work is not Work.NONE:
        return Plan(work, stored)
    intact, new_mtime_ns = masks.is_intact(masks_root, stored)
    if new_mtime_ns is not None:
        note(database, file.id, {"mask_mtime_ns": new_mtime_ns})
    return Plan(Work.NONE if intact else Work.RENDER, stored)


def settled(
    database: Database, masks_root: Path, files: Sequence[FileFacts], fingerprints: Fingerprints
) -> dict[str, Verdict]:
    """The verdicts of those files for which `plan` would find nothing to do without opening any file.

    No `StoredImage` is made of their rows, which would take more than half of the time of a folder without changes.
    """
    by_id = {file.id: file for file in files}
    with database.reading() as connection:
        rows = [(row, by_id[from_text(row["image_id"])]) for row in queries.planned(connection, list(by_id))]
    as_read = [(row, file) for row, file in rows if _is_as_read(row, file)]
    _learn_change_times(database, as_read)
    return {
        file.id: Verdict(row["verdict"])
        for row, file in as_read
        if _work(row, file, fingerprints) is Work.NONE
        and masks.has_facts(masks_root, file.mask_name, row["mask_size_bytes"], row["mask_mtime_ns"])
    }


def _is_as_read(row: sqlite3.Row, file: FileFacts) -> bool:
    """Whether a file must be the one that was read, going by its size and times.

    The change time tells of a file that was replaced by one of its size and with its modification time (`cp -p`, an
    archive that was unpacked): no program can set it. It changes with a copy of the dataset, too, or with permissions:
    then the content decides.

    A file that was young when it was read may have changed since and kept its times: it is compared once more, by a
    run that began later.
    """
    if (row["size_bytes"], row["mtime_ns"]) != (file.size_bytes, file.mtime_ns):
        return False
    if row["ctime_ns"] is not None and row["ctime_ns"] != file.ctime_ns:
        return False
    began_s = row["began_s"]
    return began_s is None or file.mtime_ns < began_s * 1e9 - _CLOCK_NS


def _learn_change_times(database: Database, as_read: Sequence[tuple[sqlite3.Row, FileFacts]]) -> None:
    """Note the change times of files that are as they were read, where a store from before version 6 has none."""
    unknown = {row["image_key"]: file.ctime_ns for row, file in as_read if row["ctime_ns"] is None}
    if unknown and not database.read_only:
        with database.writing() as connection:
            images.learn_change_times(connection, unknown)


def _work(row: sqlite3.Row, file: FileFacts, fingerprints: Fingerprints) -> Work:
    """The first stage that has to run for an image whose pixels are those of its row, its mask file aside.

    The row is one of `queries.planned`.
    """
    known, revision = fingerprints_of(row), row["correction_revision"]
    if row["status"] == Status.FAILED or known is None or known.detect != fingerprints.detect:
        return Work.DETECT
    if known.refine != fingerprints.refine:
        return Work.REFINE
    if (
        row["status"] != Status.DONE
        or not is_shown(known, row["template_set"], revision, wanted=fingerprints, newest=row["newest_revision"])
        or row["mask_name"] != to_text(file.mask_name)
    ):
        return Work.RENDER
    return Work.NONE


def _adopted(database: Database, file: FileFacts) -> sqlite3.Row | None:
    """Take over what was found for the same pixels under another name; files are read only where sizes agree."""
    if database.read_only:
        return None
    with database.reading() as connection:
        if not queries.has_size(connection, file.size_bytes):
            return None
    content_sha256 = _content_sha256(file)
    if content_sha256 is None:
        return None
    with database.writing() as connection:
        source = queries.find_content(connection, content_sha256)
        if source is None:
            return None
        images.copy_result(connection, source, file)
        return next(queries.planned(connection, [file.id]), None)


def _content_sha256(file: FileFacts) -> str | None:
    try:
        return masks.hash_file(file.path)
    except OSError:
        return None  # decoding will say what is wrong with it


def note(database: Database, image_id: str, values: Mapping[str, int | str | None]) -> None:
    """Bring some columns of an image's row up to date; nothing where the store is opened for reading."""
    if database.read_only:
        return
    with database.writing() as connection:
        row = queries.find(connection, image_id)
        if row is not None:
            images.update(connection, row["image_key"], values)
