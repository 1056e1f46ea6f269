"""Sources of a manifest run as folders, each alone or all mixed in one, so that what repeats in them can be found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from automask import __version__
from automask.bench.manifest import Manifest, ManifestEntry
from automask.bench.run import BenchRun, ImageFigures, machine, package_versions, peak_memory_mb, regions_by_kind
from automask.bench.tables import markdown_table
from automask.config import FrozenModel, PipelineConfig
from automask.events import ImageDone, ImageReused, RunEvent, RunSummary
from automask.evidence import fused
from automask.metrics import score_mask
from automask.pipeline import MaskPipeline
from automask.runner import run_dataset
from automask.store import Store
from automask.types import Verdict

ALONE, MIXED = "alone", "mixed"


class FolderFigures(FrozenModel):
    """What a run over one folder found to repeat in it, and what that cost.

    Attributes:
        folder: Sources in it.
        images: Number of images.
        applied: Templates that are masked in at least one image.
        proposed: Templates that wait for a person.
        updated: Masks that were drawn again for templates.
        run_s: Seconds of the whole run.
        second_pass_s: Seconds of its second pass.
    """

    folder: str
    images: int
    applied: int
    proposed: int
    updated: int
    run_s: float
    second_pass_s: float


class FolderRun(FrozenModel):
    """Figures of every image, under the pipeline names `alone` and `mixed`, and of every folder."""

    bench: BenchRun
    folders: tuple[FolderFigures, ...]


def of_sources(manifest: Manifest, sources: Sequence[str]) -> Manifest:
    """The part of a manifest whose `kind/source` begins with one of the given names; all of it without names."""
    wanted = tuple(sources)
    if not wanted:
        return manifest
    entries = tuple(entry for entry in manifest.entries if f"{entry.kind}/{entry.source}".startswith(wanted))
    return Manifest(root=manifest.root, entries=entries)


def run_folders(
    manifest: Manifest,
    config: PipelineConfig,
    *,
    mixes: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FolderRun:
    """Run every source as one folder, and all of them as one where `mixes`.

    Args:
        manifest: Images with truth.
        config: The pipeline.
        mixes: Whether the sources are also run in one folder.
        progress: Called with (images done, images in all).
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pipeline = MaskPipeline.from_config(config)
    pipeline.load()
    by_source: dict[str, list[ManifestEntry]] = {}
    for entry in manifest.entries:
        by_source.setdefault(f"{entry.kind}/{entry.source}", []).append(entry)
    jobs = [(ALONE, name, entries) for name, entries in by_source.items()]
    if mixes:
        jobs.append((MIXED, " + ".join(by_source), list(manifest.entries)))
    total = sum(len(entries) for _, _, entries in jobs)
    done = 0

    def count(event: RunEvent) -> None:
        nonlocal done
        if isinstance(event, ImageDone | ImageReused):
            done += 1
            progress(done, total)

    figures: dict[tuple[str, int], ImageFigures] = {}
    folders: list[FolderFigures] = []
    position = {id(entry): index for index, entry in enumerate(manifest.entries)}
    for name, sources, entries in jobs:
        with tempfile.TemporaryDirectory(prefix="automask-bench-") as scratch:
            folder, output = Path(scratch) / "images", Path(scratch) / "masks"
            names = _put_images(manifest, entries, folder)
            summary = run_dataset(folder, output, config, pipeline=pipeline, events=count)
            with Store.open(output, read_only=True) as store:
                for entry, image_id in zip(entries, names, strict=True):
                    figures[name, position[id(entry)]] = _figures(name, store, manifest, entry, image_id, config)
                folders.append(_folder_figures(sources, store, summary, pipeline))
    ordered = [figures[name, index] for name in (ALONE, MIXED) for index in range(len(manifest.entries))
               if (name, index) in figures]  # fmt: skip
    return FolderRun(
        bench=BenchRun(
            automask=__version__,
            started=started,
            machine=machine(),
            packages=package_versions(),
            load_seconds={},
            images=tuple(ordered),
            peak_memory_mb=peak_memory_mb(),
        ),
        folders=tuple(folders),
    )


def folders_table(run: FolderRun) -> str:
    """Per folder: images, templates applied and proposed, masks drawn again, seconds, and the second pass's share."""
    header = ["folder", "images", "applied", "proposed", "drawn again", "run s", "second pass s", "adds"]
    rows = [
        [
            each.folder,
            str(each.images),
            str(each.applied),
            str(each.proposed),
            str(each.updated),
            f"{each.run_s:.1f}",
            f"{each.second_pass_s:.1f}",
            f"{each.second_pass_s / max(1e-9, each.run_s - each.second_pass_s):.0%}",
        ]
        for each in run.folders
    ]
    return markdown_table(header, rows)


def _put_images(manifest: Manifest, entries: Sequence[ManifestEntry], folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    names = []
    for index, entry in enumerate(entries):
        name = f"{index:05d}{Path(entry.image).suffix}"
        source = (manifest.root / entry.image).resolve()
        try:
            os.link(source, folder / name)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, folder / name)
        names.append(name)
    return names


def _figures(
    name: str, store: Store, manifest: Manifest, entry: ManifestEntry, image_id: str, config: PipelineConfig
) -> ImageFigures:
    row = store.lookup(image_id)
    result = store.result(image_id)
    leak = waste = None
    drawn: Mapping[str, int] = {}
    if row is not None and result is not None and row.mask_name is not None:
        with PillowImage.open(store.mask_path(row.mask_name)) as picture:
            score = score_mask(np.asarray(picture.convert("L")), manifest.truth_of(entry))
        leak, waste, drawn = score.leak, score.waste, regions_by_kind(fused(result, config.policy), config)
    timings = dict(row.timings_s) if row is not None else {}
    issues = store.issues(image_id)
    return ImageFigures(
        pipeline=name,
        kind=entry.kind,
        source=entry.source,
        image=entry.image,
        leak=leak,
        waste=waste,
        confidence=(row.confidence if row is not None else None) or 0.0,
        verdict=(row.verdict or Verdict.REVIEW).value if row is not None else Verdict.REVIEW.value,
        masked_share=(row.masked_share if row is not None else None) or 0.0,
        megapixels=(row.width_px or 0) * (row.height_px or 0) / 1e6 if row is not None else 0.0,
        drawn=dict(drawn),
        seconds={**timings, "total": sum(timings.values())},
        error=next((issue.code for issue in issues if issue.severity == "error"), ""),
    )


def _folder_figures(sources: str, store: Store, summary: RunSummary, pipeline: MaskPipeline) -> FolderFigures:
    active = [each for each in store.templates.all() if each.is_active]
    stage = ", ".join(detector.name for detector in pipeline.dataset_detectors)
    return FolderFigures(
        folder=sources,
        images=summary.images,
        applied=sum(each.matches > 0 and not each.template.needs_review for each in active),
        proposed=sum(each.waits_for_decision for each in active),
        updated=summary.updated,
        run_s=summary.seconds,
        second_pass_s=summary.timings_s.get(stage, 0.0),
    )
