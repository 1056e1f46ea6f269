"""Sources of a manifest run as folders, each alone or all mixed in one, so that what repeats in them can be found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from automask.bench.manifest import Manifest, ManifestEntry, unreadable
from automask.bench.run import (
    BenchRun,
    ImageFigures,
    JudgedImage,
    load_pipelines,
    machine,
    package_versions,
    peak_memory_mb,
    regions_by_kind,
)
from automask.bench.tables import markdown_table
from automask.config import FrozenModel, PipelineConfig
from automask.mask.merging import fused
from automask.run.events import ImageDone, ImageReused, RunEvent, RunSummary
from automask.run.pipeline import MaskPipeline
from automask.run.reasons import figures_of
from automask.run.runner import run_dataset
from automask.store import Store
from automask.values.types import Verdict
from automask.version import __version__

MIXED_SUFFIX = ", mixed"
"""What the name of a pipeline gets where all sources lay in one folder."""


class FolderFigures(FrozenModel):
    """What a run over one folder found to repeat in it, and what that cost.

    Attributes:
        pipeline: Which pipeline ran.
        folder: Sources in it.
        images: Number of images.
        applied: Templates that are masked in at least one image.
        proposed: Templates that wait for a person.
        updated: Masks that were drawn again for templates.
        run_s: Seconds of the whole run.
        second_pass_s: Seconds of its second pass.
    """

    pipeline: str
    folder: str
    images: int
    applied: int
    proposed: int
    updated: int
    run_s: float
    second_pass_s: float


class FolderRun(FrozenModel):
    """Figures of every image, under the names of the pipelines (with `, mixed`), and of every folder."""

    bench: BenchRun
    folders: tuple[FolderFigures, ...]


def of_sources(manifest: Manifest, sources: Sequence[str]) -> Manifest:
    """The part of a manifest whose `kind/source` begins with one of the given names; all of it without names."""
    wanted = tuple(sources)
    if not wanted:
        return manifest
    entries = tuple(entry for entry in manifest.entries if f"{entry.kind}/{entry.source}".startswith(wanted))
    return Manifest(root=manifest.root, entries=entries)


@dataclass(frozen=True, slots=True)
class _Folder:
    """Images that lie in one folder.

    Attributes:
        sources: What it is called.
        suffix: Of the pipeline's name.
        positions: Indices of its images in the manifest.
    """

    sources: str
    suffix: str
    positions: Sequence[int]


def run_folders(
    manifest: Manifest,
    configs: Mapping[str, PipelineConfig],
    *,
    mixes: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seen: Callable[[JudgedImage], None] = lambda judged: None,
) -> FolderRun:
    """Run every source as one folder, and all of them as one where `mixes`; every pipeline on a folder in turn.

    Args:
        manifest: Images with truth.
        configs: Pipelines by the name that the tables show.
        mixes: Whether the sources are also run in one folder.
        progress: Called with (images done, images in all).
        seen: Called with every image and the mask that the first pipeline made of it with its source alone.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pipelines, load_seconds = load_pipelines(configs)
    folders = _folders_of(manifest, mixes=mixes)
    total = len(configs) * sum(len(folder.positions) for folder in folders)
    done = 0

    def count(event: RunEvent) -> None:
        nonlocal done
        if isinstance(event, ImageDone | ImageReused):
            done += 1
            progress(done, total)

    figures: dict[tuple[str, int], ImageFigures] = {}
    of_folders: list[FolderFigures] = []
    for folder in folders:
        entries = [manifest.entries[position] for position in folder.positions]
        for name, pipeline in pipelines.items():
            shown = name + folder.suffix
            with tempfile.TemporaryDirectory(prefix="automask-bench-") as scratch:
                images, output = Path(scratch) / "images", Path(scratch) / "masks"
                ids = _put_images(manifest, entries, images)
                summary = run_dataset(images, output, pipeline.config, pipeline=pipeline, events=count)
                with Store.open(output, read_only=True) as store:
                    for position, entry, image_id in zip(folder.positions, entries, ids, strict=True):
                        judged = judged_image(shown, store, manifest, entry, image_id, pipeline.config)
                        figures[shown, position] = judged.figures
                        if shown == next(iter(pipelines)):
                            seen(judged)
                    of_folders.append(_folder_figures(shown, folder.sources, store, summary, pipeline))
    names = [name + suffix for suffix in dict.fromkeys(folder.suffix for folder in folders) for name in pipelines]
    return FolderRun(
        bench=BenchRun(
            automask=__version__,
            started=started,
            machine=machine(),
            packages=package_versions(),
            load_seconds=load_seconds,
            images=tuple(figures[name, position] for name in names for position in range(len(manifest.entries))),
            peak_memory_mb=peak_memory_mb(),
        ),
        folders=tuple(sorted(of_folders, key=lambda figures: names.index(figures.pipeline))),
    )


