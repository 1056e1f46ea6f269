"""SQL that reads image rows. Every function works inside a read or transaction that its caller owns."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from automask.protocols import ImageFacts
from automask.store.database import Database
from automask.store.records import NO_TEMPLATES, STALE_CORRECTION_CODE, Counts, Decision, Status, StoredImage
from automask.store.rows import Value, from_text, issue, region_and_patch, region_outline, stored_image, to_text
from automask.values.templates import TemplateDecision
from automask.values.types import Issue, Kind, MaskResult, Region, Verdict

Order = Literal["id", "confidence"]
_CHUNK = 500
_DOUBT = "ifnull(confidence, -1.0)"  # the expression of the index images_by_confidence
UNSEARCHED = f"ifnull(templates_fingerprint, '{NO_TEMPLATES}') <> ?"
_SORT_KEYS: Mapping[Order, tuple[str, ...]] = {"id": ("image_id",), "confidence": (_DOUBT, "image_id")}


def find(connection: sqlite3.Connection, image_id: str) -> sqlite3.Row | None:
    """The row of one image."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM images WHERE image_id = ?", (to_text(image_id),)
    ).fetchone()
    return row


def planned(connection: sqlite3.Connection, image_ids: Sequence[str]) -> Iterator[sqlite3.Row]:
    """The rows of some images with `newest_revision` of their corrections and `began_s` of the run that read them."""
    yield from connection.execute(
        "SELECT images.*, (SELECT max(revision) FROM corrections c WHERE c.content_sha256 = images.content_sha256)"
        " AS newest_revision, (SELECT started_s FROM runs WHERE runs.run_id = images.run_id) AS began_s"
        f" FROM images WHERE image_id IN ({', '.join('?' * len(image_ids))})",
        [to_text(image_id) for image_id in image_ids],
    )


def present_ids(connection: sqlite3.Connection) -> list[str]:
    """Ids of all images whose files are not missing."""
    return [from_text(row[0]) for row in connection.execute("SELECT image_id FROM images WHERE status <> 'missing'")]


def iterate(
    database: Database,
    *,
    verdict: Verdict | None,
    status: Status | None,
    decision: Decision | None,
    unsearched: str | None = None,
    order: Order,
    offset: int,
    limit: int | None,
) -> Iterator[StoredImage]:
    """Rows in order, read in chunks by key, so that neither memory nor a transaction grows with the store."""
    conditions: list[str] = []
    values: list[Value] = []
    if verdict is not None:
        conditions.append("verdict = ?")
        values.append(verdict.value)
    if status is not None:
        conditions.append("status = ?")
        values.append(status.value)
    if decision is not None:
        conditions.append("decision = ?")
        values.append(decision.value)
    if unsearched is not None:
        conditions.append(UNSEARCHED)
        values.append(unsearched)
    keys = _SORT_KEYS[order]
    behind: tuple[Value, ...] = ()
    left = limit
    while left is None or left > 0:
        size = _CHUNK if left is None else min(_CHUNK, left)
        go_on = [f"({', '.join(keys)}) > ({', '.join('?' * len(keys))})"] if behind else []
        where = " AND ".join(["TRUE", *conditions, *go_on])
        with database.reading() as connection:
            rows = connection.execute(
                f"SELECT *, {_DOUBT} AS doubt FROM images WHERE {where} ORDER BY {', '.join(keys)} LIMIT ? OFFSET ?",
                (*values, *behind, size, 0 if behind else offset),
            ).fetchall()
            found = [stored_image(row) for row in rows]
        yield from found
        if len(rows) < size:
            return
        behind = (rows[-1]["image_id"],) if order == "id" else (rows[-1]["doubt"], rows[-1]["image_id"])
        left = None if left is None else left - size


def facts(database: Database) -> Iterator[ImageFacts]:
    """What is known of all done images without their pixels, by id, in chunks as `iterate` reads them."""
    behind: str | bytes = ""
    while True:
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT image_id, content_sha256, width_px, height_px FROM images WHERE status = 'done'"
                " AND content_sha256 IS NOT NULL AND width_px IS NOT NULL AND height_px IS NOT NULL"
                " AND image_id > ? ORDER BY image_id LIMIT ?",
                (behind, _CHUNK),
            ).fetchall()
        yield from (ImageFacts(from_text(image_id), *values) for image_id, *values in rows)
        if len(rows) < _CHUNK:
            return
        behind = rows[-1]["image_id"]


