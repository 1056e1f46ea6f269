"""The end of a shard: its rows counted, its two files moved into the target, its record written last."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from typing import Any, Literal

from automask.dataset.codes import Refusal
from automask.dataset.shards.samples import Shard
from automask.files.folders import Unreachable
from automask.run.events import EventSink, ImageDone, ImageFailed
from automask.run.shards.claims import holder_of
from automask.run.shards.corrections import ShardCorrections
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.rows import issues_of
from automask.run.shards.target import ShardTarget, masks_name, regions_name
from automask.run.shards.writing import ShardFiles
from automask.store.records import Status
from automask.values.types import Verdict
from automask.version import __version__

_ENOUGH = 10
"""Images of a shard from which none readable says something of the source and not of them."""


class ShardTally:
    """Adds the rows of a shard up and tells of each."""

    def __init__(self, events: EventSink) -> None:
        self._events = events
        self.images = self.masks = self.unread = self.corrected = 0
        self.verdicts: collections.Counter[str] = collections.Counter()
        self.issues: collections.Counter[str] = collections.Counter()
        self.decisions: collections.Counter[str] = collections.Counter()

    def check_any_was_read(self, shard: Shard) -> None:
        """Refuse to end a shard of which no file could be had: a disk that is not mounted, keys without a right.

        Raises:
            Unreachable: Then the next run does it.
        """
        if self.images >= _ENOUGH and self.masks == 0 and self.unread == self.images:
            raise Unreachable(f"not one of the {self.images} images of shard {shard.name} could be read")

    def count(self, row: dict[str, Any], *, work: str) -> None:
        """Take one row in."""
        self.images += 1
        issues = issues_of(row)
        self.issues.update(issue.code for issue in issues)
        if row["status"] != Status.DONE.value:
            self.unread += any(issue.code in (Refusal.MISSING, Refusal.UNREADABLE) for issue in issues)
            self._events(ImageFailed(row["image"], issues))
            return
        self.masks += row["mask"] is not None
        self.corrected += bool(row["corrected"])
        if row["decision"] is not None:
            self.decisions[row["decision"]] += 1
        self.verdicts[row["verdict"]] += 1
        self._events(
            ImageDone(
                row["image"],
                work,
                Verdict(row["verdict"]),
                row["confidence"],
                len(row["regions"]),
                row["masked_share"],
                issues,
            )
        )


Fill = Callable[[ShardFiles, ShardTally], tuple[str, str] | None]
"""Writes all images of a shard into its files and counts them; gives code and message where its source was damaged."""


def end_shard(
    target: ShardTarget,
    shard: Shard,
    fingerprints: ShardFingerprints,
    corrections: ShardCorrections,
    fill: Fill,
    *,
    tally: ShardTally,
    work: Literal["analysed", "rendered"],
    owner: str,
) -> ShardRecord | None:
    """Fill the files of a shard, put them into the target and write its record.

    Args:
        target: Where to.
        shard: Which.
        fingerprints: Of what its masks are made with.
        corrections: What its masks show of what people said.
        fill: Makes the images.
        tally: Counts them.
        work: What `fill` does.
        owner: Who claims the shard; empty where nobody does.

    Returns:
        The record, or None where the shard is somebody else's by now.

    Raises:
        Unreachable: The target does not answer.
        OutputError: Its disk does not take what is written.
    """
    started = time.perf_counter()
    with ShardFiles() as files:
        error = fill(files, tally)
        parts = files.finish(masks=masks_name(shard), regions=regions_name(shard))
        record = ShardRecord(
            shard=shard.name,
            images=tally.images,
            masks=tally.masks,
            verdicts=dict(sorted(tally.verdicts.items())),
            issues=dict(sorted(tally.issues.items())),
            fingerprints=fingerprints,
            parts=parts,
            error=error,
            tag=shard.tag,
            work=work,
            seconds=round(time.perf_counter() - started, 3),
            finished_s=round(time.time(), 3),
            version=__version__,
            decisions=dict(sorted(tally.decisions.items())),
            corrections=corrections.digest,
            corrected=tally.corrected,
        )
        if not _is_ours(target, shard, owner):
            return None
        if work == "rendered":  # models need not run again for one who is stopped from here on
            target.write_coming(shard, record)
        files.publish(target.folder, parts)
    if not _is_ours(target, shard, owner):
        return None
    target.write_record(shard, record)
    if work == "rendered":
        target.drop_coming(shard)
    return record


def _is_ours(target: ShardTarget, shard: Shard, owner: str) -> bool:
    """Whether nobody else took the shard: asked before anything is put into the target."""
    if not owner:
        return True
    holder = holder_of(target.folder, shard.name)
    return holder is not None and holder.owner == owner
