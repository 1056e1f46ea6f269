"""A run over shards: lists the source once, claims what is to be done, hands it to an engine, and adds up."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from automask.config import PipelineConfig
from automask.dataset.shards.opening import open_source, source_for_work
from automask.dataset.shards.samples import Shard, ShardSource
from automask.errors import ConfigError, OutputError, PluginError, StoreLocked
from automask.files.urls import is_url, redacted
from automask.plugins import ENGINES, load_plugin
from automask.run.engines.local import LocalEngine
from automask.run.engines.protocol import Engine, EngineOptions, ShardOutcome
from automask.run.events import Counted, EventSink, Notice, StageProgress, Tally
from automask.run.pipeline import MaskPipeline
from automask.run.shards.claims import Claim, Claims
from automask.run.shards.corrections import digests_in, newest_digest
from automask.run.shards.listing import check_head, shards_of
from automask.run.shards.records import ShardFingerprints, ShardRecord
from automask.run.shards.sampling import asked_groups, sampled_templates
from automask.run.shards.target import TRANSPORT, ShardTarget, target_error
from automask.run.shards.templates import GroupedTemplates
from automask.run.shards.worker import ShardJob, ShardTask
from automask.values.placement import Placement
from automask.values.types import Issue
from automask.version import __version__

DEFAULT_SHARD_IMAGES = 2000
"""About 20 minutes of one core: what a killed worker loses, and 5,000 shards for 10 million images."""
_MOST_FAILURES = 5
"""Shards in a row whose source or target did not answer, each after its own tries: the network is gone."""


@dataclass(frozen=True, slots=True)
class ShardedSummary:
    """The end of a sharded run.

    Attributes:
        target: Its address, without credentials.
        source: The same of the source.
        shards: All shards.
        done: Shards that this run ended, by work (`analysed`, `rendered`).
        reused: Shards that were up to date.
        elsewhere: Shards that other drivers ended meanwhile.
        damaged: Shards whose file could not be read to its end, with why; those that were up to date too.
        unfinished: Shards that were not ended, with why.
        images: Images that this run has rows for.
        failed: Those of them without a mask.
        verdicts: Images by verdict.
        issue_counts: Issues by code.
        notices: What was said about the run as a whole.
        placements: Where networks ran, by stage.
        seconds: Wall time.
        interrupted: True when it was stopped before the last shard.
    """

    target: str
    source: str
    shards: int
    done: Mapping[str, int]
    reused: int
    elsewhere: int
    damaged: Mapping[str, str]
    unfinished: Mapping[str, str]
    images: int
    failed: int
    verdicts: Mapping[str, int]
    issue_counts: Mapping[str, int]
    notices: tuple[Issue, ...]
    placements: Mapping[str, Placement]
    seconds: float
    interrupted: bool


def run_shards(
    source: str,
    target: str,
    config: PipelineConfig,
    *,
    shard_images: int | None = None,
    engine: str | Engine = "local",
    options: EngineOptions = EngineOptions(),  # noqa: B008 - frozen
    group_by: str | None = None,
    refresh_templates: bool = False,
    events: EventSink = lambda event: None,
    stop: threading.Event | None = None,
    pipeline: MaskPipeline | None = None,
) -> ShardedSummary:
    """Make or bring up to date the masks of a source in shards. Several may work on one target at once.

    Args:
        source: A folder, a pattern of tars or Parquet files, or one such file; a path or a URL.
        target: A folder or URL of its own.
        config: What masks look like. What repeats is found in a sample, once for a target; see
            `automask.run.shards.sampling`.
        shard_images: Images a shard, where the source has no parts of its own; None = 2000, or what the target has.
        engine: What works on the shards, or its entry-point name.
        options: About its workers, where it is a name.
        group_by: What makes a group of images that are compared with each other: `site`, `prefix:N`, `column:NAME` or
            `none`; None = as the target has it, else none. See `automask.dataset.shards.groups`.
        refresh_templates: Find what repeats anew; where that changes, all shards are done again.
        events: Called with every event, one at a time.
        stop: When set, the image in hand is finished and the run ends as interrupted; its shard is done again.
        pipeline: A pipeline of the configuration, for the engine `local`.

    Raises:
        ConfigError: Unknown stages, options or engine, or a driver is missing.
        InputError: The source cannot be listed or has nothing.
        OutputError: The target cannot be used, or is another source's.
        StoreLocked: Another driver works on the target under another configuration.
        WeightsError: Weights that a stage cannot do without are missing.
    """
    started = time.perf_counter()
    stop = stop or threading.Event()
    tally = Tally(events)
    _check_config(config)
    built = pipeline or MaskPipeline.from_config(config)
    asked_groups(group_by, built)  # before anything is listed
    works = _engine(engine, options, built)
    for notice in built.notices:
        tally(Notice(notice))
    source, target = _absolute(source), _absolute(target)
    place = ShardTarget.at(target)
    fingerprints = ShardFingerprints.of(built)
    label = redacted(source).rstrip("/")
    try:
        head = check_head(place, label)
        with Claims(place.folder, fingerprints) as claims:
            shards = shards_of(
                place,
                lambda: open_source(source, config.decode, target=target),
                claims,
                source=label,
                shard_images=shard_images or DEFAULT_SHARD_IMAGES,
                events=tally,
                stop=stop,
            )
            if head is not None and head.kind == "folder" and shard_images not in (None, head.shard_images):
                tally(Notice(_kept_size(head.shard_images)))
            head = head or place.head()
            kind = head.kind if head is not None else "folder"
            parts = source_for_work(kind, source, config.decode)
            found = sampled_templates(
                place,
                parts,
                shards,
                built,
                claims,
                group_by=group_by,
                refresh=refresh_templates,
                events=tally,
                stop=stop,
            )
            templates = GroupedTemplates(built, found).fingerprint
            claims.fingerprints = fingerprints = dataclasses.replace(fingerprints, templates=templates)
            if shards:
                place.write_config(fingerprints.fuse, config)
            board = _Board(place, parts, shards, claims, fingerprints, tally, stop)
            if shards:
                job = ShardJob(source, kind, target, config, fingerprints, claims.owner, found)
                for outcome in works.work(job, board.tasks(), events=tally, stop=stop):
                    board.settle(outcome)
    except TRANSPORT as error:
        raise target_error(place.label, error) from None
    return ShardedSummary(
        target=place.label,
        source=label,
        shards=len(shards),
        done=dict(board.done),
        reused=board.reused,
        elsewhere=board.elsewhere,
        damaged=board.damaged,
        unfinished=board.unfinished,
        images=board.images,
        failed=board.failed,
        verdicts=dict(board.verdicts),
        issue_counts=dict(board.issues),
        notices=tuple(tally.notices),
        placements=built.placements,
        seconds=time.perf_counter() - started,
        interrupted=stop.is_set(),
    )


@dataclass(slots=True)
class _Board:
    """Which shards are to be done, by us or others, and what became of them."""

    target: ShardTarget
    source: ShardSource
    shards: list[Shard]
    claims: Claims
    fingerprints: ShardFingerprints
    tally: Tally
    stop: threading.Event
    done: collections.Counter[str] = field(init=False, default_factory=collections.Counter)
    verdicts: collections.Counter[str] = field(init=False, default_factory=collections.Counter)
    issues: collections.Counter[str] = field(init=False, default_factory=collections.Counter)
    damaged: dict[str, str] = field(init=False, default_factory=dict)
    unfinished: dict[str, str] = field(init=False, default_factory=dict)
    reused: int = field(init=False, default=0)
    elsewhere: int = field(init=False, default=0)
    images: int = field(init=False, default=0)
    failed: int = field(init=False, default=0)
    _failures: int = field(init=False, default=0)
    _corrections: dict[str, str] = field(init=False, default_factory=dict)
    """Digests of what people said about the images of shards, by name; few shards have any."""

    def tasks(self) -> Iterator[ShardTask | None]:
        """The shards to work on, each claimed as it is taken; ends when nobody works on any that is not done."""
        waiting: list[Shard] = []
        self._corrections = digests_in(self.target.folder, self.shards)
        for shard, record in self.target.records(self.shards):
            if self._is_done(record) and not self._is_mended(shard, record):
                self.reused += 1
                self._note_damage(record)
            else:
                waiting.append(shard)
        self._count(waiting)
        while waiting and not self.stop.is_set():
            busy: list[Shard] = []
            others: Claim | None = None
            for shard in waiting:
                if self.stop.is_set():
                    return
                other = self.claims.take(shard.name)
                if other is not None:
                    self._check_same_config(other)
                    busy.append(shard)
                    others = other
                    continue
                task = self._task(shard)
                if task is not None:
                    yield task
            waiting = self._still_open(busy)
            if waiting:
                self.tally(StageProgress("waiting", f"{others} has shards", 0, len(waiting)))
                yield None

    def settle(self, outcome: ShardOutcome) -> None:
        """Note what became of a task, and give its claim back.

        Raises:
            OutputError: Source or target do not answer any more.
        """
        self.claims.release(outcome.shard.name)
        record = outcome.record
        if record is not None:
            self._failures = 0
            self.done[record.work] += 1
            self.images += record.images
            self.failed += record.failed
            self.verdicts.update(record.verdicts)
            self.issues.update(record.issues)
            self._note_damage(record)
            return
        if outcome.failure is None:
            self.elsewhere += not self.stop.is_set()
            return
        if outcome.is_poison:
            self._poison(outcome.shard, outcome.failure)
            return
        self.unfinished[outcome.shard.name] = outcome.failure
        self._failures += 1
        self.tally(Notice(Issue("run", "shard-unfinished", f"Shard {outcome.shard.name}: {outcome.failure}")))
        if self._failures >= _MOST_FAILURES:
            raise OutputError(
                f"{_MOST_FAILURES} shards in a row could not be ended; the last one: {outcome.failure}.",
                advice="Check network and credentials and run the same command again: finished shards are kept.",
                code="target-unreachable",
            )

    def _poison(self, shard: Shard, why: str) -> None:
        """End a shard that no worker survives, so that no run tries it again under this configuration."""
        nothing: dict[str, int] = {}
        record = ShardRecord(
            shard=shard.name,
            images=0,
            masks=0,
            verdicts=nothing,
            issues=nothing,
            fingerprints=self.fingerprints,
            parts={},
            error=("shard-poison", why),
            tag=shard.tag,
            work="analysed",
            seconds=0.0,
            finished_s=round(time.time(), 3),
            version=__version__,
            corrections=self._corrections.get(shard.name, ""),
        )
        self.target.write_record(shard, record)
        self._note_damage(record)

    def _task(self, shard: Shard) -> ShardTask | None:
        """What is to be done for a shard that is claimed, or None where somebody did it since it was looked at."""
        record = self.target.record(shard)
        said = newest_digest(self.target.folder, shard)  # since the run began
        if said or shard.name in self._corrections:
            self._corrections[shard.name] = said
        if self._is_done(record) and not self._is_mended(shard, record):
            self.elsewhere += 1
            self._note_damage(record)
            self.claims.release(shard.name)
            return None
        if record is None:
            return ShardTask(shard)
        if record.error is not None:
            tag = self.source.tag(shard)
            if tag != record.tag:
                return ShardTask(dataclasses.replace(shard, tag=tag))
        return ShardTask(shard, None if self.fingerprints.needs_models(record.fingerprints) else record)

    def _is_mended(self, shard: Shard, record: ShardRecord | None) -> bool:
        """Whether the file of a shard that could not be read to its end is another one by now."""
        return record is not None and record.error is not None and self.source.tag(shard) != record.tag

    def _is_done(self, record: ShardRecord | None) -> bool:
        if record is None or record.fingerprints != self.fingerprints:
            return False
        return record.corrections == self._corrections.get(record.shard, "")

    def _still_open(self, shards: list[Shard]) -> list[Shard]:
        still = []
        for shard, record in self.target.records(shards):
            if self._is_done(record):
                self.elsewhere += 1
                self._note_damage(record)
            else:
                still.append(shard)
        return still

    def _note_damage(self, record: ShardRecord | None) -> None:
        if record is not None and record.error is not None:
            self.damaged[record.shard] = record.error[1]

    def _count(self, waiting: list[Shard]) -> None:
        counts = [shard.images for shard in waiting]
        if all(count is not None for count in counts):
            self.tally(Counted(sum(filter(None, counts))))

    def _check_same_config(self, other: Claim) -> None:
        if other.fuse and other.fuse != Claim.ours(self.fingerprints).fuse:
            raise StoreLocked(
                f"{other} works on {self.target.label} under another configuration.",
                advice="Wait for it, stop it, or choose another --output.",
                code="shards-other-config",
            )


def _engine(engine: str | Engine, options: EngineOptions, pipeline: MaskPipeline) -> Engine:
    if not isinstance(engine, str):
        return engine
    made = load_plugin(ENGINES, engine).from_options(options)
    if not isinstance(made, Engine):
        raise PluginError(f"{engine!r} is no engine: it has no work().", code="plugin-contract")
    return LocalEngine(pipeline) if isinstance(made, LocalEngine) else made


def _check_config(config: PipelineConfig) -> None:
    if config.review.budget is not None:
        raise ConfigError(
            "A review budget is a share of all images, which no shard knows.",
            advice="Use --review-below, and take the most doubtful of the Parquet files.",
        )


def _absolute(address: str) -> str:
    """A path from the root of this machine, which workers in other folders find as well; a URL as it is."""
    return address if is_url(address) else str(Path(address).absolute())


def _kept_size(shard_images: int) -> Issue:
    message = f"The target has shards of {shard_images} images and keeps them: a new size needs a new --output."
    return Issue("run", "shards-kept", message)
