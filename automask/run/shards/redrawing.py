"""Drawing the images of a shard, and all of it again from its Parquet: that runs no model and reads no image.

What people said about the images is part of every drawing; see `automask.run.shards.corrections`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from automask.config import PipelineConfig
from automask.dataset.shards.parquet import opened
from automask.dataset.shards.samples import Shard, ShardDamaged
from automask.files.png import encode_mask
from automask.mask.drawing import draw
from automask.run.shards.corrections import NOTHING_SAID, ShardCorrections, stale_issue
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.rows import ROWS_PER_GROUP, ImageFacts, drawn_row, facts_of, found_of
from automask.run.shards.target import ShardTarget
from automask.run.shards.writing import sha256_in
from automask.store.records import Decision, Status
from automask.values.types import Fingerprints, Found, Verdict

DrawnImage = tuple[dict[str, Any], bytes | None]
"""Row of an image, and its mask as PNG where it has one."""


def drawn_image(
    facts: ImageFacts, found: Found, config: PipelineConfig, corrections: ShardCorrections = NOTHING_SAID
) -> DrawnImage:
    """Row and PNG of an image, as a run on one machine draws it. One that a person excluded has no PNG."""
    said = corrections.fitting(facts.content_sha256, (found.height_px, found.width_px))
    layers = said.correction if said is not None else None
    drawn = draw(found, config, layers, content_sha256=facts.content_sha256)
    judged, decision = drawn.judged, None
    if said is not None:
        decision = said.standing(found)
        judged = dataclasses.replace(judged, verdict=said.verdict(decision, judged.verdict))
    elif corrections.of(facts.content_sha256) is not None or corrections.waits(facts.key, facts.content_sha256):
        judged = dataclasses.replace(judged, verdict=Verdict.REVIEW, issues=(*judged.issues, stale_issue()))
    levels = drawn.mask.levels
    row = drawn_row(
        facts,
        judged,
        config,
        masked_share=1.0 - float(levels.mean(dtype=np.float64)) / 255.0,
        decision=decision,
        is_corrected=layers is not None,
    )
    return row, None if decision is Decision.EXCLUDED else encode_mask(levels)


def is_kept(target: ShardTarget, before: ShardRecord) -> bool:
    """Whether the Parquet of a shard is the one that its record tells of."""
    part = before.parts.get("regions")
    if part is None:
        return False
    try:
        return sha256_in(target.folder, part.name) == (part.size_bytes, part.sha256)
    except FileNotFoundError:
        return False


def drawable(target: ShardTarget, shard: Shard, before: ShardRecord) -> ShardRecord | None:
    """The record whose Parquet a shard can be drawn from again, or None where its models have to run.

    That is the one before, unless somebody who drew the shard again was stopped between its files and its record: then
    the Parquet is the one that was announced, which holds the same findings.
    """
    if is_kept(target, before):
        return before
    coming = target.coming(shard)
    if coming is None or coming.fingerprints.needs_models(before.fingerprints) or not is_kept(target, coming):
        return None
    return coming


def redrawn(
    target: ShardTarget,
    before: ShardRecord,
    config: PipelineConfig,
    fingerprints: ShardFingerprints,
    corrections: ShardCorrections,
) -> Iterator[DrawnImage]:
    """All images of a shard under another rendering or policy; those without a result as they were.

    Raises:
        ShardDamaged: The Parquet cannot be read, or holds something that no automask wrote.
    """
    known = Fingerprints(fingerprints.detect, fingerprints.refine, fingerprints.fuse)
    name = before.parts["regions"].name
    with opened(target.folder, name) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP):
            for row in batch.to_pylist():
                if row["status"] != Status.DONE.value:
                    yield row, None
                    continue
                try:
                    found = found_of(row, known)
                except (ValueError, KeyError, TypeError) as error:
                    raise ShardDamaged(f"{name} holds a damaged row of {row['image']}: {error}") from error
                yield drawn_image(facts_of(row), found, config, corrections)
