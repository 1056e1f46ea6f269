"""A full check of a store: slow, reads everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from automask.errors import StoreError
from automask.files.atomic import find_temporaries, is_temporary
from automask.files.png import damage_of, is_png
from automask.store import masks, queries
from automask.store.database import Database
from automask.store.records import Problem, Status, StoredImage


def verify(database: Database, masks_root: Path) -> Iterator[Problem]:
    """Yield every problem; see `Store.verify`."""
    damage = _damage(database)
    for line in damage:
        yield Problem("database-damaged", f"The database is damaged: {line}.")
    if damage:
        return  # reading on would only repeat it
    for stored in queries.iterate(database, verdict=None, status=None, decision=None, order="id", offset=0, limit=None):
        yield from _check_mask(masks_root, stored)
        try:
            with database.reading() as connection:
                queries.read_result(connection, stored.image_id)
        except StoreError as error:
            yield Problem("result-damaged", f"What was found cannot be read: {error.message}", stored.image_id)
    yield from _check_files(database, masks_root)


def _damage(database: Database) -> list[str]:
    try:
        with database.reading() as connection:
            rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
    except StoreError as error:  # some damage is too large even for the check
        return [error.message]
    return [row[0] for row in rows if row[0] != "ok"]


def _check_mask(masks_root: Path, stored: StoredImage) -> Iterator[Problem]:
    if stored.mask_name is None:
        if stored.status is Status.DONE:
            yield Problem("mask-missing", "The image has no mask.", stored.image_id)
        return
    path = masks.mask_path(masks_root, stored.mask_name)
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == stored.mask_sha256:
            return
        damage = damage_of(data)
        if damage is None or not is_png(data):
            yield Problem("mask-changed", f"{path} is not the mask that was written.", stored.image_id)
        else:
            # Its date may be the old one, so that no run would look at it.
            message = f"{path} is damaged: {damage}. Delete it, and `automask run` draws it again."
            yield Problem("mask-damaged", message, stored.image_id)
    except OSError as error:
        yield Problem("mask-missing", f"{path} cannot be read: {error.strerror}.", stored.image_id)


def _check_files(database: Database, masks_root: Path) -> Iterator[Problem]:
    for temporary in find_temporaries(masks_root):
        yield Problem("temporary-left", f"{temporary} was left by a killed run; the next run removes it.")
    for path in masks_root.rglob("*"):
        if is_temporary(path.name) or not path.is_file():
            continue
        with database.reading() as connection:
            known = queries.owns_mask(connection, path.relative_to(masks_root).as_posix())
        if not known:
            yield Problem("mask-unknown", f"{path} belongs to no image.")
