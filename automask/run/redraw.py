"""The masks of a store again under another rendering or policy: no model runs, no image is read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from automask.config import PipelineConfig
from automask.errors import StoreError
from automask.mask.drawing import Drawn
from automask.run.edited import adopt_edited_mask
from automask.run.events import Counted, EventSink, ImageReused, Notice, RunSummary, Tally, mask_drawn
from automask.run.loaded import Loaded, is_current
from automask.store import Status, Store, StoredImage
from automask.values.types import Verdict
from automask.version import __version__


def redraw_store(
    root: Path,
    config: PipelineConfig,
    *,
    events: EventSink = lambda event: None,
    stop: threading.Event | None = None,
) -> RunSummary:
    """Draw every mask of a store again.

    Masks that were drawn under the same settings are left alone. Corrections are part of the masks as always.

    Args:
        root: The store's folder.
        config: The configuration of the store's last run with other `render`, `policy` or `review` sections.
        events: Called with every event.
        stop: When set, the image in hand is finished and the work ends as interrupted.

    Raises:
        StoreError: There is no usable store, nothing was ever run on it, or a run owns it.
        OutputError: A mask cannot be written.
    """
    started = time.perf_counter()
    stop = stop or threading.Event()
    tally = Tally(events)
    with Store.open(root) as store, store.lock():
        last = store.last_run()
        if last is None:
            raise StoreError(f"{root} has no run to draw again.", advice="Run `automask run` first.")
        run_id = store.begin_run(config_json=config.model_dump_json(), input_root=last.input_root, version=__version__)
        tally(Counted(store.counts().done))
        finished = False
        try:
            for stored in store.images(status=Status.DONE):
                if stop.is_set():
                    break
                _redraw(store, stored, config, tally)
            finished = not stop.is_set()
            if finished:
                store.apply_review_budget(config.review.budget)
        finally:
            store.finish_run(run_id, status="done" if finished else "interrupted" if stop.is_set() else "failed")
    return tally.summary(
        output=root.resolve(), missing=0, placements={}, seconds=time.perf_counter() - started, interrupted=not finished
    )


def stored_config(root: Path) -> PipelineConfig:
    """The configuration of a store's last run.

    Raises:
        StoreError: There is no usable store, or no run that this version understands.
    """
    with Store.open(root, read_only=True) as store:
        last = store.last_run()
    if last is None:
        raise StoreError(f"{root} has no run to draw again.", advice="Run `automask run` first.")
    try:
        return PipelineConfig.model_validate_json(last.config_json)
    except ValueError as error:
        raise StoreError(
            f"The configuration of {root} was written by automask {last.version}, which had other keys.",
            advice="Run `automask run` on its folder once.",
        ) from error


def redraw_image(
    store: Store, stored: StoredImage, config: PipelineConfig, *, mask_name: str | None = None
) -> Drawn | None:
    """Draw the mask of one image again, with its newest correction, and keep it. Needs no lock.

    What a person saved over the mask file in the meantime becomes the newest correction first.

    Args:
        store: Where the image is from.
        stored: Its row.
        config: What to draw under; the newest run's, unless every image is drawn again.
        mask_name: Where to; None keeps the name that it has.

    Returns:
        What was drawn, or None where nothing usable is stored.

    Raises:
        StoreError: The store cannot be read.
        OutputError: The mask cannot be written.
        ImageError: The file system cannot hold a mask of that name.
    """
    adopt_edited_mask(store, stored)  # callers that tell a person about it have done so
    loaded = Loaded.of(store, stored)
    if loaded is None:
        return None  # its result is damaged: the next run analyses it again
    drawn = loaded.drawn(config)
    judged = drawn.judged
    store.put_mask(
        stored.image_id,
        drawn.mask.levels,
        fuse_fingerprint=judged.fingerprints.fuse,
        confidence=judged.confidence,
        verdict=judged.verdict,
        correction_revision=loaded.revision,
        mask_name=mask_name,
    )
    return drawn


def _redraw(store: Store, stored: StoredImage, config: PipelineConfig, tally: Tally) -> None:
    if stored.fingerprints is None or stored.content_sha256 is None:
        return
    edited = adopt_edited_mask(store, stored)
    if edited is not None:
        tally(Notice(edited))
    correction = store.correction(stored.content_sha256)
    revision = correction.revision if correction is not None else None
    is_whole = edited is None and store.has_intact_mask(stored)
    if is_whole and is_current(stored, config, correction_revision=revision):
        tally(ImageReused(stored.image_id, stored.verdict or Verdict.REVIEW))
        return
    started = time.perf_counter()
    drawn = redraw_image(store, stored, config)
    if drawn is None:
        return
    settled = store.lookup(stored.image_id)
    timings_s = {"render": time.perf_counter() - started}
    tally(mask_drawn(drawn, "rendered", settled, timings_s=timings_s))
