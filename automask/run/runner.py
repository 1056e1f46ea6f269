"""A run over a dataset: walk, decode ahead, models, masks behind, then what repeats; resumable at any instant."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from automask.config import PipelineConfig
from automask.dataset.codes import SkipReason
from automask.dataset.decode import Decoded, DecodeData, DecodingStopped, decode, decode_bytes
from automask.dataset.image_file import ImageFile
from automask.dataset.lists import read_image_list
from automask.dataset.names import has_file
from automask.dataset.walk import Skipped, walk
from automask.errors import ImageError, InputError, OutputError
from automask.run.edited import adopt_edited_mask
from automask.run.events import (
    Counted,
    EventSink,
    FileSkipped,
    ImageFailed,
    ImageReused,
    Notice,
    RunSummary,
    Tally,
)
from automask.run.pipeline import MaskPipeline
from automask.run.second_pass import SecondPass
from automask.run.spool import Spool
from automask.run.writer import MaskWriter
from automask.store import Plan, Store, StoredImage, Work, is_store
from automask.store.records import RunStatus
from automask.values.templates import TEMPLATE_ATTRIBUTE
from automask.values.types import Issue, Verdict
from automask.version import __version__

_DECODE_THREADS = 2
_DECODED_AHEAD_PX = 120_000_000
"""Decoded pixels that may wait for the models: a queue of posters must not cost more memory than one of thumbnails."""
_ASKED_AT_ONCE = 256
"""Files that the store is asked about in one go: enough to make the question cheap, and the first image still comes
after the first few hundred names."""
_OUTPUT_FOLDERS = ("masks", "report", "exports")
"""Folders with pictures in a store."""

Items = Iterator[ImageFile | Skipped]
Choice = Callable[[ImageFile], SkipReason | None]
"""Why a run should pass over a file that is an image, or None."""


def default_output(source: Path) -> Path:
    """Where masks go unless told otherwise: beside the folder, never inside it, where trainers would read them."""
    source = source.resolve()
    return source.with_name(f"{source.name}-masks")


def run_dataset(
    source: Path,
    output: Path,
    config: PipelineConfig,
    *,
    image_list: Path | None = None,
    choose: Choice = lambda file: None,
    events: EventSink = lambda event: None,
    stop: threading.Event | None = None,
    pipeline: MaskPipeline | None = None,
    decode_data: DecodeData = decode_bytes,
) -> RunSummary:
    """Make or bring up to date the masks of a folder of images.

    Args:
        source: The dataset. With `image_list`, the folder of the list.
        output: The store's folder; made where missing.
        config: What masks look like.
        image_list: Only the images that this list names, instead of all in `source`.
        choose: Asked about every image, from two threads.
        events: Called with every event, one at a time, from five threads: the caller's, one that counts, one that
            writes, and two of the second pass.
        stop: When set, the image in hand is finished and the run ends as interrupted.
        pipeline: A pipeline built from the same configuration, to save loading models again.
        decode_data: Decodes the files, from five threads of which no more than two ask at a time: two of the first
            pass, then the caller's, then two of the second pass. What it raises as `DecodingStopped` ends the run as
            `stop` does.

    Raises:
        ConfigError: The configuration names unknown stages or options.
        InputError: The folder does not exist or holds no image.
        OutputError: The output cannot be written, is the input itself, or holds images of somebody else.
        StoreError: The output is a store that cannot be used, or that another run owns.
        WeightsError: Weights that a stage cannot do without are missing.
    """
    started = time.perf_counter()
    stop = stop or threading.Event()
    tally = Tally(events)
    source, output = _checked_places(source, output)
    pipeline = pipeline or MaskPipeline.from_config(config)
    for notice in pipeline.notices:
        tally(Notice(notice))
    items = _first_image(_items(source, output, image_list, tally, choose), source, tally)
    if source in output.parents:
        tally(Notice(_inside_input(output)))
    with Store.open(output, create=True) as store, store.lock(), Spool(output) as spool:
        run_id = store.begin_run(config_json=config.model_dump_json(), input_root=str(source), version=__version__)
        counter = threading.Thread(target=_count, args=(source, output, image_list, tally, stop, choose), daemon=True)
        run = _Run(
            store=store,
            pipeline=pipeline,
            spool=spool,
            tally=tally,
            stop=stop,
            decode_data=decode_data,
            on_work=counter.start,
        )
        second = SecondPass(
            store=store, pipeline=pipeline, source=source, spool=spool, tally=tally, stop=stop, decode_data=decode_data
        )
        finished = False
        try:
            finished = run.work(items)
            missing = _mark_missing(store, source) if finished and image_list is None else 0
            finished = finished and second.work()
            if finished:
                store.apply_review_budget(config.review.budget)
        finally:
            status: RunStatus = "done" if finished else "interrupted" if stop.is_set() else "failed"
            store.finish_run(run_id, status=status, notices=tally.about_dataset if finished else None)
    return tally.summary(
        output=output,
        missing=missing,
        placements=pipeline.placements,
        seconds=time.perf_counter() - started,
        interrupted=not finished,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _TimedDecode:
    decoded: Decoded
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Pending:
    """An image on its way from the disk to the models."""

    file: ImageFile
    plan: Plan
    future: Future[_TimedDecode]

    @property
    def decoded_px(self) -> int:
        if not self.future.done() or self.future.exception() is not None:
            return 0
        image = self.future.result().decoded.image
        return image.width_px * image.height_px


class _Run:
    """The first pass. The caller's thread runs the models, two threads decode and reduce, one writes."""

    def __init__(
        self,
        *,
        store: Store,
        pipeline: MaskPipeline,
        spool: Spool,
        tally: Tally,
        stop: threading.Event,
        decode_data: DecodeData,
        on_work: Callable[[], None],
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._spool = spool
        self._tally = tally
        self._stop = stop
        self._decode_data = decode_data
        self._pending: collections.deque[_Pending] = collections.deque()
        self._told_devices: set[str] = set()
        self._on_work: Callable[[], None] | None = on_work

    def work(self, items: Items) -> bool:
        """Deal with every item, or stop early when asked to; tells whether all were dealt with."""
        runtime = self._pipeline.config.runtime
        decoders = ThreadPoolExecutor(_DECODE_THREADS, thread_name_prefix="automask-decode")
        with MaskWriter(self._store, self._pipeline, self._tally) as writer:
            try:
                for item, verdict in self._looked_up(items):
                    if self._stop.is_set():
                        return False
                    writer.raise_if_broken()
                    if isinstance(item, Skipped):
                        self._tally(FileSkipped(item.path, str(item.reason)))
                        continue
                    if verdict is not None:
                        self._tally(ImageReused(item.id, verdict))
                        continue
                    self._take(item, decoders, writer)
                    while self._queue_is_full(runtime.prefetch + runtime.batch_size):
                        self._analyse(writer, runtime.batch_size)
                while self._pending and not self._stop.is_set():
                    writer.raise_if_broken()
                    self._analyse(writer, runtime.batch_size)
                if self._on_work is not None:
                    self._tally(Counted(self._tally.reused))
                return not self._pending
            except DecodingStopped:
                return False
            finally:
                decoders.shutdown(wait=True, cancel_futures=True)

    def _looked_up(self, items: Items) -> Iterator[tuple[ImageFile | Skipped, Verdict | None]]:
        """The items, those for which nothing has to be done with their verdicts."""
        while batch := list(itertools.islice(items, _ASKED_AT_ONCE)):
            files = [item for item in batch if isinstance(item, ImageFile)]
            settled = self._store.settled(files, self._pipeline.fingerprints)
            for item in batch:
                yield item, settled.get(item.id) if isinstance(item, ImageFile) else None

    def _take(self, file: ImageFile, decoders: ThreadPoolExecutor, writer: MaskWriter) -> None:
        if self._on_work is not None:
            self._on_work()
            self._on_work = None
        plan = self._store.plan(file, self._pipeline.fingerprints)
        if plan.work is not Work.NONE and plan.image is not None:
            issue = adopt_edited_mask(self._store, plan.image)
            if issue is not None:
                self._tally(Notice(issue))
        match plan.work:
            case Work.NONE:
                self._tally(ImageReused(file.id, _verdict(plan.image)))
            case Work.RENDER:
                writer.render(file)
            case Work.REFINE | Work.DETECT:
                future = decoders.submit(self._decode, file)
                self._pending.append(_Pending(file, plan, future))

    def _decode(self, file: ImageFile) -> _TimedDecode:
        started = time.perf_counter()
        decoded = decode(file, self._pipeline.config.decode, decode_data=self._decode_data)
        seconds = time.perf_counter() - started
        for detector in self._pipeline.dataset_detectors:
            pixels = detector.reduce(decoded.image)
            if pixels is not None:
                self._spool.put(detector.name, decoded.content_sha256, pixels)
        return _TimedDecode(decoded, seconds)

    def _queue_is_full(self, most: int) -> bool:
        if len(self._pending) >= most:
            return True
        return len(self._pending) > 1 and sum(p.decoded_px for p in self._pending) > _DECODED_AHEAD_PX

    def _analyse(self, writer: MaskWriter, batch_size: int) -> None:
        batch = [self._pending.popleft() for _ in range(min(batch_size, len(self._pending)))]
        ready: list[tuple[_Pending, _TimedDecode]] = []
        for pending in batch:
            try:
                ready.append((pending, pending.future.result()))
            except ImageError as error:
                issue = Issue(stage="decode", code=error.code, message=str(error), severity="error")
                self._store.put_failure(pending.file, [issue])
                self._tally(ImageFailed(pending.file.id, (issue,)))
        fresh = [(p, d) for p, d in ready if p.plan.work is Work.DETECT]
        results = self._pipeline.analyse([d.decoded.image for _, d in fresh]) if fresh else []
        for (pending, timed), result in zip(fresh, results, strict=True):
            writer.write(pending.file, timed.decoded, result, decode_s=timed.seconds, work="analysed")
        for pending, timed in ready:
            if pending.plan.work is Work.REFINE:
                stored = self._store.result(pending.file.id)
                found = stored.regions if stored is not None else ()
                regions = [region for region in found if TEMPLATE_ATTRIBUTE not in region.attributes]
                result = self._pipeline.refine(timed.decoded.image, regions)
                writer.write(pending.file, timed.decoded, result, decode_s=timed.seconds, work="refined")
        if ready:
            self._tell_devices()

    def _tell_devices(self) -> None:
        """Tell of networks that run elsewhere than they were asked to, once each; before a call nobody knows."""
        reasons: dict[str, list[str]] = {}
        for stage, place in self._pipeline.placements.items():
            if place.reason:
                reasons.setdefault(f"on {place}: {place.reason}", []).append(stage)
        for where, stages in reasons.items():
            if where in self._told_devices:
                continue
            self._told_devices.add(where)
            message = f"{', '.join(stages)} {'runs' if len(stages) == 1 else 'run'} {where}."
            self._tally(Notice(Issue(stage=stages[0], code="device-other", message=message)))


def _checked_places(source: Path, output: Path) -> tuple[Path, Path]:
    if not source.is_dir():
        found = "is a file" if source.exists() else "does not exist"
        raise InputError(
            f"{source} {found}; a folder of images is needed.",
            advice="Check the path; `--from` takes a list of images.",
            code="input-not-a-folder",
        )
    source, output = source.resolve(), output.resolve()
    if output == source:
        raise OutputError(
            f"The output {output} is the input folder.",
            advice="Choose another --output: trainers read every image in the folder, masks too.",
            code="output-is-input",
        )
    if output.exists() and not output.is_dir():
        raise OutputError(f"The output {output} is a file.", advice="Choose a folder.", code="output-not-a-folder")
    if output.exists() and not is_store(output):
        _refuse_images(source, output)
    return source, output


def _refuse_images(source: Path, output: Path) -> None:
    """Refuse a folder of images as a new store, after which it could not be the input of a run any more."""
    ours = [output / name for name in _OUTPUT_FOLDERS]  # left by a store whose database was deleted to start again
    try:
        found = next((item for item in walk(output, exclude=[source, *ours]) if isinstance(item, ImageFile)), None)
    except InputError:
        return  # not readable: opening the store says what is wrong with it
    if found is not None:
        raise OutputError(
            f"The output {output} is a folder of images: it holds {found.id}.",
            advice="Choose another --output, such as a new folder: this one could not be used as an input afterwards.",
            code="output-holds-images",
        )


def _inside_input(output: Path) -> Issue:
    message = (
        f"The output {output} lies inside the input folder. It is left out of the run, but trainers that read "
        "sub-folders would take masks for images: better choose an --output beside the input."
    )
    return Issue(stage="run", code="output-inside-input", message=message)


def _items(source: Path, output: Path, image_list: Path | None, tally: Tally | None, choose: Choice) -> Items:
    for item in _all_items(source, output, image_list, tally):
        reason = choose(item) if isinstance(item, ImageFile) else None
        yield item if reason is None or isinstance(item, Skipped) else Skipped(item.id, reason)


def _all_items(source: Path, output: Path, image_list: Path | None, tally: Tally | None) -> Items:
    if image_list is not None:
        return read_image_list(image_list)
    if is_store(source):
        raise InputError(
            f"{source} is an output of automask, not a folder of images.",
            advice="Give the folder of the images.",
            code="input-is-a-store",
        )
    on_issue = None if tally is None else lambda issue: tally(Notice(issue))
    return walk(source, exclude=[output], on_issue=on_issue)


def _first_image(items: Items, source: Path, tally: Tally) -> Items:
    """The items from the first image on; nothing is created on disk for a folder without any."""
    for item in items:
        if isinstance(item, ImageFile):
            return itertools.chain([item], items)
        tally(FileSkipped(item.path, str(item.reason)))
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.skipped.items()))
    raise InputError(
        f"There is no image in {source}" + (f" (skipped: {skipped})." if skipped else "."),
        advice="Images are png, jpg, webp, avif, bmp, gif and tiff files.",
        code="input-empty",
    )


def _count(
    source: Path, output: Path, image_list: Path | None, tally: Tally, stop: threading.Event, choose: Choice
) -> None:
    total = 0
    try:
        for item in _items(source, output, image_list, None, choose):
            total += isinstance(item, ImageFile)
            if stop.is_set():
                return
    except InputError:
        return  # the run itself meets the same and says so
    tally(Counted(total))


def _mark_missing(store: Store, source: Path) -> int:
    return store.mark_missing(lambda image_id: not has_file(source, image_id))


def _verdict(stored: StoredImage | None) -> Verdict:
    return stored.verdict if stored is not None and stored.verdict is not None else Verdict.REVIEW
