"""One shard from its source to its files in the target. Engines call this, in whatever process or machine they like."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from automask.config import PipelineConfig
from automask.dataset.decode import Decoded, decode_bytes, largest_file_bytes, with_name_judged
from automask.dataset.names import suffix_of
from automask.dataset.shards.groups import GroupBy
from automask.dataset.shards.opening import source_for_work
from automask.dataset.shards.samples import Sample, Shard, ShardDamaged, ShardSource, SourceKind
from automask.errors import ImageError
from automask.run.events import EventSink
from automask.run.pipeline import MaskPipeline
from automask.run.shards.ahead import ahead
from automask.run.shards.corrections import ShardCorrections
from automask.run.shards.ending import Fill, ShardTally, end_shard
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.redrawing import drawable, drawn_image, redrawn
from automask.run.shards.rows import ImageFacts, failed_row
from automask.run.shards.target import ShardTarget
from automask.run.shards.templates import GroupedTemplates, SampledTemplates
from automask.run.shards.writing import ShardFiles
from automask.values.types import Found, Issue

logger = logging.getLogger(__name__)

_READERS = 8
"""Threads that fetch and decode. Most of their time they wait for an object store, 30 to 100 ms an image."""
_AHEAD_PX = 120_000_000
"""Decoded pixels that may wait for the models, as in a run on one machine."""
_DRAWN_AHEAD = 4
AnyItem = TypeVar("AnyItem")


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
        templates: What is looked for beside the templates of the configuration.
    """

    source: str
    kind: SourceKind
    target: str
    config: PipelineConfig
    fingerprints: ShardFingerprints
    owner: str = ""
    templates: SampledTemplates = SampledTemplates()  # noqa: RUF009 - frozen


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
        pipeline: A pipeline of its configuration, or None to build one.
        source: Its source where that is open already.
    """

    def __init__(
        self, job: ShardJob, *, pipeline: MaskPipeline | None = None, source: ShardSource | None = None
    ) -> None:
        self._job = job
        if pipeline is None:
            pipeline = MaskPipeline.from_config(job.config)
        self._pipeline = pipeline
        self._templates = GroupedTemplates(pipeline, job.templates)
        by = GroupBy.parse(job.templates.by) if job.templates.by else None
        self._source = (source or source_for_work(job.kind, job.source, job.config.decode)).grouped(by)
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
            ShardDamaged: What people said about its images cannot be read.
            Unreachable: Source or target do not answer.
            OutputError: The target's disk does not take what is written.
            Stopped: Told to.
        """
        shard, before = task.shard, task.before
        stop = stop or threading.Event()
        corrections = ShardCorrections.read(self._target.folder, shard)
        kept = drawable(self._target, shard, before) if before is not None else None
        if kept is not None:
            try:
                redraw = functools.partial(self._redraw, kept, corrections, stop=stop)
                return self._ended(shard, "rendered", ShardTally(events), corrections, redraw)
            except ShardDamaged as damage:  # its bytes are those that were written, and yet it cannot be used
                logger.warning("shard %s is analysed again: %s", shard.name, damage.message)
        analyse = functools.partial(self._analyse, shard, corrections, stop=stop)
        return self._ended(shard, "analysed", ShardTally(events), corrections, analyse)

    def _ended(
        self,
        shard: Shard,
        work: Literal["analysed", "rendered"],
        tally: ShardTally,
        corrections: ShardCorrections,
        fill: Fill,
    ) -> ShardRecord | None:
        job = self._job
        return end_shard(
            self._target, shard, job.fingerprints, corrections, fill, tally=tally, work=work, owner=job.owner
        )

    def _redraw(
        self,
        before: ShardRecord,
        corrections: ShardCorrections,
        files: ShardFiles,
        tally: ShardTally,
        *,
        stop: threading.Event,
    ) -> tuple[str, str] | None:
        """Draw all masks again; what was wrong with the shard's file still is."""
        for row, png in redrawn(self._target, before, self._job.config, self._job.fingerprints, corrections):
            files.add(row, png)
            tally.count(row, work="rendered")
            _check(stop)
        return before.error

    def _analyse(
        self,
        shard: Shard,
        corrections: ShardCorrections,
        files: ShardFiles,
        tally: ShardTally,
        *,
        stop: threading.Event,
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
                read = ahead(readers, self._read, _noting(samples, damages), most=most, most_px=_AHEAD_PX)
                found = self._found(read, config.runtime.batch_size)
                draw = functools.partial(self._drawn, corrections)
                for row, png in ahead(drawer, draw, found, most=_DRAWN_AHEAD):
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
            results = iter(self._pipeline.analyse(images) if images else ())
            for one in batch:
                found = next(results) if one.decoded is not None else None
                if found is not None and one.decoded is not None:
                    found = self._templates.of(one.sample.group).added_to(found, one.decoded.image)
                yield _Analysed(one, found)

    def _drawn(self, corrections: ShardCorrections, analysed: _Analysed) -> tuple[dict[str, Any], bytes | None]:
        """Row and mask of one image; in a thread."""
        read, found = analysed.read, analysed.found
        sample, decoded = read.sample, read.decoded
        if decoded is None or found is None:
            facts = ImageFacts(sample.key, sample.image, sample.mask, group=sample.group)
            return failed_row(facts, [read.issue] if read.issue is not None else []), None
        facts = ImageFacts(
            sample.key, sample.image, sample.mask, decoded.content_sha256, decoded.orientation, sample.group
        )
        found = dataclasses.replace(found, issues=(*decoded.issues, *found.issues))
        if any(issue.severity == "error" for issue in found.issues):
            return failed_row(facts, found.issues), None
        return drawn_image(facts, found, self._job.config, corrections)


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
