"""Runs the scene network over whole pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box, rasterise_polygon
from automask.values.types import Region
from automask_models.map_network import MapNetwork
from automask_models.text.scales import STRIDE_PX

DEFAULT_WEIGHTS = "automask-scene"
SIDE_PX = 640
"""Long side at which pictures are looked at: that of the pictures that it learned from."""
_UPPER_QUARTILE = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class SceneMap:
    """What the network says of a whole picture.

    Attributes:
        lettering: (h, w) float32, 0..1, probability that a cell holds lettering or a mark.
        width_px: Width of the picture.
        height_px: Its height.
    """

    lettering: NDArray[np.float32]
    width_px: int
    height_px: int

    def upper_quartile(self, region: Region) -> float:
        """What the surest quarter of the cells of a region reaches, 0..1: strokes fill a part of what is outlined."""
        import cv2

        rows, columns = self.lettering.shape
        across, down = columns / self.width_px, rows / self.height_px
        x0, y0, x1, y1 = region.box.x0, region.box.y0, region.box.x1, region.box.y1
        corners = region.polygon or ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        scaled = tuple((x * across, y * down) for x, y in corners)
        box = Box.around(scaled).clipped(width_px=columns, height_px=rows)
        if box is None:
            return 0.0
        cells = self.lettering[box.slices]
        if region.artefact is not None:
            shrunk = cv2.resize(region.artefact.astype(np.float32), cells.shape[::-1], interpolation=cv2.INTER_AREA)
            inside = cells[shrunk > 0]
        else:
            inside = cells[rasterise_polygon(scaled, box)]
        return float(np.quantile(inside if inside.size else cells, _UPPER_QUARTILE))


class SceneNetwork(MapNetwork[SceneMap]):
    """A loaded scene network."""

    name: ClassVar[str] = "lettering"

    def look(self, pixels: NDArray[np.uint8]) -> SceneMap:
        """See `MapNetwork`."""
        import cv2

        height_px, width_px = pixels.shape[:2]
        scale = SIDE_PX / max(width_px, height_px)
        size = tuple(max(1, round(side * scale / STRIDE_PX)) * STRIDE_PX for side in (width_px, height_px))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)
        return SceneMap(lettering=self._run(small)[0], width_px=width_px, height_px=height_px)
