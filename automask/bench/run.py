"""Runs pipelines over a manifest in one process and scores every mask."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.bench.manifest import Manifest, ManifestEntry, unreadable
from automask.config import FrozenModel, PipelineConfig
from automask.dataset.decode import decode
from automask.dataset.image_file import ImageFile
from automask.mask.confidence.model import is_fine
from automask.mask.drawing import draw
from automask.mask.metrics import MaskScore, score_mask
from automask.mask.rendering import is_drawn
from automask.report.overlay import Mark
from automask.run.pipeline import MaskPipeline
from automask.run.reasons import figures_of
from automask.values.types import Found, Image
from automask.version import __version__

CASE_TOLERANCE = 1e-4


class ImageFigures(FrozenModel):
    """What one pipeline did on one image.

    Attributes:
        drawn: Number of regions drawn, by kind.
        seconds: Time per stage, with `total`.
        error: Code of the issue that left the image without a mask, or empty.
        reasons: Why the verdict is what it is, in words.
    """

    pipeline: str
    kind: str
    source: str
    image: str
    leak: float | None
    waste: float | None
    confidence: float
    verdict: str
    masked_share: float
    megapixels: float
    drawn: dict[str, int]
    seconds: dict[str, float]
    error: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def is_fine(self) -> bool:
        """Whether there is a mask and nobody has to look at it: see `automask.mask.confidence.model.is_fine`."""
        return not self.error and is_fine(self.leak, self.waste)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedImage:
    """One image of a bench with the mask that was judged, for those who want to look at it.

    Attributes:
        figures: What came out.
        entry: What is known of it.
        levels: (H, W) uint8 mask, 255 = train, or None where there is none.
        marks: What was found.
    """

    figures: ImageFigures
    entry: ManifestEntry
    levels: NDArray[np.uint8] | None
    marks: Sequence[Mark]

    @classmethod
    def of(
        cls,
        figures: ImageFigures,
        entry: ManifestEntry,
        levels: NDArray[np.uint8] | None,
        result: Found | None,
        config: PipelineConfig,
    ) -> JudgedImage:
        """Gather what there is to look at."""
        regions = result.regions if result is not None else ()
        marks = [Mark.of(region, config.policy) for region in regions]
        return cls(figures, entry, levels, marks)


class BenchRun(FrozenModel):
    """All figures of one `automask bench`."""

    automask: str
    started: str
    machine: str
    packages: dict[str, str]
    load_seconds: dict[str, float]
    images: tuple[ImageFigures, ...]
    peak_memory_mb: float


def run_bench(
    manifest: Manifest,
    configs: Mapping[str, PipelineConfig],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seen: Callable[[JudgedImage], None] = lambda judged: None,
) -> BenchRun:
    """Run every pipeline on every image, image by image in turn so that a slow minute hits all of them alike.

    Args:
        manifest: Images with truth.
        configs: Pipelines by the name that the tables show.
        progress: Called with (images done, images in all).
        seen: Called with every image and the mask that the first pipeline made of it.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pipelines, load_seconds = load_pipelines(configs)
    figures: list[ImageFigures] = []
    for index, entry in enumerate(manifest.entries):
        image = load_image(manifest.root, entry, next(iter(configs.values())))
        for name, pipeline in pipelines.items():
            # What one pipeline's networks saw of the image would save the next one their time.
            judged = _measure(name, pipeline, manifest, entry, dataclasses.replace(image, shared={}))
            figures.append(judged.figures)
            if name == next(iter(pipelines)):
                seen(judged)
        progress(index + 1, len(manifest.entries))
    return BenchRun(
        automask=__version__,
        started=started,
        machine=machine(),
        packages=package_versions(),
        load_seconds=load_seconds,
        images=tuple(figures),
        peak_memory_mb=peak_memory_mb(),
    )


def load_pipelines(configs: Mapping[str, PipelineConfig]) -> tuple[dict[str, MaskPipeline], dict[str, float]]:
    """Build and load pipelines, and tell how many seconds the loading of each took."""
    pipelines: dict[str, MaskPipeline] = {}
    load_seconds: dict[str, float] = {}
    for name, config in configs.items():
        pipelines[name] = MaskPipeline.from_config(config)
        clock = time.perf_counter()
        pipelines[name].load()
        load_seconds[name] = time.perf_counter() - clock
    return pipelines, load_seconds