def _folders_of(manifest: Manifest, *, mixes: bool) -> list[_Folder]:
    by_source: dict[str, list[int]] = {}
    for position, entry in enumerate(manifest.entries):
        by_source.setdefault(f"{entry.kind}/{entry.source}", []).append(position)
    folders = [_Folder(name, "", positions) for name, positions in by_source.items()]
    if mixes:
        folders.append(_Folder(" + ".join(by_source), MIXED_SUFFIX, range(len(manifest.entries))))
    return folders


def folders_table(folders: Sequence[FolderFigures]) -> str:
    """Per folder: images, templates applied and proposed, masks drawn again, seconds, and the second pass's share."""
    header = ["pipeline", "folder", "images", "applied", "proposed", "drawn again", "run s", "second pass s", "adds"]
    rows = [
        [
            each.pipeline,
            each.folder,
            str(each.images),
            str(each.applied),
            str(each.proposed),
            str(each.updated),
            f"{each.run_s:.1f}",
            f"{each.second_pass_s:.1f}",
            f"{each.second_pass_s / max(1e-9, each.run_s - each.second_pass_s):.0%}",
        ]
        for each in folders
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
            try:
                shutil.copyfile(source, folder / name)
            except OSError as error:
                raise unreadable(source) from error
        names.append(name)
    return names


def judged_image(
    name: str, store: Store, manifest: Manifest, entry: ManifestEntry, image_id: str, config: PipelineConfig
) -> JudgedImage:
    """What a run over a folder did on one image of a manifest.

    Args:
        name: Of the pipeline, for the tables.
        store: Of the run.
        manifest: Images with truth.
        entry: The image.
        image_id: Its name in the store.
        config: Of the run.
    """
    row = store.lookup(image_id)
    result = store.result(image_id)
    leak = waste = None
    drawn: Mapping[str, int] = {}
    levels = None
    reasons: tuple[str, ...] = ()
    if row is not None and result is not None and row.mask_name is not None:
        with PillowImage.open(store.mask_path(row.mask_name)) as picture:
            levels = np.asarray(picture.convert("L"))
        result = fused(result, config.policy)
        score = manifest.score(entry, levels)
        reasons = figures_of(result, config, confidence=row.confidence or 0.0, masked_share=row.masked_share or 0.0)
        leak, waste, drawn = score.leak, score.waste, regions_by_kind(result, config)
    timings = dict(row.timings_s) if row is not None else {}
    issues = store.issues(image_id)
    figures = ImageFigures(
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
        reasons=reasons or tuple(f"{issue.code}: {issue.message}" for issue in issues),
    )
    return JudgedImage.of(figures, entry, levels, result, config)


def _folder_figures(
    name: str, sources: str, store: Store, summary: RunSummary, pipeline: MaskPipeline
) -> FolderFigures:
    active = [each for each in store.templates.all() if each.is_active]
    stage = ", ".join(detector.name for detector in pipeline.dataset_detectors)
    return FolderFigures(
        pipeline=name,
        folder=sources,
        images=summary.images,
        applied=sum(each.matches > 0 and not each.template.needs_review for each in active),
        proposed=sum(each.waits_for_decision for each in active),
        updated=summary.updated,
        run_s=summary.seconds,
        second_pass_s=summary.timings_s.get(stage, 0.0),
    )
