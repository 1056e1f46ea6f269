"""The image files of some rows of a shard, as they are in its source now."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from automask.config import DecodeConfig
from automask.dataset.decode import largest_file_bytes
from automask.dataset.shards.samples import Shard, ShardDamaged, ShardSource
from automask.errors import ImageError
from automask.run.shards.rows import ImageFacts
from automask.run.shards.target import ShardTarget

CHANGED = "it changed in the source since its mask was made"


@dataclass(frozen=True, slots=True)
class Fetched:
    """One image of a row.

    Attributes:
        facts: Of the row.
        data: Bytes of its file, or None where that is not the one that its mask was made of.
        reason: Why not.
    """

    facts: ImageFacts
    data: bytes | None
    reason: str = ""


def fetched(
    source: ShardSource, target: ShardTarget, shard: Shard, wanted: Sequence[ImageFacts], decode: DecodeConfig
) -> Iterator[Fetched]:
    """The files of some rows, one at a time: each once, in the order of the source, those that cannot be had last.

    Of a folder no other image is read; a tar or Parquet file is read up to the last one that is wanted.

    Raises:
        Unreachable: The source does not answer.
        PermissionError: It may not be read.
    """
    left: dict[str, list[ImageFacts]] = collections.defaultdict(list)
    for facts in wanted:
        left[facts.key].append(facts)
    names = {facts.image for facts in wanted}
    listed = [one for one in target.read_list(shard) if one.image in names] if source.kind == "folder" else None
    reasons: dict[str, str] = {}
    rest = "it is not in the source any more"
    try:
        for sample in source.samples(shard, listed, most_bytes=largest_file_bytes(decode)):
            waiting = left.get(sample.key)
            if not waiting:
                continue
            try:
                data = sample.read()
            except ImageError as error:
                reasons[sample.key] = error.message
                continue
            content = hashlib.sha256(data).hexdigest()
            facts_here = next((facts for facts in waiting if facts.content_sha256 == content), None)
            if facts_here is None:
                reasons[sample.key] = CHANGED
                continue
            waiting.remove(facts_here)
            yield Fetched(facts_here, data)
            if not waiting:
                del left[sample.key]
            if not left:
                return
    except ShardDamaged as damage:
        rest = damage.message
    for key, waiting in left.items():
        for facts in waiting:
            yield Fetched(facts, None, reasons.get(key, rest))
