"""The pipeline of one process: detectors, refiner, fusion. Entry for the CLI, the service and library users."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from automask.config import PipelineConfig
from automask.errors import AutomaskError, PluginError, StageError, WeightsError
from automask.mask.drawing import draw, fuse_fingerprint, judge
from automask.mask.merging import fused
from automask.mask.rendering import CorrectionLayers, Mask
from automask.plugins import build_dataset_detector, build_detector, build_refiner
from automask.protocols import DatasetDetector, Detector, PlacedStage, Refiner, Stage, WeightSource
from automask.run.saved_templates import SavedTemplates
from automask.values.digests import digest
from automask.values.geometry import Box
from automask.values.outlines import RECTANGULAR, corners_of
from automask.values.placement import Placement
from automask.values.types import ALPHA_SOURCE, Fingerprints, Found, Image, Issue, Kind, MaskResult, Patch, Region

logger = logging.getLogger(__name__)

PIPELINE_VERSION = 3
"""Raised with every change of decoding or of this module that alters regions or patches."""

_FATAL = (PluginError, WeightsError)
"""Errors that every image would meet again: they end the run instead of becoming a row."""


class MaskPipeline:
    """Finds unwanted regions in images and outlines them.

    Not thread-safe: one thread at a time calls `run` and `refine`. Pickle its `config` and build another one in a
    worker process instead of sending the pipeline.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        detectors: Sequence[Detector],
        refiner: Refiner,
        dataset_detectors: Sequence[DatasetDetector] = (),
    ) -> None:
        self.config = config
        self.detectors = tuple(detectors)
        self.dataset_detectors = tuple(dataset_detectors)
        self.refiner = refiner
        self.saved_templates = SavedTemplates.read(config.templates, self.dataset_detectors)
        self.fingerprints = _fingerprints(config, self.detectors, refiner)
        self._loaded = False

    @classmethod
    def from_config(cls, config: PipelineConfig, *, weights: WeightSource | None = None) -> Self:
        """Build all stages by name and check their options. Loads no model.

        Raises:
            PluginError: A stage does not exist.
            ConfigError: An option is wrong.
            WeightsError: A stage cannot do without weights that are missing, or a detector has none and is not there by
                default.
        """
        if weights is None:
            from automask.weights import WeightLibrary

            weights = WeightLibrary.discover()
        known = {*config.detectors, *config.dataset_detectors, config.refiner}
        unused = sorted(set(config.options) - known)
        if unused:
            logger.info("options for stages that do not run: %s", ", ".join(unused))
        detectors = [
            build_detector(name, options=config.options.get(name, {}), weights=weights, runtime=config.runtime)
            for name in config.detectors
        ]
        if config.detectors != PipelineConfig().detectors:
            for detector in detectors:
                _check_has_weights(detector)
        dataset_detectors = [
            build_dataset_detector(name, options=config.options.get(name, {}), weights=weights, runtime=config.runtime)
            for name in config.dataset_detectors
        ]
        refiner = build_refiner(
            config.refiner, options=config.options.get(config.refiner, {}), weights=weights, runtime=config.runtime
        )
        return cls(config, detectors=detectors, dataset_detectors=dataset_detectors, refiner=refiner)

    @property
    def notices(self) -> list[Issue]:
        """What the user should be told once: missing optional weights and the like."""
        return [notice for stage in self._stages for notice in stage.notices]

    @property
    def placements(self) -> dict[str, Placement]:
        """Where networks run, by stage; empty before `load`, and without the stages that run none."""
        found: dict[str, Placement] = {}
        for stage in self._stages:
            here = stage.placement if isinstance(stage, PlacedStage) else None
            if here is not None and not (stage.name in found and found[stage.name].reason):
                found[stage.name] = here
        return found

    @property
    def _stages(self) -> tuple[Stage, ...]:
        return (*self.detectors, *self.dataset_detectors, self.refiner)

    def load(self) -> None:
        """Load every stage's weights, once."""
        if not self._loaded:
            for stage in self._stages:
                stage.load()
            self._loaded = True

    def run(self, images: Sequence[Image]) -> list[Found]:
        """Analyse a batch of images and look for the saved templates of the configuration; see `analyse`."""
        return [
            self.saved_templates.added_to(result, image)
            for image, result in zip(images, self.analyse(images), strict=True)
        ]

    def analyse(self, images: Sequence[Image]) -> list[Found]:
        """Analyse a batch of images, each on its own: templates are left to the second pass of a run.

        An image on which a stage fails gets a result with an `error` issue and no regions; the others are unharmed.

        Returns:
            One result per image, in order.

        Raises:
            PluginError: A stage's package is missing.
            WeightsError: A stage's weights are missing or wrong.
        """
        self.load()
        works = [_Work(image) for image in images]
        for detector in self.detectors:
            _detect(detector, [work for work in works if not work.failed])
        return [self._finish(work) for work in works]

    def refine(self, image: Image, regions: Sequence[Region], *, issues: Sequence[Issue] = ()) -> Found:
        """Outline regions that are already known, without running a detector."""
        self.load()
        work = _Work(image)
        work.regions.extend(regions)
        work.issues.extend(issues)
        return self._finish(work, known_regions=True)

    def render(self, result: Found, *, correction: CorrectionLayers | None = None) -> Mask:
        """Draw the mask of a result. Runs no model."""
        return draw(result, self.config, correction).mask

    def judged(self, result: Found, mask: Mask) -> MaskResult:
        """The result with the verdict that its rendered mask deserves."""
        return judge(result, fused(result, self.config.policy), mask, self.config)

    def _finish(self, work: _Work, *, known_regions: bool = False) -> Found:
        if not known_regions:
            work.regions.extend(transparent_regions(work.image))
        patches: list[Patch] = []
        if not work.failed and work.regions:
            started = time.perf_counter()
            try:
                patches = list(self.refiner.refine(work.image, work.regions))
                _check_patches(self.refiner.name, work, patches)
            except _FATAL:
                raise
            except Exception as error:
                patches = []
                work.fail(self.refiner.name, error)
            work.timings_s["refine"] = time.perf_counter() - started
        regions = [] if work.failed else work.regions
        if not self.config.store_text:
            regions = [_without_text(region) for region in regions]
        return Found(
            image_id=work.image.id,
            width_px=work.image.width_px,
            height_px=work.image.height_px,
            regions=tuple(regions),
            patches=tuple(patches),
            issues=tuple(work.issues),
            fingerprints=self.fingerprints,
            timings_s=work.timings_s,
        )


