"""The second pass of a run: what repeats across the dataset, and the masks that change by it. No model runs."""

from __future__ import annotations

import collections
import logging
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from automask.dataset.decode import DecodeData, DecodingStopped
from automask.dataset.names import path_of
from automask.dataset.stored import decode_unchanged
from automask.errors import AutomaskError, OutputError, StoreError
from automask.protocols import DatasetDetector, ImageFacts, ReducedImage, TemplateFinder
from automask.run.edited import adopt_edited_mask
from automask.run.events import QUESTION_CODE, MaskUpdated, Notice, StageDone, StageProgress, Tally
from automask.run.loaded import is_current
from automask.run.pipeline import MaskPipeline
from automask.run.redraw import redraw_image
from automask.run.spool import Spool
from automask.store import Status, Store, StoredImage
from automask.store.records import NO_TEMPLATES
from automask.values.digests import digest
from automask.values.templates import SHORT_ID, DatasetTemplate, TemplateOrigin, question_words
from automask.values.types import Image, Issue, Region, Verdict

logger = logging.getLogger(__name__)

_THREADS = 2
_AHEAD = 8
_ESTIMATE_VERSION = 2
"""Raised when estimates that older versions took for complete may not have been."""


class SecondPass:
    """Estimates templates from all images of a store, finds them in each, and draws the masks that change.

    Everything follows from what the store and the image files hold, so that a pass that was killed is simply begun
    again, and full, interrupted and incremental runs end with the same masks.

    Args:
        store: Whose run this is; its lock is held.
        pipeline: With the dataset detectors.
        source: The folder that image ids are relative to.
        spool: What the first pass reduced.
        tally: Takes events.
        stop: When set, the pass ends early.
        decode_data: Decodes files that the spool does not hold.
    """

    def __init__(
        self,
        *,
        store: Store,
        pipeline: MaskPipeline,
        source: Path,
        spool: Spool,
        tally: Tally,
        stop: threading.Event,
        decode_data: DecodeData,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._detectors = pipeline.dataset_detectors
        self._source = source
        self._spool = spool
        self._tally = tally
        self._stop = stop
        self._decode_data = decode_data
        self._name = ", ".join(detector.name for detector in self._detectors) or "templates"

    def work(self) -> bool:
        """Do all of it, or stop early when asked to; tells whether all was done."""
        started = time.perf_counter()
        try:
            finished = self._estimate() and self._search()
        except DecodingStopped:
            finished = False
        if finished:
            self._store.templates.prune()
            self._tell_what_waits()
        if self._detectors:
            self._tally(StageDone(self._name, time.perf_counter() - started))
        return finished

    def _estimate(self) -> bool:
        """Bring the active templates up to date."""
        table = self._store.templates
        samples = [(detector, detector.sample(self._store.facts())) for detector in self._detectors]
        key = digest(
            [
                _ESTIMATE_VERSION,
                [self._pipeline.config.decode.model_dump(mode="json")],
                *([detector.fingerprint, [facts.content_sha256 for facts in sample]] for detector, sample in samples),
            ]
        )
        if key != table.sample_fingerprint():
            templates: list[DatasetTemplate] = []
            is_complete = True
            self._load()
            for detector, sample in samples:
                reduced, unreadable = self._reduced(detector, sample)
                if self._stop.is_set():
                    return False
                is_complete = is_complete and not unreadable
                self._tally(StageProgress(detector.name, "comparing", 0, None))
                try:
                    templates += detector.estimate(reduced)
                except Exception as error:
                    self._fail(detector.name, error, doing="comparing the images")
                    is_complete = False
            self._keep_decisions(templates)
            # An estimate without some of its images is as good as it gets now; the next run makes it again.
            table.replace(templates, origin=TemplateOrigin.ESTIMATED, sample_fingerprint=key if is_complete else "")
        table.replace(self._pipeline.saved_templates.templates, origin=TemplateOrigin.SAVED)
        return True

    def _keep_decisions(self, templates: Sequence[DatasetTemplate]) -> None:
        """A template that was estimated from other images than before is decided as the one before was."""
        by_name = {detector.name: detector for detector in self._detectors}
        known = self._store.templates.all()
        decided = [each for each in known if each.decision is not None]
        for template in templates:
            if any(each.template.id == template.id for each in decided):
                continue
            for each in decided:
                same_detector = each.template.detector == template.detector
                if same_detector and by_name[template.detector].is_same(each.template, template):
                    self._store.templates.inherit(template, each)
                    break

    def _search(self) -> bool:
        """Find the active templates in every image that was not searched for just these, and draw what changes."""
        active = [each.template for each in self._store.templates.all() if each.is_active]
        finders = [
            (detector, detector.finder([each for each in active if each.detector == detector.name]))
            for detector in self._detectors
        ]
        ids = sorted(each.id for each in active if any(each.detector == one.name for one in self._detectors))
        fingerprint = digest([[one.fingerprint for one in self._detectors], ids]) if ids else NO_TEMPLATES
        done, total = 0, self._store.templates.count_unsearched(fingerprint)
        pending: collections.deque[Future[None]] = collections.deque()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="automask-second") as pool:
            for row in self._store.images(status=Status.DONE, unsearched=fingerprint) if total else ():
                if self._stop.is_set():
                    break
                done += 1
                if ids:  # no image may have been analysed in this run, or another process does that
                    self._load()
                pending.append(pool.submit(self._search_image, row, finders if ids else (), fingerprint))
                if len(pending) >= _AHEAD:
                    pending.popleft().result()
                    self._tally(StageProgress(self._name, "finding", done - len(pending), total))
            while pending:
                pending.popleft().result()
        return not self._stop.is_set()

    def _load(self) -> None:
        for detector in self._detectors:
            detector.load()

    def _search_image(
        self, row: StoredImage, finders: Sequence[tuple[DatasetDetector, TemplateFinder]], fingerprint: str
    ) -> None:
        facts = _facts_of(row)
        if facts is None:
            return
        regions: list[Region] = []
        decoded: Image | None = None
        for detector, finder in finders:
            pixels = self._spool.get(detector.name, facts.content_sha256)
            if pixels is None:
                decoded = decoded or self._decoded(row)
                if decoded is None:
                    return  # gone or changed since: the next run meets it
                pixels = detector.reduce(decoded)
            if pixels is None:
                continue
            try:
                regions += finder.find(ReducedImage(facts, pixels))
            except Exception as error:
                self._fail(detector.name, error, doing=f"searching {row.image_id}")
                return
        self._store.templates.put_matches(
            row.image_id, regions, content_sha256=facts.content_sha256, fingerprint=fingerprint
        )
        self._redraw(row)

    def _redraw(self, before: StoredImage) -> None:
        row = self._store.lookup(before.image_id)
        if row is None or row.fingerprints is None:
            return
        config = self._pipeline.config
        if is_current(row, config, correction_revision=row.correction_revision):
            return
        edited = adopt_edited_mask(self._store, row)
        if edited is not None:
            self._tally(Notice(edited))
        drawn = redraw_image(self._store, row, config)
        if drawn is None:
            return
        settled = self._store.lookup(row.image_id) or row
        self._tally(
            MaskUpdated(
                row.image_id,
                before=before.verdict or Verdict.REVIEW,
                verdict=settled.verdict or drawn.judged.verdict,
                masked_share_before=before.masked_share or 0.0,
                masked_share=drawn.mask.masked_share,
            )
        )

    def _reduced(self, detector: DatasetDetector, sample: Sequence[ImageFacts]) -> tuple[list[ReducedImage], int]:
        """The images of a sample at the size that a detector compares them at, and how many could not be read."""
        reduced: list[ReducedImage] = []
        unreadable = 0
        for facts in sample:
            if self._stop.is_set():
                break
            pixels = self._spool.get(detector.name, facts.content_sha256)
            if pixels is None:
                row = self._store.lookup(facts.id)
                image = self._decoded(row) if row is not None else None
                if image is None:
                    unreadable += 1
                    continue
                pixels = detector.reduce(image)
            if pixels is not None:
                reduced.append(ReducedImage(facts, pixels))
            self._tally(StageProgress(detector.name, "comparing", len(reduced), len(sample)))
        return reduced, unreadable

    def _decoded(self, row: StoredImage) -> Image | None:
        path, config = path_of(self._source, row.image_id), self._pipeline.config.decode
        return decode_unchanged(row, path, config, decode_data=self._decode_data)

    def _fail(self, stage: str, error: Exception, *, doing: str) -> None:
        if isinstance(error, (OutputError, StoreError)):
            raise error
        logger.warning("%s failed while %s", stage, doing, exc_info=error)
        what = str(error) if isinstance(error, AutomaskError) else f"{type(error).__name__}: {error}"
        message = f"{stage} failed while {doing} ({what}); the masks are made without it."
        self._tally(Notice(Issue(stage=stage, code="dataset-stage-failed", message=message)))

    def _tell_what_waits(self) -> None:
        root = shlex.quote(str(self._store.root))
        waiting = [each for each in self._store.templates.all() if each.waits_for_decision]
        for each in sorted(waiting, key=lambda one: (-one.matches, one.template.id)):
            named = f"{root} {each.template.id[:SHORT_ID]}"
            ways = (f"yes: automask overlays apply {named}", f"no: automask overlays forget {named}")
            message = "\n".join((question_words(each), *ways, f"to see them first: automask review {root}"))
            self._tally(Notice(Issue(stage=self._name, code=QUESTION_CODE, message=message)))


def _facts_of(row: StoredImage) -> ImageFacts | None:
    if row.content_sha256 is None or row.width_px is None or row.height_px is None:
        return None
    return ImageFacts(row.image_id, row.content_sha256, row.width_px, row.height_px)
