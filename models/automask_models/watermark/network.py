"""YOLO networks behind one protocol, and the one that runs on ONNX Runtime."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.values.placement import Placement
from automask_models.map_network import ONE_PICTURE
from automask_models.onnx_session import OnnxSession

AUTOMASK_CLASSES = {0: "watermark", 1: "logo", 2: "signature", 3: "timestamp", 4: "code"}
"""Classes of our own weights (models/training/README.md), for exports without names in their metadata."""

_OUR_OUTPUT = "detections"


class YoloNetwork(Protocol):
    """A loaded network. One thread at a time."""

    @property
    def placement(self) -> Placement:
        """Where it runs."""
        ...

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by id."""
        ...

    @property
    def canvas_shape(self) -> tuple[int, int] | None:
        """(rows, columns) of its input where that is fixed, else None (any multiples of 32)."""
        ...

    def predict(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Raw output for an (H, W, 3) uint8 RGB canvas: prediction, and mask prototypes or None; see `read_head`."""
        ...


class OnnxYolo:
    """Weights exported to ONNX, by us or by ultralytics."""

    def __init__(self, session: OnnxSession, *, path: Path) -> None:
        self._session = session
        self._input = next(iter(session.inputs))
        shape = session.inputs[self._input]
        if len(session.inputs) != 1 or len(shape) != 4 or shape[1] != 3:
            raise WeightsError(
                f"{path} does not take one picture of shape (1, 3, H, W): {session.inputs}.",
                advice="Export detection or segmentation weights with ultralytics.",
                code="weights-layout",
            )
        fixed = isinstance(shape[2], int) and isinstance(shape[3], int)
        self._canvas_shape = cast("tuple[int, int]", (shape[2], shape[3])) if fixed else None
        self._dtype = np.float16 if session.input_types[self._input] == "tensor(float16)" else np.float32
        self._names = _names(session, path)

    @classmethod
    def open(cls, path: Path, *, runtime: RuntimeConfig) -> Self:
        """Load a graph.

        Raises:
            WeightsError: It is damaged, or no YOLO export.
        """
        return cls(OnnxSession.open(path, runtime=runtime, fixed=ONE_PICTURE), path=path)

    @property
    def placement(self) -> Placement:
        """See `YoloNetwork`."""
        return self._session.placement

    @property
    def names(self) -> Mapping[int, str]:
        """See `YoloNetwork`."""
        return self._names

    @property
    def canvas_shape(self) -> tuple[int, int] | None:
        """See `YoloNetwork`."""
        return self._canvas_shape

    def predict(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """See `YoloNetwork`."""
        values = canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255.0
        outputs = list(self._session.run({self._input: np.ascontiguousarray(values.astype(self._dtype))}).values())
        prediction = next(value for value in outputs if value.ndim == 3)
        prototypes = next((value for value in outputs if value.ndim == 4), None)
        return (
            np.asarray(prediction[0], dtype=np.float32),
            None if prototypes is None else np.asarray(prototypes[0], dtype=np.float32),
        )


def _names(session: OnnxSession, path: Path) -> dict[int, str]:
    written = session.metadata.get("names")
    if written is None and _OUR_OUTPUT in session.outputs:
        return dict(AUTOMASK_CLASSES)
    try:
        found = ast.literal_eval(written or "")
        return {int(number): str(name) for number, name in found.items()}
    except (ValueError, SyntaxError, AttributeError) as error:
        raise WeightsError(
            f"{path} has no class names in its metadata.",
            advice="Export it with ultralytics, which writes them as `names`.",
            code="weights-layout",
        ) from error
