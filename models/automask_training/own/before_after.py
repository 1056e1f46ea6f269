"""Leak and waste on the held-out images, with the weights from before and from after."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from automask.bench.manifest import Manifest, read_manifest
from automask.bench.run import BenchRun, run_bench
from automask.config import PipelineConfig
from automask.files.atomic import write_atomic
from automask.files.png import encode_mask
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED, mean_of
from automask.mask.rendering import grow
from automask.values import rle
from automask_training.own.images import Extent, OwnImage
from automask_training.own.strokes import band_of
from automask_training.own.uses import TaskUse

BEFORE, AFTER = "before", "after"


def compare(
    manifest: Manifest,
    use: TaskUse,
    *,
    before: Path | None,
    after: Path,
    threads: int,
    progress: Callable[[int, int], None],
) -> BenchRun:
    """Run the pipeline with both weights on every image of a manifest.

    Args:
        manifest: From `write_manifest`.
        use: Under which configuration the weights work.
        before: The exported weights that the training started from, or None where it started from nothing.
        after: Those that it made.
        threads: Per model call; 0 = all cores.
        progress: Called with (images done, images in all).
    """
    weights = {BEFORE: before, AFTER: after}
    configs = {
        name: PipelineConfig.model_validate({**use.configuration(path.resolve()), "runtime": {"threads": threads}})
        for name, path in weights.items()
        if path is not None
    }
    return run_bench(manifest, configs, progress=progress)


def figures_of(run: BenchRun, name: str) -> float | None:
    """Mean leak plus mean waste of one of the two on all images; None where neither could be taken.

    What a trainer sees of both is a share of cells, so they weigh the same.
    """
    mine = [figures for figures in run.images if figures.pipeline == name]
    means = mean_of([one.leak for one in mine]), mean_of([one.waste for one in mine])
    return None if means == (None, None) else sum(mean or 0.0 for mean in means)


def write_manifest(images: Sequence[OwnImage], folder: Path, use: TaskUse) -> Manifest:
    """Write truths and a manifest that `automask bench` reads; kinds that the task is not about count nowhere.

    Raises:
        OutputError: The folder cannot be written.
    """
    entries = []
    for number, image in enumerate(images):
        truth = _truth(image, use)
        shown = [thing for thing in image.things if thing.kind in use.kinds]
        mask = f"truth/{number:05d}.png" if truth.any() else None
        if mask is not None:
            write_atomic(folder / mask, encode_mask(truth), durable=False)
        is_outline = use.needs_outlines or all(thing.extent is Extent.TIGHT for thing in shown)
        entries.append(
            {
                "kind": _kind(image, use),
                "source": "held-out",
                "image": str(image.path.resolve()),
                "mask": mask,
                "truth": "nothing" if not shown else "pixels" if is_outline else "regions",
            }
        )
    path = folder / "manifest.json"
    write_atomic(path, json.dumps(entries, indent=1).encode())
    return read_manifest(path)


def _truth(image: OwnImage, use: TaskUse) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """What a mask should hold: what is unwanted for sure, without what counts neither way.

    Unknown pixels nearer than two cells to what is unwanted are not marked as such: the figures leave a cell around
    that out by themselves, and would leave out cells of the thing beside marked ones.
    """
    truth = np.zeros((image.height_px, image.width_px), np.uint8)
    for thing in image.things:
        if thing.kind not in use.kinds:
            truth[thing.box.slices][thing.artefact] = TRUTH_IGNORE
    wanted = np.zeros(truth.shape, np.bool_)
    for thing in image.things:
        if thing.kind in use.kinds:
            wanted[thing.box.slices] |= thing.wanted_artefact
    if image.unknown is not None:
        two_cells_px = 4 * band_of(image.width_px, image.height_px)
        truth[rle.decode(image.unknown) & ~grow(wanted, two_cells_px)] = TRUTH_IGNORE
    truth[wanted] = TRUTH_UNWANTED
    return truth


def _kind(image: OwnImage, use: TaskUse) -> str:
    areas = {
        kind: sum(thing.box.area_px for thing in image.things if thing.kind == kind)
        for kind in use.kinds
        if any(thing.kind == kind for thing in image.things)
    }
    return max(areas, key=lambda kind: areas[kind]) if areas else "clean"
