"""What repeats in a sharded source: found in a sample once, kept in the target, looked for in every image from then on.

Frames and marks that only a person can decide about are kept beside them and not looked for: one question about 10^8
images is asked of the sample, not of each of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from automask.config import PipelineConfig
from automask.dataset.decode import decode_bytes, largest_file_bytes
from automask.dataset.shards.samples import Sample, Shard, ShardDamaged, ShardSource
from automask.errors import AutomaskError, ImageError
from automask.protocols import DatasetDetector, ImageFacts, ReducedImage
from automask.run.events import EventSink, Notice, StageProgress
from automask.run.pipeline import MaskPipeline
from automask.run.saved_templates import SavedTemplates
from automask.run.shards.claims import Claims
from automask.run.shards.target import ShardTarget, json_or_none
from automask.values.templates import DatasetTemplate
from automask.values.types import Issue

logger = logging.getLogger(__name__)

SAMPLE_IMAGES = 256
"""Images that are compared; a store of one machine compares up to 400, of which more change nothing."""
_SAMPLE_SHARDS = 32
"""Shards that they come from: a crawl's shards are of one time or site each, and each costs a read."""
_SEED = "automask 1"
_INDEX_NAME = "templates/templates.json"
_CLAIM = "templates"
_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class SampledTemplates:
    """What the sample showed.

    Attributes:
        applied: Files of templates that are looked for in every image.
        waiting: Names of files, relative to the target, of those that a person has to decide about.
    """

    applied: tuple[bytes, ...] = ()
    waiting: tuple[str, ...] = ()


def sampled_templates(
    target: ShardTarget,
    source: ShardSource,
    shards: Sequence[Shard],
    pipeline: MaskPipeline,
    claims: Claims,
    *,
    refresh: bool,
    events: EventSink,
    stop: threading.Event,
) -> SampledTemplates:
    """The templates of a target: those it has, or those of a new sample. Nothing where no dataset detector is on.

    Raises:
        Unreachable: Source or target do not answer.
    """
    if not pipeline.dataset_detectors:
        return SampledTemplates()
    key = [detector.fingerprint for detector in pipeline.dataset_detectors]
    while not stop.is_set():
        known = None if refresh else _kept(target)
        if known is not None:
            found, made_by = known
            if made_by != key:
                events(Notice(_of_other_detectors(target)))
            return found
        other = claims.take(_CLAIM)
        if other is None:
            try:
                found = _estimated(target, source, shards, pipeline, key, events, stop)
            finally:
                claims.release(_CLAIM)
            return found
        events(StageProgress(_CLAIM, f"{other} compares a sample", 0, None))
        stop.wait(_POLL_S)
    return SampledTemplates()


def with_templates(pipeline: MaskPipeline, contents: Sequence[bytes]) -> None:
    """Let a pipeline look for templates beside those of its configuration, and for none that it was given before."""
    own = SavedTemplates.read(pipeline.config.templates, pipeline.dataset_detectors)
    pipeline.saved_templates = own.joined(SavedTemplates.of_contents(contents, pipeline.dataset_detectors))


def _kept(target: ShardTarget) -> tuple[SampledTemplates, list[str]] | None:
    try:
        index = json_or_none(target.folder.read(_INDEX_NAME))
        applied = tuple(target.folder.read(name) for name in index["applied"])
        return SampledTemplates(applied, tuple(index["waiting"])), list(index["detectors"])
    except (FileNotFoundError, TypeError, KeyError):
        return None  # never made, or cut short: the index is written last


