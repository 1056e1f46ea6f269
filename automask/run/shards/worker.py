"""One shard from its source to its files in the target. Engines call this, in whatever process or machine they like."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from automask.config import PipelineConfig
from automask.dataset.codes import Refusal
from automask.dataset.decode import Decoded, decode_bytes, largest_file_bytes, with_name_judged
from automask.dataset.names import suffix_of
from automask.dataset.shards.opening import source_for_work
from automask.dataset.shards.samples import Sample, Shard, ShardDamaged, ShardSource, SourceKind
from automask.errors import ImageError
from automask.files.folders import Unreachable
from automask.run.events import EventSink, ImageDone, ImageFailed
from automask.run.pipeline import MaskPipeline
from automask.run.shards.claims import holder_of
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.redrawing import drawn_image, is_kept, redrawn
from automask.run.shards.rows import ImageFacts, failed_row
from automask.run.shards.sampling import with_templates
from automask.run.shards.target import ShardTarget, masks_name, regions_name
from automask.run.shards.writing import ShardFiles
from automask.values.types import Found, Issue, Verdict
from automask.version import __version__

logger = logging.getLogger(__name__)

_READERS = 8
"""Threads that fetch and decode. Most of their time they wait for an object store, 30 to 100 ms an image."""
_AHEAD_PX = 120_000_000
"""Decoded pixels that may wait for the models, as in a run on one machine."""
_DRAWN_AHEAD = 4
_ENOUGH = 10
"""Images of a shard from which none readable says something of the source and not of them."""

AnyItem = TypeVar("AnyItem")
AnyResult = TypeVar("AnyResult")


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What a worker has to know to work on any shard of a run. It pickles, and holds no credentials.

    Attributes:
        source: Its address.
        kind: What is there.
        target: Its address.
        config: What masks look like.
        fingerprints: Of that.
        owner: Who claims its shards, see `Claim.owner`; empty where nobody does.
        templates: Files of templates that are looked for in every image, beside those of the configuration.
    """

    source: str
    kind: SourceKind
    target: str
    config: PipelineConfig
    fingerprints: ShardFingerprints
    owner: str = ""
    templates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to work on.

    Attributes:
        shard: Which.
        before: Its record where only its masks have to be drawn again, else None.
    """

    shard: Shard
    before: ShardRecord | None = None


class Stopped(Exception):
    """The run is told to stop in the middle of a shard, which will be done again."""


class ShardWorker:
    """Works on one shard after the other; models are loaded once.

    Args:
        job: The run.
        pipeline: A pipeline of its configuration that looks for its templates, or None to build one.
        source: Its source where that is open already.
    """

    def __init__(
        self, job: ShardJob, *, pipeline: MaskPipeline | None = None, source: ShardSource | None = None
    ) -> None:
        self._job = job
        if pipeline is None:
            pipeline = MaskPipeline.from_config(job.config)
            with_templates(pipeline, job.templates)
        self._pipeline = pipeline
        self._source = source or source_for_work(job.kind, job.source, job.config.decode)
        self._target = ShardTarget.at(job.target)

    def do(
        self,
        task: ShardTask,
        *,
        events: EventSink = lambda event: None,
        stop: threading.Event | None = None,
    ) -> ShardRecord | None:
        """Work on one shard and write its files and its record.

        Args:
            task: Which.
            events: Called about every image, from this thread.
            stop: When set, `Stopped` is raised after the images in hand.

        Returns:
            The record, or None where the shard is somebody else's by now.

        Raises:
            Unreachable: Source or target do not answer.
            OutputError: The target's disk does not take what is written.
            Stopped: Told to.
        """
        shard, before = task.shard, task.before
        stop = stop or threading.Event()
        if before is not None and is_kept(self._target, before):
            try:
                return self._ended(
                    shard, "rendered", _Counts(events), functools.partial(self._redraw, before, stop=stop)
                )
            except ShardDamaged as damage:  # its bytes are those that were written, and yet it cannot be used
                logger.warning("shard %s is analysed again: %s", shard.name, damage.message)
        return self._ended(shard, "analysed", _Counts(events), functools.partial(self._analyse, shard, stop=stop))

    def _ended(
        self,
        shard: Shard,
        work: Literal["analysed", "rendered"],
        tally: _Counts,
        fill: Callable[[ShardFiles, _Counts], tuple[str, str] | None],
    ) -> ShardRecord | None:
        """Fill the files of a shard, put them into the target and write its record."""
        started = time.perf_counter()
        with ShardFiles() as files:
            error = fill(files, tally)
            if not self._is_ours(shard):
                return None
            parts = files.publish(self._target.folder, masks=masks_name(shard), regions=regions_name(shard))
        record = ShardRecord(
            shard=shard.name,
            images=tally.images,
            masks=tally.masks,
            verdicts=dict(sorted(tally.verdicts.items())),
            issues=dict(sorted(tally.issues.items())),
            fingerprints=self._job.fingerprints,
            parts=parts,
            error=error,
            tag=shard.tag,
            work=work,
            seconds=round(time.perf_counter() - started, 3),
            finished_s=round(time.time(), 3),
            version=__version__,
        )
        if not self._is_ours(shard):
            return None
        self._target.write_record(shard, record)
        return record

    def _redraw(
        self, before: ShardRecord, files: ShardFiles, tally: _Counts, *, stop: threading.Event
    ) -> tuple[str, str] | None:
        """Draw all masks again; what was wrong with the shard's file still is."""
        for row, png in redrawn(self._target, before, self._job.config, self._job.fingerprints):
            files.add(row, png)
            tally.count(row, work="rendered")
            _check(stop)
        return before.error

    def _is_ours(self, shard: Shard) -> bool:
        """Whether nobody else took the shard: asked before anything is put into the target."""
        if not self._job.owner:
            return True
        holder = holder_of(self._target.folder, shard.name)
        return holder is not None and holder.owner == self._job.owner

    def _analyse(
        self, shard: Shard, files: ShardFiles, tally: _Counts, *, stop: threading.Event
    ) -> tuple[str, str] | None:
        """Read, analyse and draw; gives what is wrong with the shard's file, whose readable images are done."""
        config = self._job.config
        listed = self._target.read_list(shard) if self._job.kind == "folder" else None
        samples = self._source.samples(shard, listed, most_bytes=largest_file_bytes(config.decode))
        damages: list[ShardDamaged] = []
        with (
            ThreadPoolExecutor(_READERS, thread_name_prefix="automask-read") as readers,
            ThreadPoolExecutor(1, thread_name_prefix="automask-draw") as drawer,
        ):
            try:
                most = config.runtime.prefetch + config.runtime.batch_size + _READERS
                read = _ahead(readers, self._read, _noting(samples, damages), most=most, most_px=_AHEAD_PX)
                found = self._found(read, config.runtime.batch_size)
                for row, png in _ahead(drawer, self._drawn, found, most=_DRAWN_AHEAD, most_px=None):
                    files.add(row, png)
                    tally.count(row, work="analysed")
                    _check(stop)
            except BaseException:
                readers.shutdown(wait=True, cancel_futures=True)
                drawer.shutdown(wait=True, cancel_futures=True)
                raise
        tally.check_any_was_read(shard)
        return (damages[0].code, damages[0].message) if damages else None

    def _read(self, sample: Sample) -> _Read:
        """Bytes and pixels of one image; in a thread."""
        try:
            data = sample.read()
            decoded = decode_bytes(data, image_id=sample.image, config=self._job.config.decode)
        except ImageError as error:
            return _Read(sample, None, Issue("decode", error.code, str(error), "error"))
        if suffix_of(sample.image.rpartition("/")[2]):
            decoded = with_name_judged(decoded, name=sample.image.rpartition("/")[2], mask_name=sample.mask)
        return _Read(sample, decoded, None)

    def _found(self, read: Iterator[_Read], batch_size: int) -> Iterator[_Analysed]:
        """What the models find, in order; in the caller's thread."""
        while batch := _some(read, batch_size):
            images = [one.decoded.image for one in batch if one.decoded is not None]
            results = iter(self._pipeline.run(images) if images else ())
            for one in batch:
                yield _Analysed(one, next(results) if one.decoded is not None else None)

    def _drawn(self, analysed: _Analysed) -> tuple[dict[str, Any], bytes | None]:
        """Row and mask of one image; in a thread."""
        read, found = analysed.read, analysed.found
        sample, decoded = read.sample, read.decoded
        if decoded is None or found is None:
            facts = ImageFacts(sample.key, sample.image, sample.mask)
            return failed_row(facts, [read.issue] if read.issue is not None else []), None
        facts = ImageFacts(sample.key, sample.image, sample.mask, decoded.content_sha256, decoded.orientation)
        found = dataclasses.replace(found, issues=(*decoded.issues, *found.issues))
        if any(issue.severity == "error" for issue in found.issues):
            return failed_row(facts, found.issues), None
        return drawn_image(facts, found, self._job.config)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    sample: Sample
    decoded: Decoded | None
    issue: Issue | None

    @property
    def pixels(self) -> int:
        return self.decoded.image.pixels.size // 3 if self.decoded is not None else 0


