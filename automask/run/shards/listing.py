"""From a source to the list of its shards: once for a target, whoever works on it and however often."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from automask.dataset.shards.parquet import no_images
from automask.dataset.shards.samples import Shard, ShardSource
from automask.errors import OutputError
from automask.run.events import EventSink, StageProgress
from automask.run.shards.claims import Claims
from automask.run.shards.target import ShardTarget, TargetHead
from automask.version import __version__

_LISTING = "listing"
"""Name of the claim on the listing; shards have numbers or names of files with a folder's worth of other letters."""
_POLL_S = 5.0


def check_head(target: ShardTarget, source: str) -> TargetHead | None:
    """What a target was begun as.

    Raises:
        OutputError: It belongs to another source.
        StoreError: It cannot be used.
    """
    head = target.head()
    if head is not None and head.source != source:
        raise OutputError(
            f"{target.label} holds masks of {head.source}, not of {source}.",
            advice="Choose another --output, or give that source.",
            code="shards-other-source",
        )
    return head


def shards_of(
    target: ShardTarget,
    open_source: Callable[[], ShardSource],
    claims: Claims,
    *,
    source: str,
    shard_images: int,
    events: EventSink,
    stop: threading.Event,
) -> list[Shard]:
    """The shards of a target: those it has, or those of a new listing. Empty when told to stop before the end.

    One driver lists, others wait for it. A listing that was cut short is begun again: no shard was worked on.

    Raises:
        InputError: The source has nothing.
        OutputError: The target is of another source.
    """
    while not stop.is_set():
        check_head(target, source)
        shards = target.manifest()
        if shards is not None:
            return shards
        opened = open_source()  # before anything is written: what is no source leaves no trace
        other = claims.take(_LISTING)
        if other is None:
            try:
                return target.manifest() or _listed(target, opened, shard_images, source, events, stop)
            finally:
                claims.release(_LISTING)
        events(StageProgress(_LISTING, f"{other} lists the source", 0, None))
        stop.wait(_POLL_S)
    return []


def _listed(
    target: ShardTarget, source: ShardSource, shard_images: int, label: str, events: EventSink, stop: threading.Event
) -> list[Shard]:
    word = "images" if source.kind == "folder" else "files"
    shards: list[Shard] = []
    for shard, listed in source.shards(
        shard_images, on_progress=lambda seen: events(StageProgress(_LISTING, word, seen, None))
    ):
        if stop.is_set():
            return []
        if not shards:
            target.begin(TargetHead(label, source.kind, shard_images, __version__, id=uuid.uuid4().hex))
        if listed is not None:
            target.write_list(shard, listed)
        shards.append(shard)
    if not shards:
        raise no_images(label)
    target.write_manifest(shards)
    return shards
