"""The store: what was found in every image, what people corrected, and the mask files. docs/store.md has the format."""

from __future__ import annotations

from automask.files.atomic import WrittenFile, write_atomic
from automask.store.corrections import PackedLayers
from automask.store.locking import LockOwner
from automask.store.placing import DATABASE_NAME, LOCK_NAME, MASKS_FOLDER, is_store
from automask.store.records import (
    STALE_CORRECTION_CODE,
    Correction,
    Counts,
    Decision,
    DecisionRecord,
    FileFacts,
    MadeWith,
    Plan,
    Problem,
    RunRecord,
    Status,
    StoredImage,
    Work,
)
from automask.store.schema import SCHEMA_VERSION
from automask.store.store import Store

__all__ = [
    "DATABASE_NAME",
    "LOCK_NAME",
    "MASKS_FOLDER",
    "SCHEMA_VERSION",
    "STALE_CORRECTION_CODE",
    "Correction",
    "Counts",
    "Decision",
    "DecisionRecord",
    "FileFacts",
    "LockOwner",
    "MadeWith",
    "PackedLayers",
    "Plan",
    "Problem",
    "RunRecord",
    "Status",
    "Store",
    "StoredImage",
    "Work",
    "WrittenFile",
    "is_store",
    "write_atomic",
]
