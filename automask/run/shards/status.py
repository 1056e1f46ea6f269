"""What a sharded target holds, added up from the records of its shards, and whether their files are as written."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from automask.errors import StoreError
from automask.files.folders import FileEntry
from automask.run.shards.claims import Claim
from automask.run.shards.corrections import digests_in
from automask.run.shards.deciding import listed, read_index
from automask.run.shards.records import ShardRecord
from automask.run.shards.target import TRANSPORT, ShardTarget, TargetHead, claim_name, target_error
from automask.run.shards.writing import sha256_in


@dataclass(frozen=True, slots=True)
class ShardProblem:
    """Something that `verify` found.

    Attributes:
        code: `shard-file-missing` or `shard-file-changed`.
        shard: Name of the shard.
        message: What is wrong with which file.
    """

    code: str
    shard: str
    message: str


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target, added up.

    Attributes:
        head: What it is.
        is_listed: Whether the source was listed to its end.
        shards: All shards.
        done: Those with a record.
        claimed: Those without one that somebody works on.
        missing: Those without one that nobody works on.
        damaged: Those whose file could not be read to its end, with why.
        outdated: Those that were made under another configuration than the newest.
        images: Images with a row.
        masks: Those of them with a mask.
        verdicts: Images by verdict.
        issues: Issues by code.
        decisions: Images by what a person decided about them.
        corrected: Images whose mask a person changed.
        undrawn: Shards whose masks do not show all corrections yet.
        seconds: That all shards took, added up.
        last_s: When the newest ended, in seconds since the epoch, or None.
        owners: Who works on it.
        templates_waiting: Marks and frames that repeat and that only a person can decide about.
    """

    head: TargetHead
    is_listed: bool
    shards: int
    done: int
    claimed: int
    missing: int
    damaged: Mapping[str, str]
    outdated: int
    images: int
    masks: int
    verdicts: Mapping[str, int]
    issues: Mapping[str, int]
    decisions: Mapping[str, int]
    corrected: int
    undrawn: int
    seconds: float
    last_s: float | None
    owners: tuple[str, ...]
    templates_waiting: int


def status_of(address: str) -> TargetStatus:
    """Add a target up.

    Raises:
        StoreError: There is none.
        OutputError: It cannot be read.
    """
    target = ShardTarget.at(address)
    try:
        return _added_up(target)
    except TRANSPORT as error:
        raise target_error(target.label, error) from None


def verify(address: str) -> Iterator[ShardProblem]:
    """Read every file of every shard that is done and compare it with its record.

    Raises:
        OutputError: The target cannot be read.
    """
    target = ShardTarget.at(address)
    try:
        for _, record in target.records(target.manifest() or []):
            if record is not None:
                yield from _problems(target, record)
    except TRANSPORT as error:
        raise target_error(target.label, error) from None


def _problems(target: ShardTarget, record: ShardRecord) -> Iterator[ShardProblem]:
    for part in record.parts.values():
        try:
            found = sha256_in(target.folder, part.name)
        except FileNotFoundError:
            yield ShardProblem("shard-file-missing", record.shard, f"{part.name} is gone.")
            continue
        if found != (part.size_bytes, part.sha256):
            yield ShardProblem("shard-file-changed", record.shard, f"{part.name} is not as it was written.")


def _added_up(target: ShardTarget) -> TargetStatus:
    head = target.head()
    if head is None:
        raise StoreError(
            f"There is no sharded target in {target.label}.",
            advice="Give the --output of a run with --shard-images.",
            code="store-missing",
        )
    shards = target.manifest()
    claims = _live_claims(target)
    done = claimed = images = masks = 0
    seconds, last_s, newest = 0.0, None, ""
    damaged: dict[str, str] = {}
    verdicts: collections.Counter[str] = collections.Counter()
    issues: collections.Counter[str] = collections.Counter()
    configs: collections.Counter[str] = collections.Counter()
    decisions: collections.Counter[str] = collections.Counter()
    corrections = digests_in(target.folder, shards or [])
    undrawn = corrected = 0
    for shard, record in target.records(shards or []):
        if record is None:
            claimed += shard.name in claims
            continue
        done += 1
        images, masks, seconds = images + record.images, masks + record.masks, seconds + record.seconds
        verdicts.update(record.verdicts)
        issues.update(record.issues)
        decisions.update(record.decisions)
        corrected += record.corrected
        undrawn += record.corrections != corrections.get(shard.name, "")
        key = str(record.fingerprints)
        configs[key] += 1
        if last_s is None or record.finished_s >= last_s:
            last_s, newest = record.finished_s, key
        if record.error is not None:
            damaged[record.shard] = record.error[1]
    total = len(shards or [])
    return TargetStatus(
        head=head,
        is_listed=shards is not None,
        shards=total,
        done=done,
        claimed=claimed,
        missing=total - done - claimed,
        damaged=damaged,
        outdated=done - configs[newest] if done else 0,
        images=images,
        masks=masks,
        verdicts=dict(sorted(verdicts.items())),
        issues=dict(sorted(issues.items())),
        decisions=dict(sorted(decisions.items())),
        corrected=corrected,
        undrawn=undrawn,
        seconds=seconds,
        last_s=last_s,
        owners=tuple(sorted({str(claim) for claim in claims.values()})),
        templates_waiting=len({one.id for one in listed(read_index(target)) if one.state == "waiting"}),
    )


def _live_claims(target: ShardTarget) -> dict[str, Claim]:
    entries: list[FileEntry] = list(target.folder.files("claims"))
    names = [entry.name.removeprefix("claims/").removesuffix(".json") for entry in entries]
    found = {}
    for name, data in zip(names, target.folder.read_many([claim_name(name) for name in names]), strict=True):
        claim = Claim.from_bytes(data) if data is not None else None
        if claim is not None and claim.is_live(time.time()):
            found[name] = claim
    return found