def _estimated(
    target: ShardTarget,
    source: ShardSource,
    shards: Sequence[Shard],
    pipeline: MaskPipeline,
    key: list[str],
    events: EventSink,
    stop: threading.Event,
) -> SampledTemplates:
    applied: list[tuple[str, bytes]] = []
    waiting: list[str] = []
    images: list[str] = []
    for detector in pipeline.dataset_detectors:
        detector.load()
    samples = _sample(target, source, shards, pipeline.config, events, stop)
    for detector, reduced in _reduced(pipeline.dataset_detectors, samples, pipeline.config):
        images = sorted({*images, *(one.facts.id for one in reduced)})
        for template in _templates(detector, reduced, events):
            name = f"templates/{'waiting-' if template.needs_review else ''}{template.id}.template"
            # Whoever gives one that waits has decided about it: it is kept as it is to be looked for then.
            content = detector.confirmed(template).content if template.needs_review else template.content
            target.folder.write(name, content)
            target.folder.write(f"{name.removesuffix('.template')}.png", template.picture_png)
            if template.needs_review:
                waiting.append(name)
            else:
                applied.append((name, content))
    if stop.is_set():
        return SampledTemplates()
    index = {"seed": _SEED, "detectors": key, "images": images, "applied": [name for name, _ in applied]}
    target.folder.write(_INDEX_NAME, json.dumps({**index, "waiting": waiting}, indent=1).encode())
    if waiting:
        events(Notice(_question(target, waiting)))
    return SampledTemplates(tuple(content for _, content in applied), tuple(waiting))


def _sample(
    target: ShardTarget,
    source: ShardSource,
    shards: Sequence[Shard],
    config: PipelineConfig,
    events: EventSink,
    stop: threading.Event,
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the sampled images: the same shards and images for the same source, whoever asks."""
    chosen = sorted(shards, key=lambda shard: _rank(shard.name))[:_SAMPLE_SHARDS]
    each = -(-SAMPLE_IMAGES // max(1, len(chosen)))
    seen = 0
    for shard in sorted(chosen, key=lambda shard: shard.name):
        for sample in _first(target, source, shard, each, config):
            if stop.is_set():
                return
            try:
                data = sample.read()
            except ImageError:
                continue
            seen += 1
            events(StageProgress(_CLAIM, "reading a sample", seen, SAMPLE_IMAGES))
            yield sample.image, data


def _first(
    target: ShardTarget, source: ShardSource, shard: Shard, count: int, config: PipelineConfig
) -> Iterator[Sample]:
    """Some images of a shard: by their hashes where they are files of their own, else the first of its file."""
    listed = None
    if source.kind == "folder":
        listed = sorted(target.read_list(shard), key=lambda one: _rank(one.image))[:count]
    try:
        samples = source.samples(shard, listed, most_bytes=largest_file_bytes(config.decode))
        for number, sample in enumerate(samples, start=1):
            yield sample
            if number == count:
                return
    except ShardDamaged as damage:
        logger.info("the sample lacks images of shard %s: %s", shard.name, damage.message)


def _reduced(
    detectors: Sequence[DatasetDetector], samples: Iterator[tuple[str, bytes]], config: PipelineConfig
) -> Iterator[tuple[DatasetDetector, list[ReducedImage]]]:
    """The sampled images as each detector compares them; nothing larger is kept in memory."""
    found: list[dict[str, ReducedImage]] = [{} for _ in detectors]
    for name, data in samples:
        try:
            decoded = decode_bytes(data, image_id=name, config=config.decode)
        except ImageError:
            continue
        facts = ImageFacts(name, decoded.content_sha256, decoded.image.width_px, decoded.image.height_px)
        for detector, kept in zip(detectors, found, strict=True):
            pixels = detector.reduce(decoded.image)
            if pixels is not None:
                kept[name] = ReducedImage(facts, pixels)
    for detector, kept in zip(detectors, found, strict=True):
        yield detector, [kept[facts.id] for facts in detector.sample([one.facts for one in kept.values()])]


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


def _question(target: ShardTarget, waiting: Sequence[str]) -> Issue:
    message = (
        f"{len(waiting)} marks or frames repeat in the sample but may belong to the pictures, and are not masked: look "
        f"at {target.label}/templates/waiting-*.png, and give the .template files of those that do not belong there "
        "with --templates."
    )
    return Issue("run", "templates-wait", message)
