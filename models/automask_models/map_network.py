"""Networks that look at a whole picture once, and whose answer several stages of a run use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.protocols import WeightFile
from automask.values.placement import Placement
from automask.values.types import Image
from automask_models.onnx_session import OnnxSession

MapT = TypeVar("MapT")
ONE_PICTURE = {"batch": 1}
"""Pictures come one at a time. With this size left open, OpenVINO of ONNX Runtime 1.24.1 answers the layout network
wrongly: probabilities are off by up to .94, with it fixed by 1e-6."""


class MapNetwork(ABC, Generic[MapT]):
    """A loaded network. One instance serves one thread. Derived classes set `name`, which is also its only output's."""

    name: ClassVar[str]

    def __init__(self, session: OnnxSession, *, key: str) -> None:
        self._session = session
        self._key = f"{self.name}:{key}"

    @classmethod
    def open(cls, weights: WeightFile, *, runtime: RuntimeConfig) -> Self:
        """Read the network.

        Raises:
            WeightsError: The file is no such network.
        """
        session = OnnxSession.open(weights.path, runtime=runtime, fixed=ONE_PICTURE)
        if set(session.inputs) != {"pixels"} or set(session.outputs) != {cls.name}:
            raise WeightsError(
                f"{weights.path.name} is no {cls.name} network: its inputs are {', '.join(sorted(session.inputs))}.",
                advice="Give a file that `automask train` or models/training exported as one.",
                code="weights-layout",
            )
        return cls(session, key=weights.sha256)

    @property
    def placement(self) -> Placement:
        """See `automask.protocols.PlacedStage`."""
        return self._session.placement

    def map_of(self, image: Image) -> MapT:
        """The map of an image; computed once per image, whoever asks first.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """
        if self._key not in image.shared:
            image.shared[self._key] = self.look(image.pixels)
        return cast("MapT", image.shared[self._key])

    @abstractmethod
    def look(self, pixels: NDArray[np.uint8]) -> MapT:
        """The map of a picture, (H, W, 3) uint8 RGB of any size.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The answer to (H, W, 3) uint8 RGB as it is, (channels, rows, columns)."""
        tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
        try:
            answer = self._session.run({"pixels": tensor})[self.name]
        except Exception as error:  # onnxruntime's own exception classes share no public base
            raise StageError(f"The {self.name} network failed on an input of shape {tensor.shape}: {error}") from error
        return np.asarray(answer[0], dtype=np.float32)
