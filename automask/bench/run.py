"""Runs pipelines over a manifest in one process and scores every mask."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from automask import __version__
from automask.bench.manifest import Manifest, ManifestEntry
from automask.confidence.model import is_fine
from automask.config import FrozenModel, PipelineConfig
from automask.dataset.decode import decode
from automask.dataset.walk import ImageFile
from automask.drawing import draw
from automask.errors import InputError
from automask.fuse import is_drawn
from automask.metrics import MaskScore, score_mask
from automask.pipeline import MaskPipeline
from automask.types import Image, MaskResult

CASE_TOLERANCE = 1e-4

BASELINE = PipelineConfig(detectors=("rapidocr-baseline",), refiner="polygon")
"""What a person gets without automask: everything RapidOCR detects by its own defaults, grown by one cell."""


class ImageFigures(FrozenModel):
    """What one pipeline did on one image.

    Attributes:
        drawn: Number of regions drawn, by kind.
        seconds: Time per stage, with `total`.
        error: Code of the issue that left the image without a mask, or empty.
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

    @property
    def is_fine(self) -> bool:
        """Whether nobody has to look at the mask."""
        return is_fine(self.leak, self.waste)


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
) -> BenchRun:
    """Run every pipeline on every image, image by image in turn so that a slow minute hits all of them alike.

    Args:
        manifest: Images with truth.
        configs: Pipelines by the name that the tables show.
        progress: Called with (images done, images in all).
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pipelines: dict[str, MaskPipeline] = {}
    load_seconds: dict[str, float] = {}
    for name, config in configs.items():
        pipelines[name] = MaskPipeline.from_config(config)
        clock = time.perf_counter()
        pipelines[name].load()
        load_seconds[name] = time.perf_counter() - clock
    figures: list[ImageFigures] = []
    for index, entry in enumerate(manifest.entries):
        image = load_image(manifest.root, entry, next(iter(configs.values())))
        truth = manifest.truth_of(entry)
        for name, pipeline in pipelines.items():
            figures.append(_measure(name, pipeline, entry, image, truth=truth))
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


def load_image(root: Path, entry: ManifestEntry, config: PipelineConfig) -> Image:
    """Decode a manifest image the way a run does."""
    path = root / entry.image
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"The manifest names {path}, which cannot be read.", advice="Check the manifest.") from error
    file = ImageFile(
        id=entry.image,
        path=path,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
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


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in MiB (0 where the system does not tell)."""
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2


def _measure(
    name: str, pipeline: MaskPipeline, entry: ManifestEntry, image: Image, *, truth: np.ndarray | None
) -> ImageFigures:
    clock = time.perf_counter()
    result = pipeline.run([image])[0]
    drawn = draw(result, pipeline.config)
    mask, result = drawn.mask, drawn.judged
    seconds = time.perf_counter() - clock
    score = score_mask(mask.levels, truth)
    failed = next((issue.code for issue in result.issues if issue.severity == "error"), "")
    return ImageFigures(
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
    )


def regions_by_kind(result: MaskResult, config: PipelineConfig) -> dict[str, int]:
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
