"""What repeats in a sharded source: found in a sample once, kept in the target, looked for in every image from then on.

Frames and marks that only a person can decide about are kept beside them and not looked for: one question about 10^8
images is asked of the sample, not of each of them. Where images are grouped, those of each group are compared with each
other, and what is found is looked for in that group only.
"""

from __future__ import annotations

import collections
import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from automask.config import PipelineConfig
from automask.dataset.decode import decode_bytes, largest_file_bytes
from automask.dataset.shards.groups import GroupBy
from automask.dataset.shards.samples import Sample, Shard, ShardDamaged, ShardSource
from automask.errors import AutomaskError, ConfigError, ImageError, OutputError
from automask.files.folders import Unreachable
from automask.protocols import DatasetDetector, ImageFacts, ReducedImage
from automask.run.events import EventSink, Notice, StageProgress
from automask.run.pipeline import MaskPipeline
from automask.run.shards.claims import Claims
from automask.run.shards.deciding import decisions_in, read_index, settle
from automask.run.shards.target import ShardTarget
from automask.run.shards.templates import (
    INDEX_NAME,
    TEMPLATES_CLAIM,
    WAITING_PREFIX,
    KeptTemplates,
    SampledTemplates,
    group_folder,
)
from automask.run.spool import Spool
from automask.values.templates import DatasetTemplate
from automask.values.types import Issue

logger = logging.getLogger(__name__)

SAMPLE_IMAGES = 256
"""Images that are compared; a store of one machine compares up to 400, of which more change nothing."""
MOST_GROUPS = 64
"""Groups that are compared by themselves, those with the most images in the sampled shards; all others are one."""
GROUP_IMAGES = 48
"""Images of each of them: with the rest 3,300 images to read, and at most 2 GB of temporary files."""
LEAST_GROUP_IMAGES = 8
"""Fewer images of a group show too little of what repeats on it: they count to the others."""
_COUNTED_IMAGES = 4096
"""Images of a shard that are looked at for their groups."""
_SAMPLE_SHARDS = 32
"""Shards that they come from: a crawl's shards are of one time or site each, and each costs a read."""
_SPOOL_BYTES = 8_000_000_000
_SEED = "automask 1"
_POLL_S = 5.0


def sampled_templates(
    target: ShardTarget,
    source: ShardSource,
    shards: Sequence[Shard],
    pipeline: MaskPipeline,
    claims: Claims,
    *,
    group_by: str | None,
    refresh: bool,
    events: EventSink,
    stop: threading.Event,
) -> SampledTemplates:
    """The templates of a target: those it has, or those of a new sample. Nothing where no dataset detector is on.

    Args:
        target: The target.
        source: Its source.
        shards: All its shards.
        pipeline: Whose dataset detectors compare.
        claims: Of this driver.
        group_by: What makes a group, `none` for no groups; None = as the target has it, else no groups.
        refresh: Compare a new sample, whatever the target has.
        events: Called with progress and notices.
        stop: When set, nothing is found.

    Raises:
        ConfigError: `group_by` is nothing to group by, or no image tells its group.
        OutputError: Temporary files do not fit on the disk.
        Unreachable: Source or target do not answer.
    """
    asked = asked_groups(group_by, pipeline)
    if not pipeline.dataset_detectors:
        return SampledTemplates()
    key = [detector.fingerprint for detector in pipeline.dataset_detectors]
    while not stop.is_set():
        known = KeptTemplates.read(target)
        if known is not None and not refresh:
            if known.detectors != key:
                events(Notice(_of_other_detectors(target)))
            if group_by is not None and known.found.by != str(asked or ""):
                events(Notice(_of_other_groups(target, known.found.by)))
            return known.found
        if group_by is None and known is not None and known.found.by:
            asked = GroupBy.parse(known.found.by)
        other = claims.take(TEMPLATES_CLAIM)
        if other is None:
            try:
                found = _estimated(target, source.grouped(asked), shards, pipeline, asked, key, events, stop)
            finally:
                claims.release(TEMPLATES_CLAIM)
            return found
        events(StageProgress(TEMPLATES_CLAIM, f"{other} compares a sample", 0, None))
        stop.wait(_POLL_S)
    return SampledTemplates()


def asked_groups(group_by: str | None, pipeline: MaskPipeline) -> GroupBy | None:
    """What images are to be grouped by, None = nothing; asked before a source is listed, too.

    Raises:
        ConfigError: It is nothing to group by, or there is nothing that compares images.
    """
    asked = GroupBy.parse(group_by) if group_by is not None else None
    if asked is not None and not pipeline.dataset_detectors:
        raise ConfigError(
            "--group-by says which images are compared, and no dataset detector is on.",
            advice="Leave it out, or leave --dataset-detectors as it is.",
        )
    return asked


