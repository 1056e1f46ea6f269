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
from automask.dataset.shards.parquet import opened
from automask.dataset.shards.samples import Shard, ShardDamaged, ShardSource
from automask.errors import AutomaskError, StoreError
from automask.files.folders import Unreachable
from automask.run.edited import adopt_edited_mask
from automask.run.shards.claims import Claims
from automask.run.shards.corrections import PersonSaid, ShardCorrections, seen_sha256
from automask.run.shards.ending import ShardTally, end_shard
from automask.run.shards.fetching import CHANGED, fetched
from automask.run.shards.gathered import GatheredFrom, GatheredImage, GatheredShard
from automask.run.shards.gathering import begun, config_of
from automask.run.shards.records import ShardRecord
from automask.run.shards.redrawing import drawable, redrawn
from automask.run.shards.rows import ImageFacts
from automask.run.shards.target import TRANSPORT, ShardTarget, target_error
from automask.run.shards.writing import ShardFiles
from automask.store import Decision, PackedLayers, Store

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
        unchanged: Those about which nothing is new.
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
        StoreError: The store was not gathered, or cannot be used, or its target is gone.
        OutputError: The target cannot be used.
    """
    started = time.perf_counter()
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
class _News:
    """What is new about an image, and what the target had until now."""

    image: GatheredImage
    said: PersonSaid


class _Scattering:
    def __init__(self, root: Path, store: Store, target: ShardTarget, origin: GatheredFrom, claims: Claims) -> None:
        self._root = root
        self._store = store
        self._target = target
        self._origin = origin
        self._claims = claims
        self._head, shards = begun(target)
        self._names = {shard.name for shard in shards}
        self.summary = ScatterSummary(target.label)

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
        there = ShardCorrections.read(self._target.folder, known.shard)
        record = self._target.record(known.shard)
        is_drawn = record is None or record.corrections == there.digest
        if is_drawn and all(_is_settled(one, said[one.image_id], there) for one in known.images.values()):
            self.summary.unchanged += len(known.images)
            return None
        other = self._claims.take(known.shard.name)
        if other is not None:
            return str(other)
        try:
            self._take_over(known, said)
        finally:
            self._claims.release(known.shard.name)
        return None

    def _take_over(self, known: GatheredShard, said: dict[str, PersonSaid | None]) -> None:
        """Keep what is new about a shard that is ours, and draw it."""
        there = ShardCorrections.read(self._target.folder, known.shard)
        record = self._target.record(known.shard)
        news, history = self._sorted(known, said, there)
        news = list(self._still_there(known.shard, record, news))
        lines = [*history, *(one.said for one in news)]
        if lines and not self._claims.holds(known.shard.name):
            self.summary.later[known.shard.name] = "another driver took it; scatter again"
            return
        if lines:
            there = there.with_lines(lines)
            there.write(self._target.folder, known.shard)
        if record is None:
            self.summary.later[known.shard.name] = "it is not done"
        elif record.corrections != there.digest:
            self._draw(known.shard, record, there)
            self._tell_lapsed(known.shard, news)
        for one in news:
            digest = one.said.digest
            known.images[one.image.image_id] = dataclasses.replace(one.image, said=digest, said_there=digest)
        self.summary.changed += len(news)
        if news:
            known.write(self._root)

    def _sorted(
        self, known: GatheredShard, said: dict[str, PersonSaid | None], there: ShardCorrections
    ) -> tuple[list[_News], list[PersonSaid]]:
        """What is to count from now on, and what is only kept, where two people changed one image."""
        news: list[_News] = []
        history: list[PersonSaid] = []
        for one in known.images.values():
            now, before = said[one.image_id], there.of(one.content_sha256)
            if now is None:
                self.summary.refused[one.image] = "it has no usable result in the store any more"
                continue
            if _is_settled(one, now, there):
                self.summary.unchanged += 1
                continue
            if before is None or before.digest in (one.said_there, one.said):
                news.append(_News(one, now))
                continue
            is_newer = now.made_s > before.made_s
            which = "this one is newer and counts" if is_newer else "that one is newer and counts"
            self.summary.notes[one.image] = (
                f"{before.author or 'somebody'} changed it too since it was gathered; {which}"
            )
            if is_newer:
                news.append(_News(one, now))
            elif all((line.digest, line.made_s) != (now.digest, now.made_s) for line in there.lines):
                history += [now, before]  # the last line of an image counts
            self.summary.unchanged += not is_newer
        return news, history

    def _still_there(self, shard: Shard, record: ShardRecord | None, news: list[_News]) -> Iterator[_News]:
        """Without images that became other ones since they were gathered; each is told."""
        pixels = _contents(self._target, record) if record is not None and news else None
        here = [one for one in news if pixels is None or one.image.content_sha256 in pixels]
        changed = self._changed_in_source(shard, record, here)
        for one in news:
            if one not in here:
                self._refuse(one, "the target has a mask of other pixels by now")
            elif one.image.content_sha256 in changed:
                self._refuse(one, CHANGED)
            else:
                yield one

    def _refuse(self, one: _News, why: str) -> None:
        self.summary.refused[one.image.image] = f"{why}; what was done to {one.image.image_id} stays in the store"

    def _changed_in_source(self, shard: Shard, record: ShardRecord | None, news: list[_News]) -> set[str]:
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

    def _tell_lapsed(self, shard: Shard, news: list[_News]) -> None:
        """Tell of masks that were accepted as they were gathered, and that something else was found on since."""
        accepted = {one.said.content_sha256: one for one in news if one.said.decision is Decision.ACCEPTED}
        record = self._target.record(shard) if accepted else None
        if record is None or "regions" not in record.parts:
            return
        with opened(self._target.folder, record.parts["regions"].name) as file:
            table = file.read(columns=["content_sha256", "decision"])
        for content, decision in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if content in accepted and decision is None:
                why = "it was accepted as it was gathered, but other things are found on it by now: look at it again"
                self.summary.notes[accepted[content].image.image] = why

    def _said(self, image: GatheredImage) -> PersonSaid | None:
        """What the store holds of what people said about an image, or None where it has no result of it any more."""
        stored = self._store.lookup(image.image_id)
        if stored is None or stored.content_sha256 != image.content_sha256:
            return None
        edited = adopt_edited_mask(self._store, stored)
        if edited is not None:
            self.summary.notes[image.image] = edited.message
        stored, found = self._store.lookup(image.image_id), self._store.result(image.image_id)
        if stored is None or found is None:
            return None
        correction = self._store.correction(image.content_sha256)
        layers = correction.layers if correction is not None else None
        decided = self._store.decision(image.content_sha256)
        times = [one.created_s for one in (correction, decided) if one is not None]
        return PersonSaid(
            content_sha256=image.content_sha256,
            key=image.key,
            image=image.image,
            layers=PackedLayers.of(layers) if layers is not None else None,
            tool=correction.tool if correction is not None and layers is not None else "",
            author=correction.author if correction is not None else decided.author if decided is not None else "",
            decision=stored.decision,
            seen_sha256=seen_sha256(found, layers) if stored.decision is Decision.ACCEPTED else "",
            made_s=max(times, default=0.0),
        )


def _is_settled(image: GatheredImage, now: PersonSaid | None, there: ShardCorrections) -> bool:
    """Whether nothing is new about an image: the store is as it was, or the target says the same already."""
    if now is None:
        return False
    before = there.of(image.content_sha256)
    return now.digest in (image.said, before.digest if before is not None else "")


def _contents(target: ShardTarget, record: ShardRecord) -> set[str]:
    """Hashes of all images that a shard has a row for."""
    part = record.parts.get("regions")
    if part is None:
        return set()
    with opened(target.folder, part.name) as file:
        return {one for one in file.read(columns=["content_sha256"]).column(0).to_pylist() if one is not None}
