"""The default text detector: PP-OCR detection and recognition with evidence that tells text from texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError
from automask.geometry import Box
from automask.protocols import WeightFile, WeightSource, stage_fingerprint
from automask.types import Attribute, Image, Issue, Kind, Region
from automask_models.text.lines import TextLine, find_lines, upright_crop
from automask_models.text.ppocr import (
    DETECTION_FILE,
    DETECTION_SHA256,
    RECOGNITION_FILE,
    RECOGNITION_SHA256,
    STRIDE_PX,
    PpOcr,
    Recognition,
    bundled_model,
)

_ALGORITHM_VERSION = 1


class RapidOcrOptions(FrozenModel):
    """Options of `rapidocr`."""

    min_score: float = Field(0.5, ge=0, le=1, description="Ignore lines with a lower mean detection probability.")


class RapidOcrDetector:
    """Finds text lines with the PP-OCR networks bundled in the `rapidocr` package.

    Regions are rotated rectangles of kind text. Attributes: `text` (the string, omitted when empty), `score_det`
    (mean detection probability) and `score_rec` (mean character probability).
    """

    name: ClassVar[str] = "rapidocr"
    Options: ClassVar[type[FrozenModel]] = RapidOcrOptions

    def __init__(
        self, options: RapidOcrOptions, *, detection: WeightFile, recognition: WeightFile, runtime: RuntimeConfig
    ) -> None:
        self._options = options
        self._detection = detection
        self._recognition = recognition
        self._runtime = runtime
        self._networks: PpOcr | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the detector.

        Raises:
            WeightsError: The rapidocr package with its bundled networks is not installed.
        """
        return cls(
            RapidOcrOptions.model_validate(options.model_dump()),
            detection=bundled_model(DETECTION_FILE, sha256=DETECTION_SHA256),
            recognition=bundled_model(RECOGNITION_FILE, sha256=RECOGNITION_SHA256),
            runtime=runtime,
        )

    @property
    def fingerprint(self) -> str:
        """Hash of algorithm, options and networks."""
        return stage_fingerprint(
            self.name,
            algorithm_version=_ALGORITHM_VERSION,
            options=self._options,
            weights_sha256=(self._detection.sha256, self._recognition.sha256),
        )

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell: its networks always come with it."""
        return ()

    def load(self) -> None:
        """Read both networks.

        Raises:
            WeightsError: A network does not load.
        """
        if self._networks is None:
            self._networks = PpOcr(
                detection=self._detection.path, recognition=self._recognition.path, threads=self._runtime.threads
            )

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Text regions per image.

        Raises:
            StageError: `load` was not called, or a network failed.
        """
        if self._networks is None:
            raise StageError("rapidocr: detect() before load().")
        return [self._detect_one(image, self._networks) for image in images]

    def _detect_one(self, image: Image, networks: PpOcr) -> list[Region]:
        probability = networks.probability_map(_resized(image.pixels))
        lines = find_lines(
            probability, width_px=image.width_px, height_px=image.height_px, min_score=self._options.min_score
        )
        read = networks.recognise([upright_crop(image.pixels, line) for line in lines])
        regions = [_region(line, recognition, image) for line, recognition in zip(lines, read, strict=True)]
        return [region for region in regions if region is not None]


def _resized(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height_px, width_px = pixels.shape[:2]
    scale = min(2.0, 1280 / max(height_px, width_px))
    size = tuple(max(1, round(side * scale / STRIDE_PX)) * STRIDE_PX for side in (width_px, height_px))
    return np.asarray(cv2.resize(pixels, size), dtype=np.uint8)


def _region(line: TextLine, read: Recognition, image: Image) -> Region | None:
    box = Box.around(line.corners).clipped(width_px=image.width_px, height_px=image.height_px)
    if box is None:
        return None
    attributes: dict[str, Attribute] = {"score_det": line.score, "score_rec": read.score}
    if read.text.strip():
        attributes["text"] = read.text.strip()
    confidence = 0.5 * min(1.0, line.score) + 0.5 * read.score
    return Region(Kind.TEXT, box, confidence, "rapidocr", polygon=line.corners, attributes=attributes)