def _estimated(
    target: ShardTarget,
    source: ShardSource,
    shards: Sequence[Shard],
    pipeline: MaskPipeline,
    by: GroupBy | None,
    key: list[str],
    events: EventSink,
    stop: threading.Event,
) -> SampledTemplates:
    for detector in pipeline.dataset_detectors:
        detector.load()
    reading = _Reading(target, source, shards, pipeline.config, events, stop)
    groups = reading.groups(by) if by is not None else ()
    with (
        tempfile.TemporaryDirectory(prefix="automask-sample-") as folder,
        Spool(Path(folder), most_bytes=_SPOOL_BYTES) as spool,
    ):
        seen = reading.reduced(pipeline.dataset_detectors, groups, spool)
        if stop.is_set():
            return SampledTemplates()
        found = {
            group: _of_group(target, group, seen[group], pipeline.dataset_detectors, spool, events)
            for group in ("", *groups)
        }
    index: dict[str, Any] = {"seed": _SEED, "detectors": key, **_entry(found[""])}
    if by is not None:
        index |= {"group_by": str(by), "groups": {group: _entry(found[group]) for group in groups}}
    settle(index, decisions_in(read_index(target)))  # what people said of the same templates before
    target.folder.write(INDEX_NAME, json.dumps(index, indent=1).encode())
    kept = KeptTemplates.read(target)
    if kept is None:
        raise Unreachable(f"{INDEX_NAME} was written and is not there")
    if kept.found.waiting:
        events(Notice(_question(target, kept.found.waiting)))
    return kept.found


