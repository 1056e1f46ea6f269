"""Runs the layout network over whole pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automask_models.map_network import MapNetwork

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


class LayoutNetwork(MapNetwork[LayoutMap]):
    """A loaded layout network."""

    name: ClassVar[str] = "layout"

    def look(self, pixels: NDArray[np.uint8]) -> LayoutMap:
        """See `MapNetwork`."""
        import cv2

        square = cv2.resize(pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        frame, plate, margin, ground = self._run(np.asarray(square, dtype=np.uint8))
        height_px, width_px = pixels.shape[:2]
        return LayoutMap(frame=frame, plate=plate, margin=margin, ground=ground, width_px=width_px, height_px=height_px)
