"""SQL that writes image rows. Every function works inside a transaction that its caller owns."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence

from automask.files.atomic import WrittenFile
from automask.store import matches
from automask.store.queries import find
from automask.store.records import STALE_CORRECTION_CODE, FileFacts, Status
from automask.store.rows import Value, insert, issue_values, region_values, timings_json, to_text
from automask.store.stale import content_that_waits, settle
from automask.values.types import Issue, MaskResult, Verdict

_NO_MASK: Mapping[str, Value] = {
    "mask_name": None,
    "mask_sha256": None,
    "mask_size_bytes": None,
    "mask_mtime_ns": None,
    "masked_share": None,
    "correction_revision": None,
}
_NO_RESULT: Mapping[str, Value] = {
    "detect_fingerprint": None,
    "refine_fingerprint": None,
    "fuse_fingerprint": None,
    "confidence": None,
    "verdict": None,
    "pipeline_verdict": None,
    "timings_json": "{}",
}


def write_result(
    connection: sqlite3.Connection,
    file: FileFacts,
    result: MaskResult,
    *,
    content_sha256: str,
    orientation: int,
    run_id: int | None,
) -> int:
    """Insert or replace what is known about an image, without its mask.

    Returns:
        Its `image_key`.
    """
    previous = find(connection, file.id)
    key = _write(
        connection,
        file.id,
        {
            "status": Status.DONE.value,
            "run_id": run_id,
            "size_bytes": file.size_bytes,
            "mtime_ns": file.mtime_ns,
            "ctime_ns": file.ctime_ns,
            "content_sha256": content_sha256,
            "orientation": orientation,
            "width_px": result.width_px,
            "height_px": result.height_px,
            "detect_fingerprint": result.fingerprints.detect,
            "refine_fingerprint": result.fingerprints.refine,
            "fuse_fingerprint": result.fingerprints.fuse,
            "confidence": float(result.confidence),
            "verdict": result.verdict.value,
            "pipeline_verdict": result.verdict.value,
            "timings_json": timings_json(result.timings_s),
            "stale_sha256": content_that_waits(connection, previous, content_sha256),
        },
    )
    # Templates were found in pixels, not in regions: new regions for the same pixels leave those of templates alone.
    if previous is None or previous["content_sha256"] != content_sha256:
        matches.drop(connection, key)
    connection.execute("DELETE FROM regions WHERE image_key = ? AND template_id IS NULL", (key,))
    for position, (region, patch) in enumerate(zip(result.regions, result.patches, strict=True)):
        insert(connection, "regions", {"image_key": key, **region_values(position, region, patch)})
    matches.refresh(connection, key)
    write_issues(connection, key, result.issues)
    settle(connection, content_sha256, previous["content_sha256"] if previous is not None else None)
    return key


def write_failure(
    connection: sqlite3.Connection,
    file: FileFacts,
    issues: Sequence[Issue],
    *,
    content_sha256: str | None,
    run_id: int | None,
) -> None:
    """Insert or replace an image that has no result; see `Store.put_failure` for what is kept of an older one."""
    previous = find(connection, file.id)
    if content_sha256 is None and previous is not None and _has_facts(previous, file):
        content_sha256 = previous["content_sha256"]  # unreadable for now, but unchanged as far as can be seen
    same = previous is not None and content_sha256 is not None and previous["content_sha256"] == content_sha256
    values: dict[str, Value] = {
        "status": Status.FAILED.value,
        "run_id": run_id,
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "ctime_ns": file.ctime_ns,
        "content_sha256": content_sha256,
        "stale_sha256": content_that_waits(connection, previous, content_sha256),
        "decision": None,  # until `settle` knows better
        **_NO_RESULT,
    }
    if not same:
        values |= {**_NO_MASK, "kinds": "", "width_px": None, "height_px": None, "orientation": None}
    key = _write(connection, file.id, values)
    if not same:
        matches.drop(connection, key)
        connection.execute("DELETE FROM regions WHERE image_key = ?", (key,))
    write_issues(connection, key, issues)
    settle(connection, content_sha256)


def write_verdict(
    connection: sqlite3.Connection,
    image_id: str,
    *,
    fuse_fingerprint: str,
    confidence: float,
    verdict: Verdict,
    issues: Sequence[Issue] | None,
) -> int:
    """Note the outcome of a new rendering and return the image's `image_key`."""
    row = find(connection, image_id)
    if row is None:
        raise KeyError(image_id)
    key: int = row["image_key"]
    values: dict[str, Value] = {
        "status": Status.DONE.value,
        "fuse_fingerprint": fuse_fingerprint,
        "confidence": float(confidence),
        "verdict": verdict.value,
        "pipeline_verdict": verdict.value,
    }
    update(connection, key, values)
    if issues is not None:
        write_issues(connection, key, issues)
    settle(connection, row["content_sha256"])
    return key


