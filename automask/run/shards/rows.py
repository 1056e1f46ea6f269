"""One image as a row of a shard's Parquet, and back: enough to draw its mask again without its pixels or a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automask.config import PipelineConfig
from automask.dataset.shards.parquet import pyarrow_modules
from automask.run.reasons import reasons_of
from automask.store.records import STALE_CORRECTION_CODE, Decision, Status, StoredImage
from automask.store.rows import plain, region_and_patch, region_values
from automask.values.types import Fingerprints, Found, Issue, MaskResult, Patch, Region, Verdict

ROWS_PER_GROUP = 200
"""Rows in memory before they are written, and in one piece of a file: a few MB of outlines."""
_BOX = ("x0", "y0", "x1", "y1")
_PATCH_BOX = ("patch_x0", "patch_y0", "patch_x1", "patch_y1")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image beside what was found on it.

    Attributes:
        key: Its key in the tars.
        image: Its id.
        mask: Name of its mask in the tar.
        content_sha256: Hash of its bytes, or None where they were never had.
        orientation: EXIF orientation 1..8 that was applied, or None.
        group: That its templates are of, or empty.
    """

    key: str
    image: str
    mask: str
    content_sha256: str | None = None
    orientation: int | None = None
    group: str = ""


def schema() -> Any:  # noqa: ANN401 - pyarrow's
    """The columns of a shard's Parquet; docs/scale.md explains them."""
    arrow, _ = pyarrow_modules()
    text, integer, real, blob = arrow.string(), arrow.int32(), arrow.float64(), arrow.binary()
    issue = arrow.struct([(name, text) for name in ("stage", "code", "severity", "message")])
    region = arrow.struct(
        [
            ("kind", text),
            *((name, integer) for name in _BOX),
            ("confidence", real),
            ("source", text),
            ("proposed", arrow.bool_()),
            ("polygon_json", text),
            ("attributes_json", text),
            ("artefact_rle", blob),
            ("artefact_is_patch", arrow.bool_()),
            *((name, integer) for name in _PATCH_BOX),
            ("patch_rle", blob),
            ("score", real),
            ("refiner", text),
            ("note", text),
        ]
    )
    columns = [
        ("key", text),
        ("image", text),
        ("mask", text),
        ("status", text),
        ("width_px", integer),
        ("height_px", integer),
        ("content_sha256", text),
        ("orientation", integer),
        ("verdict", text),
        ("confidence", real),
        ("masked_share", real),
        ("reasons", arrow.list_(text)),
        ("issues", arrow.list_(issue)),
        ("group", text),
        ("template_set", text),
        ("decision", text),
        ("corrected", arrow.bool_()),
        ("regions", arrow.list_(region)),
    ]
    return arrow.schema(columns)


def drawn_row(
    facts: ImageFacts,
    judged: MaskResult,
    config: PipelineConfig,
    *,
    masked_share: float,
    decision: Decision | None,
    is_corrected: bool,
) -> dict[str, Any]:
    """The row of an image with a result.

    Args:
        facts: What else is known of it.
        judged: The result, with the verdict after what a person said.
        config: Under which its mask was drawn.
        masked_share: Share of the weight that the mask takes away, 0..1.
        decision: That a person made and that holds; an excluded image has no mask.
        is_corrected: Whether a person changed the mask.
    """
    return {
        **_head(facts, Status.DONE, judged.issues),
        **({"mask": None} if decision is Decision.EXCLUDED else {}),
        "decision": decision.value if decision is not None else None,
        "corrected": is_corrected,
        "width_px": judged.width_px,
        "height_px": judged.height_px,
        "verdict": judged.verdict.value,
        "confidence": float(judged.confidence),
        "masked_share": masked_share,
        "reasons": _reasons(facts, judged, config, masked_share),
        "template_set": judged.template_set,
        "regions": [_region_row(region, patch) for region, patch in zip(judged.regions, judged.patches, strict=True)],
    }


def failed_row(facts: ImageFacts, issues: Sequence[Issue]) -> dict[str, Any]:
    """The row of an image without a mask; its issues say why."""
    nothing = dict.fromkeys(("width_px", "height_px", "verdict", "confidence", "masked_share", "decision", "corrected"))
    return {
        **_head(facts, Status.FAILED, issues),
        **nothing,
        "mask": None,
        "reasons": ["It could not be read or analysed."],
        "template_set": "",
        "regions": [],
    }


def found_of(row: Mapping[str, Any], fingerprints: Fingerprints) -> Found:
    """What was found on an image, from its row, before anybody corrected anything.

    Raises:
        ValueError: The row is damaged, or of an image without a result.
    """
    if row["status"] != Status.DONE.value:
        raise ValueError(f"{row['image']} has no result")
    pairs = [region_and_patch({**region, "decision": None}) for region in row["regions"]]
    return Found(
        image_id=row["image"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        regions=tuple(region for region, _ in pairs),
        patches=tuple(patch for _, patch in pairs),
        issues=tuple(issue for issue in issues_of(row) if issue.code != STALE_CORRECTION_CODE),
        fingerprints=fingerprints,
        template_set=row["template_set"],
    )


def issues_of(row: Mapping[str, Any]) -> tuple[Issue, ...]:
    """The issues of a row."""
    return tuple(Issue(one["stage"], one["code"], one["message"], one["severity"]) for one in row["issues"])


def facts_of(row: Mapping[str, Any]) -> ImageFacts:
    """The same for `ImageFacts`."""
    mask = row["mask"] or f"{row['key']}.png"
    return ImageFacts(row["key"], row["image"], mask, row["content_sha256"], row["orientation"], row.get("group") or "")


def _head(facts: ImageFacts, status: Status, issues: Sequence[Issue]) -> dict[str, Any]:
    return {
        "key": facts.key,
        "image": facts.image,
        "mask": facts.mask,
        "status": status.value,
        "content_sha256": facts.content_sha256,
        "orientation": facts.orientation,
        "group": facts.group or None,
        "issues": [
            {"stage": one.stage, "code": one.code, "severity": one.severity, "message": _text(one.message)}
            for one in issues
        ],
    }


def _region_row(region: Region, patch: Patch) -> dict[str, Any]:
    values = region_values(0, region, patch)
    del values["position"]
    flags = {name: bool(values[name]) for name in ("proposed", "artefact_is_patch")}
    attributes = json.dumps({name: plain(value) for name, value in region.attributes.items()}, sort_keys=True)
    return {**values, **flags, "attributes_json": _text(attributes), "note": _text(patch.note)}


def _reasons(facts: ImageFacts, judged: MaskResult, config: PipelineConfig, masked_share: float) -> list[str]:
    if judged.verdict is not Verdict.REVIEW:
        return []
    row = StoredImage(
        image_id=facts.image,
        status=Status.DONE,
        updated_s=0.0,
        size_bytes=0,
        mtime_ns=0,
        ctime_ns=None,
        content_sha256=facts.content_sha256,
        orientation=facts.orientation,
        width_px=judged.width_px,
        height_px=judged.height_px,
        fingerprints=judged.fingerprints,
        confidence=judged.confidence,
        verdict=judged.verdict,
        masked_share=masked_share,
        kinds=(),
        timings_s={},
        mask_name=facts.mask,
        mask_sha256=None,
        mask_size_bytes=None,
        mask_mtime_ns=None,
        correction_revision=None,
        stale_sha256=None,
        templates_fingerprint=None,
        template_set=judged.template_set,
        decision=None,
    )
    return [_text(words) for words in reasons_of(row, judged.regions, judged.issues, config)]


def _text(text: str) -> str:
    """What a Parquet string can hold: names in messages may have bytes that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()
