"""What people did in a store that was gathered from a sharded target, back into the target.

The corrections are kept in the target first, see `automask.run.shards.corrections`; then the shards that they touch are
drawn again. Whoever is stopped in between has lost nothing: the next `automask scatter` or `automask run` draws them.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from automask.config import DecodeConfig
from automask.dataset.shards.opening import source_for_work
from automask.dataset.shards.samples import Shard, ShardDamaged, ShardSource
from automask.errors import AutomaskError, StoreError
from automask.files.folders import Unreachable
from automask.run.edited import adopt_edited_mask
from automask.run.shards.agreement import Agreement, RowThere, agreed, compared, person_said, rows_there, said_now
from automask.run.shards.claims import Claims
from automask.run.shards.corrections import PersonSaid, ShardCorrections
from automask.run.shards.ending import ShardTally, end_shard
from automask.run.shards.fetching import CHANGED, fetched
from automask.run.shards.gathered import GatheredFrom, GatheredImage, GatheredShard
from automask.run.shards.gathering import begun, config_of
from automask.run.shards.into import check_on_disk
from automask.run.shards.records import ShardRecord
from automask.run.shards.redrawing import drawable, redrawn
from automask.run.shards.rows import ImageFacts
from automask.run.shards.target import TRANSPORT, ShardTarget, target_error
from automask.run.shards.writing import ShardFiles
from automask.store import Decision, Store

WAIT_S = 60.0
"""How long shards that others work on are waited for: scattering is quick, and a run takes many minutes for one."""
_POLL_S = 2.0


@dataclass(slots=True)
class ScatterSummary:
    """The end of a scattering.

    Attributes:
        target: Address of the target, without credentials.
        images: Images of the store that came from it.
        changed: Those whose corrections or decisions were taken over.
        unchanged: Those about which the target says what the store says.
        newer: Those that another store changed later: that counts in the target, and the store does not show it.
        stale: Those whose correction the target has and does not show, since the image is another one by now.
        shards: Shards that were drawn again.
        refused: Images that were left alone, with why.
        busy: Shards that others work on, which were left, by who works on them.
        later: Shards whose corrections are kept and drawn by the next run, with why.
        notes: What else is to be known of images.
        interrupted: It was stopped before its end.
        seconds: Wall time.
    """

    target: str
    images: int = 0
    changed: int = 0
    unchanged: int = 0
    newer: int = 0
    stale: int = 0
    shards: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    busy: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0


def scatter(
    root: Path,
    *,
    address: str | None = None,
    wait_s: float = WAIT_S,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> ScatterSummary:
    """Take what people did in a gathered store into the target that it was gathered from.

    Args:
        root: The store.
        address: Where the target is now; None = where it was.
        wait_s: How long to wait for shards that others work on.
        progress: Called with shards dealt with, and how many there are.
        stop: When set, the shard in hand is finished and the work ends as interrupted.

    Raises:
        ConfigError: The store is given as a URL.
        StoreError: The store was not gathered, or cannot be used, or its target is gone.
        OutputError: The target cannot be used.
    """
    started = time.perf_counter()
    check_on_disk(root, "STORE")
    origin = GatheredFrom.read(root)
    if origin is None:
        raise StoreError(
            f"{root} was not gathered from a sharded target.",
            advice="`automask gather TARGET --into STORE` makes such a store.",
            code="store-not-gathered",
        )
    target = ShardTarget.at(address or origin.target)
    stop = stop or threading.Event()
    try:
        with Store.open(root) as store, Claims(target.folder, None) as claims:
            work = _Scattering(root, store, target, origin, claims)
            work.work(wait_s, progress, stop)
    except TRANSPORT as error:
        raise target_error(target.label, error) from None
    work.summary.interrupted = stop.is_set()
    work.summary.seconds = time.perf_counter() - started
    return work.summary


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a store says of an image, and how the target stands to it."""

    image: GatheredImage
    now: PersonSaid
    agreement: Agreement

    @property
    def line(self) -> PersonSaid:
        """What is written into the target."""
        return said_now(self.image, self.now)


