"""Choosing images of a sharded target by their rows: few columns are read, and few rows stay in memory."""

from __future__ import annotations

import functools
import heapq
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from automask.dataset.shards.parquet import opened
from automask.dataset.shards.samples import Shard
from automask.run.shards.ahead import ahead
from automask.run.shards.records import ShardRecord
from automask.run.shards.target import ShardTarget
from automask.store.records import Status
from automask.values.types import Verdict

_COLUMNS = ("key", "image", "status", "verdict", "confidence")
_ROWS_AT_ONCE = 4096
_READERS = 8
"""Shards whose columns are fetched at once: most of the time they wait for an object store."""

Rows = Iterable[tuple[Shard, ShardRecord]]


@dataclass(frozen=True, slots=True)
class Selected:
    """A row that was chosen.

    Attributes:
        place: Position of its shard in the target, and of the row in the shard.
        shard: Its shard.
        record: That of the shard.
        key: Of the image.
        image: Its id.
        confidence: 0..1.
    """

    place: tuple[int, int]
    shard: Shard
    record: ShardRecord
    key: str
    image: str
    confidence: float


def most_doubtful(
    target: ShardTarget,
    shards: Rows,
    count: int,
    *,
    on_progress: Callable[[int], None],
    stop: threading.Event,
) -> list[Selected]:
    """The images with verdict review of the lowest confidence, in that order; the earlier one of two that are alike.

    Raises:
        ShardDamaged: A Parquet cannot be read.
        Unreachable: The target does not answer.
    """
    heap: list[tuple[float, tuple[int, int], Selected]] = []  # the least doubtful first
    candidates = ((shard, record) for shard, record in shards if record.verdicts.get(Verdict.REVIEW.value))
    few = functools.partial(_doubtful, target, count)
    for found in _in_threads(few, candidates, on_progress, stop):
        for one in found:
            entry = (-one.confidence, (-one.place[0], -one.place[1]), one)
            if len(heap) < count:
                heapq.heappush(heap, entry)
            elif entry[:2] > heap[0][:2]:
                heapq.heapreplace(heap, entry)
    return sorted((one for *_, one in heap), key=_doubt)


def named(
    target: ShardTarget,
    shards: Rows,
    names: Collection[str],
    *,
    on_progress: Callable[[int], None],
    stop: threading.Event,
) -> list[Selected]:
    """The images with a result whose key or id is one of some names, in the order of the target.

    Raises:
        ShardDamaged: A Parquet cannot be read.
        Unreachable: The target does not answer.
    """
    found: list[Selected] = []
    for some in _in_threads(functools.partial(_named, target, names), shards, on_progress, stop):
        found += some
    return found


Numbered = tuple[int, tuple[Shard, ShardRecord]]


def _in_threads(
    select: Callable[[Numbered], list[Selected]],
    shards: Rows,
    on_progress: Callable[[int], None],
    stop: threading.Event,
) -> Iterator[list[Selected]]:
    with ThreadPoolExecutor(_READERS, thread_name_prefix="automask-select") as pool:
        try:
            for seen, found in enumerate(ahead(pool, select, enumerate(shards), most=2 * _READERS), start=1):
                yield found
                on_progress(seen)
                if stop.is_set():
                    return
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _doubtful(target: ShardTarget, count: int, numbered: Numbered) -> list[Selected]:
    import pyarrow.compute as compute

    def is_wanted(batch: Any) -> Any:  # noqa: ANN401 - pyarrow's
        return compute.equal(batch.column("verdict"), Verdict.REVIEW.value)

    return heapq.nsmallest(count, _selected(target, numbered, is_wanted), key=_doubt)


def _named(target: ShardTarget, names: Collection[str], numbered: Numbered) -> list[Selected]:
    import pyarrow
    import pyarrow.compute as compute

    wanted = pyarrow.array(sorted(names), pyarrow.string())

    def is_wanted(batch: Any) -> Any:  # noqa: ANN401 - pyarrow's
        by_key = compute.is_in(batch.column("key"), value_set=wanted)
        by_name = compute.is_in(batch.column("image"), value_set=wanted)
        is_done = compute.equal(batch.column("status"), Status.DONE.value)
        return compute.and_(compute.or_(by_key, by_name), is_done)

    return list(_selected(target, numbered, is_wanted))


def _selected(target: ShardTarget, numbered: Numbered, is_wanted: Callable[[Any], Any]) -> Iterator[Selected]:
    """The rows of a shard that are wanted; where its Parquet was never written there is none."""
    number, (shard, record) = numbered
    part = record.parts.get("regions")
    if part is None:
        return
    first = 0
    with opened(target.folder, part.name) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(_COLUMNS)):
            for index, chosen in enumerate(is_wanted(batch).to_pylist()):
                if chosen:
                    row = {name: batch.column(name)[index].as_py() for name in ("key", "image", "confidence")}
                    yield Selected((number, first + index), shard, record, **row)
            first += batch.num_rows


def _doubt(one: Selected) -> tuple[float, tuple[int, int]]:
    return one.confidence, one.place