def write_mask(
    connection: sqlite3.Connection,
    key: int,
    *,
    mask_name: str,
    written: WrittenFile,
    masked_share: float,
    correction_revision: int | None,
) -> None:
    """Note the mask file of an image. Another image that had this name loses it."""
    forget_mask(connection, mask_name=mask_name, except_key=key)
    update(
        connection,
        key,
        {
            "mask_name": to_text(mask_name),
            "mask_sha256": written.sha256,
            "mask_size_bytes": written.size_bytes,
            "mask_mtime_ns": written.mtime_ns,
            "masked_share": masked_share,
            "correction_revision": correction_revision,
        },
    )


def drop_mask(connection: sqlite3.Connection, key: int) -> None:
    """Note that an image has no mask file."""
    update(connection, key, _NO_MASK)


def forget_mask(connection: sqlite3.Connection, *, mask_name: str, except_key: int) -> None:
    """Note that every other image that had a mask of this name has none."""
    connection.execute(
        f"UPDATE images SET {', '.join(f'{name} = NULL' for name in _NO_MASK)} WHERE mask_name = ? AND image_key <> ?",
        (to_text(mask_name), except_key),
    )


def mark_missing(connection: sqlite3.Connection, image_id: str) -> str | bytes | None:
    """Note that an image's file is gone and return the name of the mask that it had."""
    row = find(connection, image_id)
    if row is None:
        return None
    mask_name: str | bytes | None = row["mask_name"]
    update(connection, row["image_key"], {"status": Status.MISSING.value, **_NO_MASK})
    return mask_name


def copy_result(connection: sqlite3.Connection, source: sqlite3.Row, file: FileFacts) -> None:
    """Give a new name what was found under another name for the same pixels, without a mask."""
    values = {name: source[name] for name in source.keys() if name not in ("image_key", "image_id", *_NO_MASK)}  # noqa: SIM118
    key = _write(
        connection,
        file.id,
        {
            **values,
            "status": Status.MISSING.value,  # until its mask is there: no row may claim a mask that is not
            "verdict": source["pipeline_verdict"],
            "size_bytes": file.size_bytes,
            "mtime_ns": file.mtime_ns,
            "ctime_ns": file.ctime_ns,
            "stale_sha256": None,
        },
    )
    for table in ("regions", "issues"):
        for row in connection.execute(f"SELECT * FROM {table} WHERE image_key = ?", (source["image_key"],)).fetchall():
            if table == "issues" and row["code"] == STALE_CORRECTION_CODE:
                continue
            insert(connection, table, {**dict(row), "image_key": key})


def write_issues(connection: sqlite3.Connection, key: int, issues: Sequence[Issue]) -> None:
    """Replace the issues of an image; the one about stale corrections is `settle`'s."""
    connection.execute("DELETE FROM issues WHERE image_key = ?", (key,))
    own = [one for one in issues if one.code != STALE_CORRECTION_CODE]
    connection.executemany(
        "INSERT INTO issues (image_key, position, stage, code, severity, message) VALUES (?, ?, ?, ?, ?, ?)",
        [(key, *issue_values(position, one)) for position, one in enumerate(own)],
    )


def check_shape(connection: sqlite3.Connection, content_sha256: str, shape: tuple[int, int] | None) -> None:
    """Refuse correction layers that do not fit the image.

    Raises:
        ValueError: They do not.
    """
    row = connection.execute(
        "SELECT height_px, width_px FROM images WHERE content_sha256 = ? AND width_px IS NOT NULL LIMIT 1",
        (content_sha256,),
    ).fetchone()
    if shape is not None and row is not None and shape != tuple(row):
        raise ValueError(f"the layers are {shape}, the image is {tuple(row)}")


def update(connection: sqlite3.Connection, key: int, values: Mapping[str, Value]) -> None:
    """Set some columns of one image."""
    values = {**values, "updated_s": time.time()}
    connection.execute(
        f"UPDATE images SET {', '.join(f'{name} = ?' for name in values)} WHERE image_key = ?", (*values.values(), key)
    )


def learn_change_times(connection: sqlite3.Connection, ctimes_ns: Mapping[int, int]) -> None:
    """Set the change times of files by `image_key`; nothing that anybody sees of the images changes with them."""
    connection.executemany(
        "UPDATE images SET ctime_ns = ? WHERE image_key = ?", [(ctime_ns, key) for key, ctime_ns in ctimes_ns.items()]
    )


def _has_facts(row: sqlite3.Row, file: FileFacts) -> bool:
    # without the change time: whoever takes the permission to read a file away changes that one alone
    return (row["size_bytes"], row["mtime_ns"]) == (file.size_bytes, file.mtime_ns)


def _write(connection: sqlite3.Connection, image_id: str, values: Mapping[str, Value]) -> int:
    values = {"image_id": to_text(image_id), **values, "updated_s": time.time()}
    assignments = ", ".join(f"{name} = excluded.{name}" for name in values if name != "image_id")
    connection.execute(
        f"INSERT INTO images ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"
        f" ON CONFLICT (image_id) DO UPDATE SET {assignments}",
        tuple(values.values()),
    )
    row = connection.execute("SELECT image_key FROM images WHERE image_id = ?", (values["image_id"],)).fetchone()
    return int(row["image_key"])