@dataclass(frozen=True, slots=True, eq=False)
class _Analysed:
    read: _Read
    found: Found | None


class _Counts:
    """Adds the rows of a shard up and tells of each."""

    def __init__(self, events: EventSink) -> None:
        self._events = events
        self.images = self.masks = self.unread = 0
        self.verdicts: collections.Counter[str] = collections.Counter()
        self.issues: collections.Counter[str] = collections.Counter()

    def check_any_was_read(self, shard: Shard) -> None:
        """Refuse to end a shard of which no file could be had: a disk that is not mounted, keys without a right.

        Raises:
            Unreachable: Then the next run does it.
        """
        if self.images >= _ENOUGH and self.masks == 0 and self.unread == self.images:
            raise Unreachable(f"not one of the {self.images} images of shard {shard.name} could be read")

    def count(self, row: dict[str, Any], *, work: str) -> None:
        self.images += 1
        issues = tuple(Issue(one["stage"], one["code"], one["message"], one["severity"]) for one in row["issues"])
        self.issues.update(issue.code for issue in issues)
        if row["mask"] is None:
            self.unread += any(issue.code in (Refusal.MISSING, Refusal.UNREADABLE) for issue in issues)
            self._events(ImageFailed(row["image"], issues))
            return
        self.masks += 1
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


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped


def _noting(samples: Iterator[Sample], damages: list[ShardDamaged]) -> Iterator[Sample]:
    """The samples until the file ends or is damaged."""
    try:
        yield from samples
    except ShardDamaged as damage:
        damages.append(damage)


def _some(items: Iterator[AnyItem], most: int) -> list[AnyItem]:
    taken: list[AnyItem] = []
    for item in items:
        taken.append(item)
        if len(taken) == most:
            break
    return taken


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[AnyItem], AnyResult],
    items: Iterable[AnyItem],
    *,
    most: int,
    most_px: int | None,
) -> Iterator[AnyResult]:
    """The results of items, in order, while later ones are worked on; few enough wait that memory stays flat."""
    waiting: collections.deque[Future[AnyResult]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        while len(waiting) >= most or (len(waiting) > 1 and most_px is not None and _pixels(waiting) > most_px):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _pixels(waiting: Sequence[Future[Any]] | collections.deque[Future[Any]]) -> int:
    done = [one for one in waiting if one.done() and one.exception() is None]
    return sum(getattr(one.result(), "pixels", 0) for one in done)
