"""Between table rows and values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from automask.store.records import Decision, Status, StoredImage
from automask.values import rle
from automask.values.geometry import Box, Polygon
from automask.values.templates import TemplateDecision
from automask.values.types import Attribute, Fingerprints, Issue, Kind, Patch, Region, Verdict

Value = str | bytes | int | float | None


def to_text(text: str) -> str | bytes:
    """A string for a TEXT column. File names that are not UTF-8 (lone surrogates) go in as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
    return text


def from_text(value: str | bytes) -> str:
    """The string that `to_text` stored."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def fingerprints_of(row: sqlite3.Row) -> Fingerprints | None:
    """What made what a row of `images` holds, or None where nothing was found yet."""
    if row["detect_fingerprint"] is None:
        return None
    return Fingerprints(row["detect_fingerprint"], row["refine_fingerprint"], row["fuse_fingerprint"])


def stored_image(row: sqlite3.Row) -> StoredImage:
    """A row of `images`."""
    return StoredImage(
        image_id=from_text(row["image_id"]),
        status=Status(row["status"]),
        updated_s=row["updated_s"],
        size_bytes=row["size_bytes"],
        mtime_ns=row["mtime_ns"],
        ctime_ns=row["ctime_ns"],
        content_sha256=row["content_sha256"],
        orientation=row["orientation"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        fingerprints=fingerprints_of(row),
        confidence=row["confidence"],
        verdict=Verdict(row["verdict"]) if row["verdict"] is not None else None,
        masked_share=row["masked_share"],
        kinds=tuple(Kind(kind) for kind in row["kinds"].split(",") if kind),
        timings_s=json.loads(row["timings_json"]),
        mask_name=from_text(row["mask_name"]) if row["mask_name"] is not None else None,
        mask_sha256=row["mask_sha256"],
        mask_size_bytes=row["mask_size_bytes"],
        mask_mtime_ns=row["mask_mtime_ns"],
        correction_revision=row["correction_revision"],
        stale_sha256=row["stale_sha256"],
        templates_fingerprint=row["templates_fingerprint"],
        template_set=row["template_set"],
        decision=Decision(row["decision"]) if row["decision"] is not None else None,
    )


def region_values(position: int, region: Region, patch: Patch) -> dict[str, Value]:
    """Columns of `regions`, without the image."""
    same = (
        region.artefact is not None
        and region.box == patch.box
        and bool(np.array_equal(region.artefact, patch.artefact))
    )
    polygon = None
    if region.polygon is not None:
        polygon = json.dumps([[float(x), float(y)] for x, y in region.polygon])
    return {
        "position": position,
        "kind": region.kind.value,
        **dict(zip(("x0", "y0", "x1", "y1"), region.box.xyxy, strict=True)),
        "confidence": float(region.confidence),
        "source": region.source,
        "polygon_json": polygon,
        "attributes_json": json.dumps({name: plain(value) for name, value in region.attributes.items()}),
        "artefact_rle": rle.encode(region.artefact) if region.artefact is not None and not same else None,
        "artefact_is_patch": int(same),
        **dict(zip(("patch_x0", "patch_y0", "patch_x1", "patch_y1"), patch.box.xyxy, strict=True)),
        "patch_rle": rle.encode(patch.artefact),
        "score": float(patch.score),
        "refiner": patch.refiner,
        "note": to_text(patch.note),
        "proposed": int(region.proposed),
    }


class Columns(Protocol):
    """A row of `regions` by column name: SQLite's, or one that was kept in another file."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - whatever a column holds
        """The value of a column."""
        ...


def region_and_patch(row: Columns, *, is_decided: bool = True) -> tuple[Region, Patch]:
    """A whole row of `regions`, with the `decision` on its template unless `is_decided` says otherwise.

    Raises:
        ValueError: Something in it is damaged.
    """
    box = Box(row["patch_x0"], row["patch_y0"], row["patch_x1"], row["patch_y1"])
    patch = Patch(
        box=box,
        artefact=rle.decode(row["patch_rle"], shape=box.shape),
        score=row["score"],
        refiner=row["refiner"],
        note=from_text(row["note"]),
    )
    artefact = patch.artefact if row["artefact_is_patch"] else None
    if row["artefact_rle"] is not None:
        artefact = rle.decode(row["artefact_rle"], shape=_box(row).shape)
    return _region(row, artefact, is_decided=is_decided), patch


def region_outline(row: sqlite3.Row) -> Region:
    """A row of `regions`, with the `decision` on its template, without its pixels."""
    return _region(row, None)


def issue_values(position: int, issue: Issue) -> tuple[Value, ...]:
    """Columns of `issues`, without the image."""
    return position, issue.stage, issue.code, issue.severity, to_text(issue.message)


def issue(row: sqlite3.Row) -> Issue:
    """A row of `issues`."""
    return Issue(row["stage"], row["code"], from_text(row["message"]), row["severity"])


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Value]) -> None:
    """Add one row to a table."""
    connection.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )


def timings_json(timings_s: Mapping[str, float]) -> str:
    """The column `timings_json` of `images`."""
    return json.dumps({name: float(seconds) for name, seconds in timings_s.items()})


def _box(row: Columns) -> Box:
    return Box(row["x0"], row["y0"], row["x1"], row["y1"])


def _region(row: Columns, artefact: NDArray[np.bool_] | None, *, is_decided: bool = True) -> Region:
    polygon: Polygon | None = None
    if row["polygon_json"] is not None:
        polygon = tuple((float(x), float(y)) for x, y in json.loads(row["polygon_json"]))
    is_applied = is_decided and row["decision"] == TemplateDecision.APPLY
    return Region(
        kind=Kind(row["kind"]),
        box=_box(row),
        confidence=1.0 if is_applied else row["confidence"],
        source=row["source"],
        polygon=polygon,
        artefact=artefact,
        attributes=json.loads(row["attributes_json"]),
        proposed=bool(row["proposed"]) and not is_applied,
    )


def plain(value: Attribute) -> Attribute:
    """The value as a type of Python itself."""
    return value.item() if isinstance(value, np.generic) else value