class _Scattering:
    def __init__(self, root: Path, store: Store, target: ShardTarget, origin: GatheredFrom, claims: Claims) -> None:
        self._root = root
        self._store = store
        self._target = target
        self._origin = origin
        self._claims = claims
        self._head, shards = begun(target)
        self._names = {shard.name for shard in shards}
        self._is_same = self._head.id == origin.run != ""
        self._is_other = not self._is_same and "" not in (self._head.id, origin.run)
        self.summary = ScatterSummary(target.label)
        if self._is_other:
            self.summary.notes[target.label] = (
                "it is another run than the one that the store was gathered from; an image counts as the same where "
                "its content is"
            )

    def work(self, wait_s: float, progress: Callable[[int, int], None], stop: threading.Event) -> None:
        """All shards that the store has images of, those that others work on last."""
        waiting = list(GatheredShard.all(self._root))
        done, total, until_s = 0, len(waiting), time.monotonic() + wait_s
        self.summary.images = sum(len(known.images) for known in waiting)
        while waiting and not stop.is_set():
            busy: list[GatheredShard] = []
            for known in waiting:
                if stop.is_set():
                    return
                try:
                    owner = self._one(known)
                except ShardDamaged as damage:
                    owner = None
                    self.summary.later[known.shard.name] = str(damage)
                if owner is not None:
                    busy.append(known)
                    self.summary.busy[known.shard.name] = owner
                    continue
                self.summary.busy.pop(known.shard.name, None)
                done += 1
                progress(done, total)
            waiting = busy
            if waiting and time.monotonic() >= until_s:
                return
            if waiting:
                stop.wait(_POLL_S)

    def _one(self, known: GatheredShard) -> str | None:
        """Deal with one shard; gives who works on it where that is somebody else."""
        if known.shard.name not in self._names:
            why = f"{self._target.label} has no shard {known.shard.name} any more"
            self.summary.refused.update({one.image: why for one in known.images.values()})
            return None
        said = {one.image_id: self._said(one) for one in known.images.values()}
        if self._deal(known, said, is_ours=False):
            return None
        other = self._claims.take(known.shard.name)
        if other is not None:
            return str(other)
        try:
            self._deal(known, said, is_ours=True)
        finally:
            self._claims.release(known.shard.name)
        return None

    def _deal(self, known: GatheredShard, said: dict[str, PersonSaid | None], *, is_ours: bool) -> bool:
        """Keep what is new about a shard, draw it and tell of it. Gives False where it would have to be ours first."""
        shard = known.shard
        there = ShardCorrections.read(self._target.folder, shard)
        record = self._target.record(shard)
        heard = [
            _Heard(one, now, compared(one, now, there))
            for one in known.images.values()
            if (now := said[one.image_id]) is not None
        ]
        news = [one for one in heard if one.agreement in (Agreement.NEWS, Agreement.NEWS_TO_BOTH)]
        history = [line for one in heard if one.agreement is Agreement.OVERRULED for line in _kept(one, there)]
        is_drawn = record is None or record.corrections == there.digest
        if not is_ours and (news or history or not is_drawn):
            return False
        rows = None
        if record is not None and (news or not self._is_same or any(one.now.digest for one in heard)):
            rows = rows_there(self._target, record)
        before = there
        news = list(self._still_there(shard, record, rows, news))
        lines = [*history, *(one.line for one in news)]
        if lines and not self._claims.holds(shard.name):
            self.summary.later[shard.name] = "another driver took it; scatter again"
            return True
        if lines:
            there = there.with_lines(lines)
            self._announce(known, news)
            there.write(self._target.folder, shard)
        if record is None:
            self.summary.later.update({shard.name: "it is not done"} if lines else {})
        elif record.corrections != there.digest:
            self._draw(shard, record, there)
            record = self._target.record(shard)
            rows = rows_there(self._target, record) if record is not None else None
        self._remember(known, heard, news, there)
        for image_id in (image_id for image_id, now in said.items() if now is None):
            self.summary.refused[known.images[image_id].image] = "it has no usable result in the store any more"
        for one in heard:
            if one in news or one.agreement not in (Agreement.NEWS, Agreement.NEWS_TO_BOTH):
                self._tell(one, before, rows, is_done=record is not None)
        return True

    def _announce(self, known: GatheredShard, news: list[_Heard]) -> None:
        """Remember what is about to be said: whoever is stopped right after it knows the line for the store's own."""
        for one in news:
            known.images[one.image.image_id] = dataclasses.replace(one.image, saying=one.line.digest)
        if news:
            known.write(self._root)

    def _remember(self, known: GatheredShard, heard: list[_Heard], news: list[_Heard], there: ShardCorrections) -> None:
        """Remember in what store and target agree by now, also where somebody who was stopped had brought it about."""
        images = dict(known.images)
        for one in heard:
            line = there.of(one.image.content_sha256)
            if one in news:
                images[one.image.image_id] = agreed(one.image, one.now, one.line)
            elif one.now.digest == (line.digest if line is not None else ""):
                images[one.image.image_id] = agreed(one.image, one.now, line)
        if images != known.images:
            known.images.update(images)
            known.write(self._root)

    def _tell(self, one: _Heard, before: ShardCorrections, rows: dict[str, RowThere] | None, *, is_done: bool) -> None:
        """Count an image, and say what is to be known of it."""
        summary, name = self.summary, one.image.image
        was = before.of(one.image.content_sha256)
        row = rows.get(one.image.content_sha256) if rows is not None else None
        is_new = one.agreement in (Agreement.NEWS, Agreement.NEWS_TO_BOTH)
        if one.agreement in (Agreement.NEWS_TO_BOTH, Agreement.OVERRULED) and was is not None:
            which = "this" if is_new else "that"
            summary.notes[name] = (
                f"{was.author or 'somebody'} changed it too since it was gathered; {which} one is newer and counts"
            )
        if self._is_other and not is_done:
            summary.refused[name] = "its shard is not done yet in this run"
        elif rows is not None and row is None and not one.now.digest and not self._is_same:
            summary.refused[name] = "the target has no such image, or one of other pixels"
        elif rows is not None and one.now.digest and (row is None or row.is_stale):
            summary.changed += is_new
            summary.stale += not is_new
            summary.notes[name] = (
                "what was done to it does not apply, since the image in the target is of other pixels or another size "
                "by now; it is kept, and counts again where that image is back"
            )
        elif is_new:
            summary.changed += 1
            if one.now.decision is Decision.ACCEPTED and row is not None and row.decision is None:
                summary.notes[name] = (
                    "it was accepted as it was gathered, but other things are found on it by now: look at it again"
                )
        elif one.agreement is Agreement.SAME:
            summary.unchanged += 1
        else:
            summary.newer += 1

    def _still_there(
        self, shard: Shard, record: ShardRecord | None, rows: dict[str, RowThere] | None, news: list[_Heard]
    ) -> Iterator[_Heard]:
        """Without images that became other ones since they were gathered; each is told."""
        if record is None and self._is_other:
            for one in news:
                self._refuse(one, "its shard is not done yet in this run")
            return
        here = [one for one in news if rows is None or one.image.content_sha256 in rows]
        changed = self._changed_in_source(shard, record, here)
        for one in news:
            if one not in here:
                self._refuse(one, "the target has a mask of other pixels by now")
            elif one.image.content_sha256 in changed:
                self._refuse(one, CHANGED)
            else:
                yield one

    def _refuse(self, one: _Heard, why: str) -> None:
        self.summary.refused[one.image.image] = f"{why}; what was done to {one.image.image_id} stays in the store"

    def _changed_in_source(self, shard: Shard, record: ShardRecord | None, news: list[_Heard]) -> set[str]:
        """Contents that their files do not have any more. A source that cannot be had says nothing."""
        if not news:
            return set()
        source: ShardSource = source_for_work(self._head.kind, self._origin.source, DecodeConfig())
        wanted = [ImageFacts(one.image.key, one.image.image, "", one.image.content_sha256) for one in news]
        try:
            if self._head.kind != "folder" and source.tag(shard) == (record.tag if record is not None else shard.tag):
                return set()
            found = list(fetched(source, self._target, shard, wanted, DecodeConfig()))
        except (Unreachable, PermissionError, AutomaskError) as error:
            self.summary.notes[shard.name] = f"its source could not be looked at: {error}"
            return set()
        return {str(one.facts.content_sha256) for one in found if one.reason == CHANGED}

    def _draw(self, shard: Shard, record: ShardRecord, corrections: ShardCorrections) -> None:
        """Draw a shard again and end it."""
        try:
            config = config_of(self._target, record)
        except StoreError as error:
            self.summary.later[shard.name] = error.message
            return
        kept = drawable(self._target, shard, record)
        if kept is None:
            self.summary.later[shard.name] = "its Parquet is not as it was written"
            return
        rows = redrawn(self._target, kept, config, record.fingerprints, corrections)

        def fill(files: ShardFiles, tally: ShardTally) -> tuple[str, str] | None:
            for row, png in rows:
                files.add(row, png)
                tally.count(row, work="rendered")
            return record.error

        tally = ShardTally(lambda event: None)
        place = dataclasses.replace(shard, tag=record.tag)
        try:
            ended = end_shard(
                self._target,
                place,
                record.fingerprints,
                corrections,
                fill,
                tally=tally,
                work="rendered",
                owner=self._claims.owner,
            )
        except ShardDamaged as damage:
            self.summary.later[shard.name] = damage.message
            return
        if ended is None:
            self.summary.later[shard.name] = "another driver took it"
        self.summary.shards += ended is not None

    def _said(self, image: GatheredImage) -> PersonSaid | None:
        """What the store says of an image, with what another program painted over its mask."""
        stored = self._store.lookup(image.image_id)
        if stored is not None and stored.content_sha256 == image.content_sha256:
            edited = adopt_edited_mask(self._store, stored)
            if edited is not None:
                self.summary.notes[image.image] = edited.message
        return person_said(self._store, image)


def _kept(one: _Heard, there: ShardCorrections) -> list[PersonSaid]:
    """Lines that keep what another store overruled; the last line of an image counts."""
    before = there.of(one.image.content_sha256)
    if before is None or there.holds(one.image.content_sha256, one.now.digest, one.now.made_s):
        return []
    return [one.now, before]
