"""Runs the layout network over whole pictures, and keeps its answer for the other stages of the same run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.protocols import WeightFile
from automask.values.types import Image
from automask_models.onnx_session import OnnxSession

DEFAULT_WEIGHTS = "automask-layout"
SIDE_PX = 256
"""The network sees every picture squashed to a square of this side."""
CELLS = 64
"""Cells along each side of its answer."""
CHANNELS = ("frame", "plate", "margin", "ground")


@dataclass(frozen=True, slots=True, eq=False)
class LayoutMap:
    """What the network says of each cell of a grid over a whole picture; all (64, 64) float32, 0..1.

    Attributes:
        frame: What was put around the picture, or over it.
        plate: Of that, what lies over the picture.
        margin: Margins and gutters of a page of panels.
        ground: Plain ground behind things that were photographed or drawn alone.
        width_px: Width of the picture.
        height_px: Its height.
    """

    frame: NDArray[np.float32]
    plate: NDArray[np.float32]
    margin: NDArray[np.float32]
    ground: NDArray[np.float32]
    width_px: int
    height_px: int

    def share_of(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Share of each cell that a mask of the whole picture, (H, W), covers, as the grid's float32, 0..1."""
        import cv2

        rows, columns = self.frame.shape
        found = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(found, dtype=np.float32)


class LayoutNetwork:
    """A loaded layout network. One instance serves one thread."""

    def __init__(self, session: OnnxSession, *, key: str) -> None:
        self._session = session
        self._key = f"layout:{key}"

    @classmethod
    def open(cls, weights: WeightFile, *, runtime: RuntimeConfig) -> Self:
        """Read the network.

        Raises:
            WeightsError: The file is no layout network.
        """
        session = OnnxSession.open(weights.path, runtime=runtime)
        if set(session.inputs) != {"pixels"} or set(session.outputs) != {"layout"}:
            raise WeightsError(
                f"{weights.path.name} is no layout network: its inputs are {', '.join(sorted(session.inputs))}.",
                advice="Give a file that models/training exported.",
                code="weights-layout",
            )
        return cls(session, key=weights.sha256)

    def map_of(self, image: Image) -> LayoutMap:
        """The map of an image; computed once per image, whoever asks first.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """
        kept = image.shared.get(self._key)
        if isinstance(kept, LayoutMap):
            return kept
        found = self.look(image.pixels)
        image.shared[self._key] = found
        return found

    def look(self, pixels: NDArray[np.uint8]) -> LayoutMap:
        """The map of a picture, (H, W, 3) uint8 RGB of any size.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """
        import cv2

        square = cv2.resize(pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        tensor = np.ascontiguousarray(square.transpose(2, 0, 1)[None], dtype=np.float32)
        try:
            answer = self._session.run({"pixels": tensor})["layout"]
        except Exception as error:  # onnxruntime's own exception classes share no public base
            raise StageError(f"The layout network failed on an input of shape {tensor.shape}: {error}") from error
        frame, plate, margin, ground = np.asarray(answer[0], dtype=np.float32)
        height_px, width_px = pixels.shape[:2]
        return LayoutMap(frame=frame, plate=plate, margin=margin, ground=ground, width_px=width_px, height_px=height_px)