def count(connection: sqlite3.Connection) -> Counts:
    """Totals over all rows."""
    total = connection.execute(
        "SELECT count(*) AS images, total(status = 'done') AS done, total(status = 'failed') AS failed,"
        " total(status = 'missing') AS missing, total(status = 'done' AND verdict = 'auto') AS auto,"
        " total(status = 'done' AND verdict = 'review') AS review,"
        " total(status = 'done' AND masked_share > 0.5) AS over_half,"
        " total(status = 'done' AND content_sha256 IN (SELECT content_sha256 FROM corrections c WHERE NOT withdrawn"
        " AND revision = (SELECT max(revision) FROM corrections WHERE content_sha256 = c.content_sha256)))"
        " AS corrected FROM images"
    ).fetchone()
    codes = connection.execute(
        "SELECT code, count(DISTINCT image_key) FROM issues JOIN images USING (image_key)"
        " WHERE status <> 'missing' GROUP BY code ORDER BY code"
    ).fetchall()
    kinds: dict[Kind, int] = {}
    for text, number in connection.execute("SELECT kinds, count(*) FROM images WHERE status = 'done' GROUP BY kinds"):
        for kind in filter(None, text.split(",")):
            kinds[Kind(kind)] = kinds.get(Kind(kind), 0) + number
    decided = connection.execute(
        "SELECT decision, count(*) FROM images WHERE decision IS NOT NULL AND status <> 'missing'"
        " GROUP BY decision ORDER BY decision"
    ).fetchall()
    return Counts(
        images=int(total["images"]),
        done=int(total["done"]),
        failed=int(total["failed"]),
        missing=int(total["missing"]),
        auto=int(total["auto"]),
        review=int(total["review"]),
        over_half_masked=int(total["over_half"]),
        corrected=int(total["corrected"]),
        issues={code: number for code, number in codes},
        kinds=kinds,
        decisions={Decision(decision): number for decision, number in decided},
    )


def confidence_at(connection: sqlite3.Connection, share: float) -> float:
    """The confidence below which the given share of all images that are done lies, rounded up to a whole image."""
    done = connection.execute("SELECT count(*) FROM images WHERE status = 'done'").fetchone()[0]
    row = connection.execute(
        "SELECT confidence FROM images WHERE status = 'done' ORDER BY ifnull(confidence, -1.0), image_id"
        " LIMIT 1 OFFSET ?",
        (math.ceil(share * done),),
    ).fetchone()
    return float(row[0]) if row is not None and row[0] is not None else 2.0


def owns_mask(connection: sqlite3.Connection, mask_name: str, *, ignore_case: bool = False) -> bool:
    """Whether any image has a mask of this name."""
    collation = "COLLATE NOCASE" if ignore_case else ""
    row = connection.execute(f"SELECT 1 FROM images WHERE mask_name = ? {collation}", (to_text(mask_name),)).fetchone()
    return row is not None


def has_size(connection: sqlite3.Connection, size_bytes: int) -> bool:
    """Whether some image with a usable result has a file of this length."""
    row = connection.execute(
        "SELECT 1 FROM images WHERE size_bytes = ? AND detect_fingerprint IS NOT NULL LIMIT 1", (size_bytes,)
    ).fetchone()
    return row is not None


