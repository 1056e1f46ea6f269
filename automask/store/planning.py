"""Which stages have to run for a file: the resume rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from automask.store import corrections, images, masks, queries
from automask.store.database import Database
from automask.store.records import FileFacts, Plan, Status, StoredImage, Work
from automask.store.rows import stored_image
from automask.values.types import Fingerprints


def plan(database: Database, masks_root: Path, file: FileFacts, fingerprints: Fingerprints) -> Plan:
    """Find the first stage that has to run for a file; see `Store.plan`."""
    with database.reading() as connection:
        row = queries.find(connection, file.id)
        revision = corrections.revision(connection, row["content_sha256"]) if row is not None else None
        stored = stored_image(row) if row is not None else None
    stored = stored or _adopted(database, file)
    if stored is None:
        return Plan(Work.DETECT, None)
    if (stored.size_bytes, stored.mtime_ns) != (file.size_bytes, file.mtime_ns):
        if _content_sha256(file) != stored.content_sha256:
            return Plan(Work.DETECT, stored)
        note(database, file.id, {"size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns})
    known = stored.fingerprints
    if stored.status is Status.FAILED or known is None or known.detect != fingerprints.detect:
        return Plan(Work.DETECT, stored)
    if known.refine != fingerprints.refine:
        return Plan(Work.REFINE, stored)
    if (
        stored.status is not Status.DONE
        or not stored.shows(fingerprints, revision)
        or stored.mask_name != file.mask_name
    ):
        return Plan(Work.RENDER, stored)
    intact, new_mtime_ns = masks.is_intact(masks_root, stored)
    if new_mtime_ns is not None:
        note(database, file.id, {"mask_mtime_ns": new_mtime_ns})
    return Plan(Work.NONE if intact else Work.RENDER, stored)


def _adopted(database: Database, file: FileFacts) -> StoredImage | None:
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
        row = queries.find(connection, file.id)
    return stored_image(row) if row is not None else None


def _content_sha256(file: FileFacts) -> str | None:
    try:
        return masks.hash_file(file.path)
    except OSError:
        return None  # decoding will say what is wrong with it


def note(database: Database, image_id: str, values: Mapping[str, int | str]) -> None:
    """Bring some columns of an image's row up to date; nothing where the store is opened for reading."""
    if database.read_only:
        return
    with database.writing() as connection:
        row = queries.find(connection, image_id)
        if row is not None:
            images.update(connection, row["image_key"], values)