def transparent_regions(image: Image) -> list[Region]:
    """Fully transparent pixels as one region: around a picture a frame, around a thing cut out the ground it stands on.

    A picture is a rectangle. What is cut out is not, and its ground is kept or masked like any other plain ground.
    """
    if image.alpha is None:
        return []
    artefact = image.alpha == 0
    box = Box.of_artefact(artefact)
    if box is None:
        return []
    corners = corners_of(image.alpha >= 128)  # a shadow fades out in a rectangle of its own
    return [
        Region(
            kind=Kind.FRAME if corners >= RECTANGULAR else Kind.GROUND,
            box=box,
            confidence=1.0,
            source=ALPHA_SOURCE,
            artefact=np.ascontiguousarray(artefact[box.slices]),
            attributes={"share": float(artefact.mean()), "corners": round(corners, 3)},
        )
    ]


class _Work:
    """One image on its way through the stages."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.regions: list[Region] = []
        self.issues: list[Issue] = []
        self.timings_s: dict[str, float] = {}
        self.failed = False

    def fail(self, stage: str, error: Exception) -> None:
        code = error.code if isinstance(error, AutomaskError) else StageError.default_code
        logger.warning("%s failed on %s", stage, self.image.id, exc_info=error)
        message = f"{type(error).__name__}: {error}" if not isinstance(error, AutomaskError) else str(error)
        self.issues.append(Issue(stage=stage, code=code, message=message, severity="error"))
        self.failed = True


def _detect(detector: Detector, works: Sequence[_Work]) -> None:
    if not works:
        return
    try:
        _detect_batch(detector, works)
    except _FATAL:
        raise
    except Exception as error:
        if len(works) == 1:
            works[0].fail(detector.name, error)
            return
        for work in works:  # one bad image must not cost its neighbours their masks
            _detect(detector, [work])


def _detect_batch(detector: Detector, works: Sequence[_Work]) -> None:
    started = time.perf_counter()
    found = detector.detect([work.image for work in works])
    seconds = (time.perf_counter() - started) / len(works)
    if len(found) != len(works):
        raise StageError(
            f"The detector {detector.name!r} gave {len(found)} answers for {len(works)} images.",
            advice="Report this to the plug-in's author.",
            code="stage-contract",
        )
    for work, regions in zip(works, found, strict=True):
        for region in regions:
            if not work.image.box.contains(region.box):
                raise StageError(
                    f"The detector {detector.name!r} gave box {region.box.xyxy} outside an image of "
                    f"{work.image.width_px} x {work.image.height_px} px.",
                    advice="Report this to the plug-in's author.",
                    code="stage-contract",
                )
    for work, regions in zip(works, found, strict=True):
        work.regions.extend(regions)
        work.timings_s[detector.name] = seconds


def _check_patches(refiner: str, work: _Work, patches: Sequence[Patch]) -> None:
    inside: Callable[[Box], bool] = work.image.box.contains
    if len(patches) != len(work.regions) or not all(inside(patch.box) for patch in patches):
        raise StageError(
            f"The refiner {refiner!r} gave {len(patches)} patches for {len(work.regions)} regions, "
            "or one that is outside the image.",
            advice="Report this to the plug-in's author.",
            code="stage-contract",
        )


def _without_text(region: Region) -> Region:
    attributes = {name: value for name, value in region.attributes.items() if name != "text"}
    return dataclasses.replace(region, attributes=attributes)


def _check_has_weights(detector: Detector) -> None:
    """Refuse a detector that was asked for by name and would find nothing: white masks would pass for clean images."""
    for notice in detector.notices:
        if notice.code == "weights-missing":
            raise WeightsError(
                f"The detector {detector.name} was asked for and would find nothing. {notice.message}", code=notice.code
            )


def _fingerprints(config: PipelineConfig, detectors: Sequence[Detector], refiner: Refiner) -> Fingerprints:
    detect = digest(
        {
            "pipeline": PIPELINE_VERSION,
            "decode": config.decode.model_dump(mode="json"),
            "detectors": [detector.fingerprint for detector in detectors],
            "store_text": config.store_text,
        }
    )
    refine = digest({"detect": detect, "refiner": refiner.fingerprint})
    return Fingerprints(detect=detect, refine=refine, fuse=fuse_fingerprint(config, refine))
