"""RapidOCR as it comes, to compare with: its own defaults, detection polygons as they are, no evidence of ours."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import PluginError, StageError
from automask.protocols import WeightSource, stage_fingerprint
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.types import Image, Issue, Kind, Region

_MIN_SIDE_PX = 16
"""RapidOCR scales the short side up to 736 px: a line of 1 x 90 pixels would become 49 megapixels."""


class RapidOcrBaselineOptions(FrozenModel):
    """Options of `rapidocr-baseline`."""

    recognise: bool = Field(False, description="Run the recogniser too, for a fair timing of detection + recognition.")


class RapidOcrBaselineDetector:
    """Everything that `rapidocr.RapidOCR()` detects, drawn without question (confidence 1).

    The baseline of docs/BENCHMARKS.md; not meant for real use, since it also fires on foliage, fences and water.
    """

    name: ClassVar[str] = "rapidocr-baseline"
    Options: ClassVar[type[FrozenModel]] = RapidOcrBaselineOptions

    def __init__(self, options: RapidOcrBaselineOptions, *, runtime: RuntimeConfig) -> None:
        self._options = options
        self._runtime = runtime
        self._engine: Any = None
        self.placement: Placement | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the detector."""
        return cls(RapidOcrBaselineOptions.model_validate(options.model_dump()), runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """Hash of the options."""
        return stage_fingerprint(self.name, algorithm_version=1, options=self._options)

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell."""
        return ()

    def load(self) -> None:
        """Read the networks.

        Raises:
            PluginError: rapidocr is not installed.
        """
        if self._engine is not None:
            return
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise PluginError(
                "The package rapidocr is not installed.", advice="Install the package `rapidocr`."
            ) from error
        threads = {"EngineConfig.onnxruntime.intra_op_num_threads": self._runtime.threads or -1}
        self._engine = RapidOCR(params=threads)
        asked = self._runtime.device
        reason = (
            "" if asked in ("auto", "cpu") else f"it is RapidOCR as it comes, which runs on the CPU and not on {asked}"
        )
        self.placement = Placement("cpu", "CPUExecutionProvider", reason=reason)
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Detection polygons per image.

        Raises:
            StageError: `load` was not called.
        """
        if self._engine is None:
            raise StageError("rapidocr-baseline: detect() before load().")
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: Image) -> list[Region]:
        if min(image.width_px, image.height_px) < _MIN_SIDE_PX:
            return []
        bgr = np.ascontiguousarray(image.pixels[:, :, ::-1])
        answer = self._engine(bgr, use_det=True, use_cls=False, use_rec=self._options.recognise)
        regions: list[Region] = []
        for corners in answer.boxes if answer.boxes is not None else ():
            polygon = tuple((float(x), float(y)) for x, y in corners)
            box = Box.around(polygon).clipped(width_px=image.width_px, height_px=image.height_px)
            if box is not None:
                regions.append(Region(Kind.TEXT, box, confidence=1.0, source=self.name, polygon=polygon))
        return regions