def load_image(root: Path, entry: ManifestEntry, config: PipelineConfig) -> Image:
    """Decode a manifest image the way a run does."""
    path = root / entry.image
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path) from error
    file = ImageFile(
        id=entry.image,
        path=path,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        mask_name=f"{entry.image}.png",
    )
    return decode(file, config.decode).image


def check_metric_cases(folder: Path) -> dict[str, tuple[MaskScore, float | None, float | None, bool]]:
    """Score the reference cases beside a manifest.

    Returns:
        Per case: our score, the expected leak and waste, and whether both agree within `CASE_TOLERANCE`.
    """
    outcome: dict[str, tuple[MaskScore, float | None, float | None, bool]] = {}
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        with PillowImage.open(folder / f"{case['name']}.truth.png") as truth:
            truth_levels = np.asarray(truth.convert("L"))
        with PillowImage.open(folder / f"{case['name']}.mask.png") as mask:
            score = score_mask(np.asarray(mask.convert("L")), truth_levels)
        agrees = _close(score.leak, case["leak"]) and _close(score.waste, case["waste"])
        outcome[case["name"]] = (score, case["leak"], case["waste"], agrees)
    return outcome


def scored_pairs(run: BenchRun, pipeline: str, manifest: Manifest) -> list[tuple[ManifestEntry, ImageFigures]]:
    """The entries of a manifest whose truth is known, with one pipeline's figures; an image may be listed twice."""
    figures = [figure for figure in run.images if figure.pipeline == pipeline]
    pairs = zip(manifest.entries, figures, strict=True)
    return [(entry, figure) for entry, figure in pairs if entry.truth != "unknown"]


def pipeline_names(run: BenchRun) -> list[str]:
    """The pipelines of a run, in order."""
    return list(dict.fromkeys(figure.pipeline for figure in run.images))


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in MiB (0 where the system does not tell)."""
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2


def _measure(name: str, pipeline: MaskPipeline, manifest: Manifest, entry: ManifestEntry, image: Image) -> JudgedImage:
    clock = time.perf_counter()
    result = pipeline.run([image])[0]
    drawn = draw(result, pipeline.config)
    mask, result = drawn.mask, drawn.judged
    seconds = time.perf_counter() - clock
    score = manifest.score(entry, mask.levels)
    failed = next((issue.code for issue in result.issues if issue.severity == "error"), "")
    figures = ImageFigures(
        pipeline=name,
        kind=entry.kind,
        source=entry.source,
        image=entry.image,
        leak=score.leak,
        waste=score.waste,
        confidence=result.confidence,
        verdict=result.verdict.value,
        masked_share=mask.masked_share,
        megapixels=image.width_px * image.height_px / 1e6,
        drawn=regions_by_kind(drawn.shown, pipeline.config),
        seconds={**result.timings_s, "total": seconds},
        error=failed,
        reasons=figures_of(drawn.shown, pipeline.config, confidence=result.confidence, masked_share=mask.masked_share),
    )
    return JudgedImage.of(figures, entry, mask.levels, drawn.shown, pipeline.config)


def regions_by_kind(result: Found, config: PipelineConfig) -> dict[str, int]:
    """Number of drawn regions of each kind."""
    counts: dict[str, int] = {}
    for region in result.regions:
        if is_drawn(region, config.policy):
            counts[region.kind.value] = counts.get(region.kind.value, 0) + 1
    return counts


def _close(ours: float | None, expected: float | None) -> bool:
    if ours is None or expected is None:
        return ours is expected
    return abs(ours - expected) <= CASE_TOLERANCE


def machine() -> str:
    """What the figures were measured on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def package_versions(names: Sequence[str] = ("numpy", "pillow", "onnxruntime", "rapidocr", "torch")) -> dict[str, str]:
    """Versions of packages that figures depend on, as far as they are installed."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