def find_content(connection: sqlite3.Connection, content_sha256: str) -> sqlite3.Row | None:
    """The newest row of some content with a usable result."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM images WHERE content_sha256 = ? AND detect_fingerprint IS NOT NULL"
        " ORDER BY updated_s DESC LIMIT 1",
        (content_sha256,),
    ).fetchone()
    return row


def issue_rows(connection: sqlite3.Connection, image_id: str) -> list[sqlite3.Row]:
    """Issues of one image, in order."""
    return connection.execute(
        "SELECT issues.* FROM issues JOIN images USING (image_key) WHERE image_id = ? ORDER BY position",
        (to_text(image_id),),
    ).fetchall()


def region_rows(connection: sqlite3.Connection, image_id: str) -> list[sqlite3.Row]:
    """Regions of one image in order, those of detectors before those of templates, without forgotten templates."""
    return [row for row in _all_region_rows(connection, image_id) if not _is_forgotten(row)]


def _all_region_rows(connection: sqlite3.Connection, image_id: str) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT regions.*, template_decisions.decision FROM regions JOIN images USING (image_key)"
        " LEFT JOIN template_decisions USING (template_id) WHERE image_id = ? ORDER BY position",
        (to_text(image_id),),
    ).fetchall()


def _is_forgotten(row: sqlite3.Row) -> bool:
    return bool(row["decision"] == TemplateDecision.FORGET)


def outlines_of(connection: sqlite3.Connection, image_ids: Sequence[str]) -> dict[str, list[Region]]:
    """Regions of some images as `region_rows` has them, without their pixels."""
    found: dict[str, list[Region]] = {}
    for row in connection.execute(
        "SELECT image_id, kind, x0, y0, x1, y1, regions.confidence, source, polygon_json, attributes_json,"
        " proposed, template_decisions.decision FROM images JOIN regions USING (image_key)"
        " LEFT JOIN template_decisions USING (template_id)"
        f" WHERE image_id IN ({', '.join('?' * len(image_ids))})"
        " AND template_decisions.decision IS NOT 'forget' ORDER BY image_key, position",
        [to_text(image_id) for image_id in image_ids],
    ):
        found.setdefault(from_text(row["image_id"]), []).append(region_outline(row))
    return found


def issues_of(connection: sqlite3.Connection, image_ids: Sequence[str]) -> dict[str, list[Issue]]:
    """Issues of some images, in order."""
    found: dict[str, list[Issue]] = {}
    for row in connection.execute(
        "SELECT image_id, issues.* FROM images JOIN issues USING (image_key)"
        f" WHERE image_id IN ({', '.join('?' * len(image_ids))}) ORDER BY image_key, position",
        [to_text(image_id) for image_id in image_ids],
    ):
        found.setdefault(from_text(row["image_id"]), []).append(issue(row))
    return found


def outlines_by_image(connection: sqlite3.Connection, verdict: Verdict) -> dict[str, list[Region]]:
    """Regions of all images of a verdict as `region_rows` has them, without their pixels and polygons."""
    found: dict[str, list[Region]] = {}
    for row in connection.execute(
        "SELECT image_id, kind, x0, y0, x1, y1, regions.confidence, source, NULL AS polygon_json, attributes_json,"
        " proposed, template_decisions.decision FROM images JOIN regions USING (image_key)"
        " LEFT JOIN template_decisions USING (template_id)"
        " WHERE verdict = ? AND template_decisions.decision IS NOT 'forget' ORDER BY image_key, position",
        (verdict.value,),
    ):
        found.setdefault(from_text(row["image_id"]), []).append(region_outline(row))
    return found


def issues_by_image(connection: sqlite3.Connection, verdict: Verdict) -> dict[str, list[Issue]]:
    """Issues of all images of a verdict, in order."""
    found: dict[str, list[Issue]] = {}
    for row in connection.execute(
        "SELECT image_id, issues.* FROM images JOIN issues USING (image_key) WHERE verdict = ?"
        " ORDER BY image_key, position",
        (verdict.value,),
    ):
        found.setdefault(from_text(row["image_id"]), []).append(issue(row))
    return found


def templates_by_image(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Ids of the templates that were found on each image, without forgotten ones and without images that show none."""
    found: dict[str, tuple[str, ...]] = {}
    for image_id, template_id in connection.execute(
        "SELECT DISTINCT image_id, template_id FROM regions JOIN images USING (image_key)"
        " LEFT JOIN template_decisions USING (template_id)"
        " WHERE template_id IS NOT NULL AND template_decisions.decision IS NOT 'forget' ORDER BY image_id, template_id"
    ):
        name = from_text(image_id)
        found[name] = (*found.get(name, ()), template_id)
    return found


def read_result(connection: sqlite3.Connection, image_id: str) -> MaskResult | None:
    """What was put for an image, or None where nothing usable is stored.

    Raises:
        ValueError: It is damaged.
    """
    row = find(connection, image_id)
    if row is None or row["detect_fingerprint"] is None:
        return None
    stored = stored_image(row)
    lines = _all_region_rows(connection, image_id)
    pairs = [region_and_patch(line) for line in lines if not _is_forgotten(line)]
    unanswered = None
    if any(line["decision"] is not None for line in lines):
        unanswered = tuple(region_and_patch(line, is_decided=False) for line in lines)
    own = [issue(line) for line in issue_rows(connection, image_id) if line["code"] != STALE_CORRECTION_CODE]
    if stored.fingerprints is None or stored.confidence is None:
        raise ValueError("its row is not whole")
    return MaskResult(
        image_id=image_id,
        width_px=row["width_px"],
        height_px=row["height_px"],
        regions=tuple(region for region, _ in pairs),
        patches=tuple(patch for _, patch in pairs),
        confidence=stored.confidence,
        verdict=Verdict(row["pipeline_verdict"]),
        issues=tuple(own),
        fingerprints=stored.fingerprints,
        timings_s=stored.timings_s,
        template_set=stored.template_set,
        unanswered=unanswered,
    )


def outdated_masks(connection: sqlite3.Connection) -> list[str]:
    """Ids of done images whose content has a newer correction than their mask shows."""
    rows = connection.execute(
        "SELECT image_id FROM images JOIN (SELECT content_sha256, max(revision) AS newest FROM corrections"
        " GROUP BY content_sha256) USING (content_sha256)"
        " WHERE status = 'done' AND correction_revision IS NOT newest ORDER BY image_id"
    )
    return [from_text(row[0]) for row in rows]


def state(connection: sqlite3.Connection) -> tuple[object, ...]:
    """Values that change with everything that people may see of a store. The sum tells if a clock was set back."""
    counted = [
        "SELECT count(*), max(updated_s), total(updated_s) FROM images",
        "SELECT count(*), max(created_s), total(created_s) FROM corrections",
        "SELECT count(*), max(created_s), total(created_s) FROM decisions",
        "SELECT count(*), max(decided_s), total(decided_s) FROM template_decisions",
        "SELECT config_json, input_root FROM runs ORDER BY run_id DESC LIMIT 1",
        "SELECT group_concat(template_id || active) FROM templates",
        "SELECT group_concat(key || value) FROM meta",
    ]
    return tuple(value for statement in counted for row in connection.execute(statement) for value in row)
