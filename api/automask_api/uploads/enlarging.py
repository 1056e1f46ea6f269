"""Back to the size of a file what was found at a fraction of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.dataset.codes import Remark
from automask.dataset.decode import Decoded
from automask.values.geometry import Box
from automask.values.types import Issue, MaskResult, Patch, Region


@dataclass(frozen=True, slots=True)
class Scale:
    """How an upright image relates to the one that was analysed.

    Attributes:
        by: Every square of so many pixels was one.
        width_px: Of the file's picture.
        height_px: Of the file's picture.
    """

    by: int
    width_px: int
    height_px: int

    @classmethod
    def of(cls, decoded: Decoded) -> Scale:
        """That of a decoded image."""
        return cls(decoded.reduced_by, *decoded.size_px)

    def issues(self) -> tuple[Issue, ...]:
        """What a person should know about it."""
        if self.by == 1:
            return ()
        message = (
            f"The image has {self.width_px * self.height_px / 1e6:.0f} megapixels and was analysed at 1/{self.by} of "
            f"its width and height: edges of the mask are exact to {self.by} pixels."
        )
        return (Issue(stage="decode", code=Remark.REDUCED.value, message=message),)

    def levels(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) uint8 of the file's size."""
        return levels if self.by == 1 else _enlarged(levels, self.by, (self.height_px, self.width_px))

    def result(self, result: MaskResult) -> MaskResult:
        """With regions and outlines in pixels of the file."""
        if self.by == 1:
            return result
        return dataclasses.replace(
            result,
            width_px=self.width_px,
            height_px=self.height_px,
            regions=tuple(self._region(region) for region in result.regions),
            patches=tuple(self._patch(patch) for patch in result.patches),
        )

    def _region(self, region: Region) -> Region:
        box = self._box(region.box)
        polygon = region.polygon
        if polygon is not None:
            polygon = tuple((min(x * self.by, self.width_px), min(y * self.by, self.height_px)) for x, y in polygon)
        artefact = None if region.artefact is None else self._artefact(region.artefact, box)
        return dataclasses.replace(region, box=box, polygon=polygon, artefact=artefact)

    def _patch(self, patch: Patch) -> Patch:
        box = self._box(patch.box)
        return dataclasses.replace(patch, box=box, artefact=self._artefact(patch.artefact, box))

    def _box(self, box: Box) -> Box:
        x0, y0, x1, y1 = (side * self.by for side in box.xyxy)
        return Box(x0, y0, min(x1, self.width_px), min(y1, self.height_px))

    def _artefact(self, artefact: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
        return _enlarged(artefact.view(np.uint8), self.by, box.shape).view(np.bool_)


def _enlarged(values: NDArray[np.uint8], by: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Every value as a square of so many, cut to a shape; a row at a time, so that there is only one large array."""
    enlarged = np.empty(shape, dtype=np.uint8)
    for index, row in enumerate(values):
        enlarged[index * by : (index + 1) * by] = np.repeat(row, by)[: shape[1]]
    return enlarged
