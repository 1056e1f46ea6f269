"""Drawing the images of a shard, and all of it again from its Parquet: that runs no model and reads no image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from automask.config import PipelineConfig
from automask.dataset.shards.parquet import opened
from automask.dataset.shards.samples import ShardDamaged
from automask.files.png import encode_mask
from automask.mask.drawing import draw
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.rows import ROWS_PER_GROUP, ImageFacts, drawn_row, facts_of, found_of
from automask.run.shards.target import ShardTarget
from automask.run.shards.writing import sha256_in
from automask.store.records import Status
from automask.values.types import Fingerprints, Found

DrawnImage = tuple[dict[str, Any], bytes | None]
"""Row of an image, and its mask as PNG where it has one."""


def drawn_image(facts: ImageFacts, found: Found, config: PipelineConfig) -> DrawnImage:
    """Row and PNG of an image, as a run on one machine draws it."""
    drawn = draw(found, config, content_sha256=facts.content_sha256)
    levels = drawn.mask.levels
    masked_share = 1.0 - float(levels.mean(dtype=np.float64)) / 255.0
    return drawn_row(facts, drawn, config, masked_share=masked_share), encode_mask(levels)


def is_kept(target: ShardTarget, before: ShardRecord) -> bool:
    """Whether the Parquet of a shard is the one that its record tells of."""
    part = before.parts.get("regions")
    if part is None:
        return False
    try:
        return sha256_in(target.folder, part.name) == (part.size_bytes, part.sha256)
    except FileNotFoundError:
        return False


def redrawn(
    target: ShardTarget, before: ShardRecord, config: PipelineConfig, fingerprints: ShardFingerprints
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
                yield drawn_image(facts_of(row), found, config)
