"""The masks of a store again under another rendering or policy: no model runs, no image is read."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

from automask import __version__
from automask.config import PipelineConfig
from automask.edited import adopt_edited_mask
from automask.errors import StoreError
from automask.events import Counted, EventSink, ImageDone, ImageReused, Notice, RunSummary, Tally
from automask.fuse import Mask, is_drawn
from automask.pipeline import fuse_fingerprint, judge
from automask.store import Status, Store, StoredImage
from automask.types import Verdict


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
        finally:
            store.finish_run(run_id, status="done" if finished else "interrupted" if stop.is_set() else "failed")
    return tally.summary(
        output=root.resolve(), missing=0, seconds=time.perf_counter() - started, interrupted=not finished
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


def _redraw(store: Store, stored: StoredImage, config: PipelineConfig, tally: Tally) -> None:
    result = store.result(stored.image_id)
    if result is None or stored.content_sha256 is None:
        return  # its result is damaged: the next run analyses it again
    edited = adopt_edited_mask(store, stored)
    if edited is not None:
        tally(Notice(edited))
    fingerprint = fuse_fingerprint(config, result.fingerprints.refine)
    correction = store.correction(stored.content_sha256)
    revision = correction.revision if correction is not None else None
    if edited is None and (result.fingerprints.fuse, stored.correction_revision) == (fingerprint, revision):
        tally(ImageReused(stored.image_id, result.verdict))
        return
    started = time.perf_counter()
    layers = correction.layers if correction is not None else None
    mask = Mask.from_patches(
        result.patches,
        result.regions,
        width_px=result.width_px,
        height_px=result.height_px,
        render=config.render,
        policy=config.policy,
        correction=layers,
    )
    result = judge(result, mask, config, fuse_fingerprint=fingerprint)
    if layers is not None:  # a person has looked: there is nothing left to ask
        result = dataclasses.replace(result, verdict=Verdict.AUTO)
    store.put_mask(
        stored.image_id,
        mask.levels,
        fuse_fingerprint=fingerprint,
        confidence=result.confidence,
        verdict=result.verdict,
        correction_revision=revision,
    )
    tally(
        ImageDone(
            image_id=stored.image_id,
            work="rendered",
            verdict=result.verdict,
            confidence=result.confidence,
            regions=sum(is_drawn(region, config.policy) for region in result.regions),
            masked_share=mask.masked_share,
            issues=tuple(result.issues),
            timings_s={"render": time.perf_counter() - started},
        )
    )
