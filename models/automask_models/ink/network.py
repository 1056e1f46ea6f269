"""Runs the ink network over whole pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box, Polygon, rasterise_polygon
from automask_models.map_network import MapNetwork
from automask_models.text.scales import MAX_ENLARGEMENT, resized, tiles

DEFAULT_WEIGHTS = "automask-ink"
CELL_PX = 4
"""Input pixels per cell of the answer."""
WORKING_AREA_PX = 1024 * 1024
"""Area at which pictures are looked at: that of a training image, so that a latent cell is two cells of the map."""

DISTANCES = (2, 4)
"""How many times further away the picture is looked at besides."""
_SMALLEST_SIDE_PX = 96


@dataclass(frozen=True, slots=True, eq=False)
class InkMap:
    """What the network says about a whole picture.

    Attributes:
        unwanted: (h, w) float32, 0..1, probability that a cell holds lettering or a mark.
        mark: (h, w) float32, 0..1, probability that it is a mark rather than text; means something where `unwanted`
            is high.
        width_px: Width of the picture.
        height_px: Its height.
    """

    unwanted: NDArray[np.float32]
    mark: NDArray[np.float32]
    width_px: int
    height_px: int

    @property
    def cells_per_px(self) -> tuple[float, float]:
        """Cells of the map per source pixel, along x and y."""
        rows, columns = self.unwanted.shape
        return columns / self.width_px, rows / self.height_px

    def upper_quartile(self, outline: Polygon) -> float:
        """What the surest quarter of the cells in an outline (pixels of the picture) reaches, 0..1.

        Strokes fill a quarter to a half of the outline of a line.
        """
        across, down = self.cells_per_px
        scaled = tuple((x * across, y * down) for x, y in outline)
        rows, columns = self.unwanted.shape
        box = Box.around(scaled).clipped(width_px=columns, height_px=rows)
        if box is None:
            return 0.0
        inside = self.unwanted[box.slices][rasterise_polygon(scaled, box)]
        values = inside if inside.size else self.unwanted[box.slices]
        return float(np.quantile(values, 0.75))

    def within(self, box: Box) -> NDArray[np.float32]:
        """`unwanted` at the resolution of the picture, in a window of it.

        Returns:
            (H, W) float32 of shape `box.shape`, interpolated bilinearly.
        """
        import cv2

        across, down = self.cells_per_px
        # Pixel centres of the window in cells of the map, whose own centres lie at .5.
        to_map = np.array(
            [[across, 0, (box.x0 + 0.5) * across - 0.5], [0, down, (box.y0 + 0.5) * down - 0.5]], dtype=np.float64
        )
        warped = cv2.warpAffine(
            self.unwanted,
            to_map,
            (box.width_px, box.height_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(warped, dtype=np.float32)


class InkNetwork(MapNetwork[InkMap]):
    """A loaded ink network."""

    name: ClassVar[str] = "ink"

    def look(self, pixels: NDArray[np.uint8]) -> InkMap:
        """The map of a picture, (H, W, 3) uint8 RGB of any size.

        It is looked at from several distances: letters as high as the picture are read from far away, where the rest is
        gone; of what they say of a cell the surest counts.
        """
        import cv2

        height_px, width_px = pixels.shape[:2]
        scale = min(MAX_ENLARGEMENT, math.sqrt(WORKING_AREA_PX / (width_px * height_px)))
        found = self._look_at(resized(pixels, scale))
        rows, columns = found.shape[1:]
        for distance in DISTANCES:
            if min(width_px, height_px) * scale / distance < _SMALLEST_SIDE_PX:
                break
            far = self._look_at(resized(pixels, scale / distance))
            larger = np.stack([cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR) for part in far])
            found = np.where(larger[0] > found[0], larger, found)
        return InkMap(unwanted=found[0], mark=found[1], width_px=width_px, height_px=height_px)

    def _look_at(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (2, h, w) of a picture whose sides are whole strides; large ones in overlapping tiles."""
        rows, columns = picture.shape[0] // CELL_PX, picture.shape[1] // CELL_PX
        total = np.zeros((2, rows, columns), dtype=np.float32)
        weight = np.zeros((rows, columns), dtype=np.float32)
        for tile in tiles(picture.shape[1], picture.shape[0]):
            answer = self._run(picture[tile.slices])
            cells = (
                slice(tile.y0 // CELL_PX, tile.y1 // CELL_PX),
                slice(tile.x0 // CELL_PX, tile.x1 // CELL_PX),
            )
            certainty = _away_from_the_rim(answer.shape[1], answer.shape[2])
            total[(slice(None), *cells)] += answer * certainty
            weight[cells] += certainty
        return np.asarray(total / weight, dtype=np.float32)


def _away_from_the_rim(rows: int, columns: int) -> NDArray[np.float32]:
    """How much a tile's answer counts, (rows, columns): less towards its rim, where it sees less around it."""
    down = np.minimum(np.arange(rows) + 1, np.arange(rows)[::-1] + 1)
    across = np.minimum(np.arange(columns) + 1, np.arange(columns)[::-1] + 1)
    return np.asarray(np.minimum(np.minimum.outer(down, across), 16) / 16, dtype=np.float32)
