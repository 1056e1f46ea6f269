"""Opening a store: which folders are one, which may become one, which are refused."""

from __future__ import annotations

from pathlib import Path

from automask.errors import OutputError, StoreError
from automask.files.atomic import is_temporary, output_error
from automask.store import schema
from automask.store.database import Database, damaged
from automask.store.locking import exclusive_lock

DATABASE_NAME = "automask.sqlite"
LOCK_NAME = "automask.lock"
MASKS_FOLDER = "masks"


def open_database(root: Path, *, create: bool, read_only: bool) -> Database:
    """Open, create or update the database of a store; errors as for `Store.open`."""
    path = root / DATABASE_NAME
    create = create and not read_only
    _check_place(root, path, create=create)
    database = Database(path, read_only=read_only)
    try:
        version = schema.read_version(database, path)
        if version is None and _files_in(root / MASKS_FOLDER):
            raise damaged(path, f"it is empty, and {root / MASKS_FOLDER} holds masks")
        if version is None and not create:
            raise no_store(root)
        if version is not None:
            schema.check_not_newer(version, path)
        if not read_only:
            database.choose_journal()
        if version is None:
            schema.create_tables(database)
        elif version < schema.SCHEMA_VERSION:
            _update(database, path)
    except BaseException:
        database.close()
        raise
    return database


def is_store(folder: Path) -> bool:
    """Whether a folder looks like a store, without opening it."""
    return (folder / DATABASE_NAME).is_file()


def no_store(root: Path) -> StoreError:
    """The error for a folder without a store."""
    return StoreError(
        f"{root} holds no automask store.", advice="`automask run FOLDER` makes one.", code="store-missing"
    )


def _check_place(root: Path, path: Path, *, create: bool) -> None:
    try:
        if path.is_file():
            return
        if not create:
            raise no_store(root)
        root.mkdir(parents=True, exist_ok=True)
        masks = root / MASKS_FOLDER
        if _files_in(masks):
            raise OutputError(
                f"{masks} already holds files that no automask store knows.",
                advice="Choose another --output, or move that folder away.",
                code="output-not-ours",
            )
    except OSError as error:
        raise output_error(error, root) from error


def _files_in(masks: Path) -> bool:
    try:
        return masks.exists() and any(not is_temporary(entry.name) for entry in masks.iterdir())
    except OSError as error:
        raise output_error(error, masks) from error


def _update(database: Database, path: Path) -> None:
    if database.read_only:
        raise StoreError(
            f"{path} was written by an older automask and has to be updated first.",
            advice="Open it once where it may be written, for example with `automask status`.",
            code="store-outdated",
        )
    with exclusive_lock(path.with_name(LOCK_NAME)):
        version = schema.read_version(database, path)  # somebody may have done it while we waited
        if version is not None and version < schema.SCHEMA_VERSION:
            schema.migrate(database, path, from_version=version)