class _Reading:
    """Reads the sampled shards: the same ones and the same images for the same source, whoever asks."""

    def __init__(
        self,
        target: ShardTarget,
        source: ShardSource,
        shards: Sequence[Shard],
        config: PipelineConfig,
        events: EventSink,
        stop: threading.Event,
    ) -> None:
        self._target = target
        self._source = source
        self._config = config
        self._events = events
        self._stop = stop
        chosen = sorted(shards, key=lambda shard: _rank(shard.name))[:_SAMPLE_SHARDS]
        self._shards = sorted(chosen, key=lambda shard: shard.name)

    def groups(self, by: GroupBy) -> tuple[str, ...]:
        """The groups that are compared by themselves, in order of their names.

        Raises:
            ConfigError: No image tells its group.
        """
        counts: collections.Counter[str] = collections.Counter()
        for shard in self._shards:
            counts.update(sample.group for sample in self._first(shard, _COUNTED_IMAGES))
            self._events(StageProgress(TEMPLATES_CLAIM, "counting groups, images", counts.total(), None))
            if self._stop.is_set():
                return ()
        if counts.total() and not any(counts):
            raise ConfigError(
                f"--group-by {by}: none of {counts.total()} sampled images tells its group.",
                advice="`site` needs a column or a JSON key `url`, `column:NAME` one of that name, `prefix` folders. "
                "Run again with another one on the same target: its list of the source stays.",
            )
        large = [group for group, count in counts.items() if group and count >= LEAST_GROUP_IMAGES]
        return tuple(sorted(sorted(large, key=lambda group: (-counts[group], group))[:MOST_GROUPS]))

    def reduced(
        self, detectors: Sequence[DatasetDetector], groups: Collection[str], spool: Spool
    ) -> dict[str, list[list[ImageFacts]]]:
        """The images of each group as each detector compares them, in a spool; the group without a name has the rest.

        Raises:
            OutputError: They do not fit.
        """
        kept: dict[str, list[list[ImageFacts]]] = {group: [[] for _ in detectors] for group in ("", *groups)}
        left = {**dict.fromkeys(groups, GROUP_IMAGES), "": SAMPLE_IMAGES}
        each = -(-SAMPLE_IMAGES // max(1, len(self._shards)))
        seen, total = 0, sum(left.values())
        for shard in self._shards:
            rest = each  # of no group: a few of every shard
            for sample in self._first(shard, _COUNTED_IMAGES if groups else each):
                group = sample.group if sample.group in left else ""
                if self._stop.is_set() or not any(left.values()):
                    return kept
                if not left[group] or (not group and not rest):
                    continue
                try:
                    decoded = decode_bytes(sample.read(), image_id=sample.image, config=self._config.decode)
                except ImageError:
                    continue
                seen, left[group], rest = seen + 1, left[group] - 1, rest - (not group)
                self._events(StageProgress(TEMPLATES_CLAIM, "reading a sample", seen, total))
                image = decoded.image
                facts = ImageFacts(sample.image, decoded.content_sha256, image.width_px, image.height_px)
                for detector, those in zip(detectors, kept[group], strict=True):
                    pixels = detector.reduce(image)
                    if pixels is not None and all(facts.id != one.id for one in those):
                        spool.put(detector.name, facts.content_sha256, pixels)
                        those.append(facts)
        return kept

    def _first(self, shard: Shard, count: int) -> Iterator[Sample]:
        """Some images of a shard: by their hashes where they are files of their own, else the first of its file."""
        listed = None
        if self._source.kind == "folder":
            listed = sorted(self._target.read_list(shard), key=lambda one: _rank(one.image))[:count]
        try:
            samples = self._source.samples(shard, listed, most_bytes=largest_file_bytes(self._config.decode))
            for number, sample in enumerate(samples, start=1):
                yield sample
                if number == count:
                    return
        except ShardDamaged as damage:
            logger.info("the sample lacks images of shard %s: %s", shard.name, damage.message)


class _OfGroup:
    """What the images of one group share: names and contents of template files, and which images were compared."""

    def __init__(self) -> None:
        self.applied: dict[str, bytes] = {}
        self.waiting: list[str] = []
        self.images: set[str] = set()


def _of_group(
    target: ShardTarget,
    group: str,
    seen: Sequence[Sequence[ImageFacts]],
    detectors: Sequence[DatasetDetector],
    spool: Spool,
    events: EventSink,
) -> _OfGroup:
    """Compare the images of one group and keep what they share; only these are in memory."""
    found = _OfGroup()
    for detector, facts in zip(detectors, seen, strict=True):
        reduced = [_spooled(spool, detector, one) for one in detector.sample(facts)]
        found.images |= {one.facts.id for one in reduced}
        for template in _templates(detector, reduced, events):
            waits = WAITING_PREFIX if template.needs_review else ""
            name = f"templates/{group_folder(group)}{waits}{template.id}.template"
            # Whoever gives one that waits has decided about it: it is kept as it is to be looked for then.
            content = detector.confirmed(template).content if template.needs_review else template.content
            target.folder.write(name, content)
            target.folder.write(f"{name.removesuffix('.template')}.png", template.picture_png)
            if template.needs_review:
                found.waiting.append(name)
            else:
                found.applied[name] = content
    return found


def _entry(found: _OfGroup) -> Mapping[str, list[str]]:
    return {"images": sorted(found.images), "applied": list(found.applied), "waiting": found.waiting}


def _spooled(spool: Spool, detector: DatasetDetector, facts: ImageFacts) -> ReducedImage:
    pixels = spool.get(detector.name, facts.content_sha256)
    if pixels is None:
        raise OutputError(
            f"The sample of what repeats does not fit into {tempfile.gettempdir()}.",
            advice="Free 2 GB there, or set TMPDIR to another disk.",
            code="disk-full",
        )
    return ReducedImage(facts, pixels)


def _templates(detector: DatasetDetector, reduced: Sequence[ReducedImage], events: EventSink) -> list[DatasetTemplate]:
    events(StageProgress(detector.name, "comparing", len(reduced), None))
    try:
        return detector.estimate(reduced)
    except Exception as error:
        logger.warning("%s failed while comparing a sample", detector.name, exc_info=error)
        what = str(error) if isinstance(error, AutomaskError) else f"{type(error).__name__}: {error}"
        message = f"{detector.name} failed while comparing a sample ({what}); the masks are made without it."
        events(Notice(Issue(detector.name, "dataset-stage-failed", message)))
        return []


def _rank(name: str) -> str:
    return hashlib.sha256(f"{_SEED} {name}".encode()).hexdigest()


def _of_other_detectors(target: ShardTarget) -> Issue:
    message = (
        f"The templates in {target.label}/templates were found by another version or other options of the detectors; "
        "they are used as they are. --refresh-templates finds them anew, and does all shards again."
    )
    return Issue("run", "templates-old", message)


def _of_other_groups(target: ShardTarget, by: str) -> Issue:
    how = f"with --group-by {by}" if by else "without groups"
    message = (
        f"The templates in {target.label}/templates were found {how}, and stay so. "
        " --refresh-templates with --group-by finds them anew, and does all shards again."
    )
    return Issue("run", "templates-old", message)


def _question(target: ShardTarget, waiting: Sequence[str]) -> Issue:
    message = (
        f"{len(waiting)} marks or frames repeat in the sample but may belong to the pictures, and are not masked: "
        f"`automask overlays list {target.label}` has their ids, `overlays show` draws one, and `overlays apply` or "
        "`forget` decides."
    )
    return Issue("run", "templates-wait", message)
