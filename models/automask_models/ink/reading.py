"""Reading what the ink map found: letters in it speak for lettering, their absence for roofs, railings and foliage."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.protocols import WeightFile
from automask.values.placement import Placement
from automask_models.ink.groups import InkGroup, lines_of
from automask_models.ink.network import InkMap
from automask_models.text.lines import TextLine, clockwise_from_top_left, upright_crop
from automask_models.text.ppocr import RECOGNITION_HEIGHT_PX, Recogniser
from automask_models.text.regions import Recognition

_MARGIN = 0.12
"""Margin around a group, as a share of its height: the map's rim may cut into letters."""
_LEVEL_SHARE = 0.7
"""A turned rectangle is taken for a group's only where it is this much smaller than its box."""
_GROUND_SHARE = 0.35
"""Deviation of the blur that tells the ground from the letters on it, as a share of the height of the group."""
_FULL_SCALE_PERCENTILE = 98.0
_MOST_LINES = 5
"""Rows, and as many columns, that are read of a large group: among the largest of a block one can be read."""


class GroupReader:
    """Reads groups with the recogniser that the `rapidocr` package bundles. One instance serves one thread."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    @property
    def placement(self) -> Placement:
        """See `automask.protocols.PlacedStage`."""
        return self._recogniser.placement

    @classmethod
    def open(cls, recognition: WeightFile, *, runtime: RuntimeConfig) -> Self:
        """Read the network of a PP-OCR recogniser.

        Raises:
            WeightsError: The file does not load.
        """
        return cls(Recogniser(recognition.path, runtime=runtime))

    def read(self, pixels: NDArray[np.uint8], ink: InkMap, group: InkGroup) -> Recognition:
        """What has most evidence of what is read in a group of a map of (H, W, 3) uint8 RGB pixels.

        It is read as it is and without its ground.

        Raises:
            StageError: The network failed.
        """
        crop = _at_reading_size(upright_crop(pixels, line_of(group, ink)))
        read = self._recogniser.recognise([crop, without_ground(crop)])
        return max(read, key=lambda reading: reading.evidence)

    def read_lines(self, pixels: NDArray[np.uint8], ink: InkMap, group: InkGroup) -> Recognition:
        """What has most evidence of what is read in single rows and columns of a group, as in a block of text.

        Raises:
            StageError: The network failed.
        """
        crops = []
        for box in lines_of(group, ink, most=_MOST_LINES):
            corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
            line = TextLine(corners=corners, outline=corners, score=group.probability)
            crops.append(_at_reading_size(upright_crop(pixels, line)))
        return max(
            self._recogniser.recognise(crops), key=lambda reading: reading.evidence, default=Recognition("", 0.0)
        )


def line_of(group: InkGroup, ink: InkMap) -> TextLine:
    """A group as if it were a line of text, with a margin, in pixels of the picture."""
    import cv2

    across, down = ink.cells_per_px
    rows, columns = np.nonzero(group.cells)
    x0, y0 = group.columns.start, group.rows.start
    height, width = group.cells.shape
    corners = [(dx, dy) for dx in (0, 1) for dy in (0, 1)]
    points = np.concatenate([np.stack([x0 + columns + dx, y0 + rows + dy], axis=1) for dx, dy in corners])
    centre, sides, angle = cv2.minAreaRect((points / (across, down)).astype(np.float32))
    level = width / across, height / down
    if sides[0] * sides[1] > _LEVEL_SHARE * level[0] * level[1]:
        centre, sides, angle = ((x0 + width / 2) / across, (y0 + height / 2) / down), level, 0.0
    margin_px = 2 * _MARGIN * min(sides)
    rectangle = clockwise_from_top_left(
        np.asarray(cv2.boxPoints((centre, (sides[0] + margin_px, sides[1] + margin_px), angle)), dtype=np.float64)
    )
    return TextLine(corners=rectangle, outline=rectangle, score=group.probability)


def without_ground(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What differs from the blurred surroundings in a crop, (H, W, 3) uint8, as grey at full contrast."""
    import cv2

    grey = crop.mean(axis=2, dtype=np.float32)
    difference = grey - cv2.GaussianBlur(grey, (0, 0), max(1.0, _GROUND_SHARE * crop.shape[0]))
    scale = max(1.0, float(np.percentile(np.abs(difference), _FULL_SCALE_PERCENTILE)))
    levels = np.clip(np.rint(128 + difference * (127 / scale)), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _at_reading_size(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop no higher than the recogniser looks at it: blurring a large one would take longer than reading it."""
    import cv2

    height_px, width_px = crop.shape[:2]
    if height_px <= RECOGNITION_HEIGHT_PX:
        return crop
    size = max(1, round(width_px * RECOGNITION_HEIGHT_PX / height_px)), RECOGNITION_HEIGHT_PX
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
