"""What is left of a mask once a trainer has reduced it: region by region. Arrays in, figures out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.trainers.buckets import Bucket
from automask.trainers.conventions import Trainer
from automask.trainers.reducers import FloatArray
from automask.values.geometry import Box

TOO_TIGHT_WEIGHT = 0.1
"""More than this over what the mask says, on average over the heart of a region, means that it is not masked."""
_SHIFTED_WEIGHT = 0.03
"""More than this is more than a resize leaves: a strip of the heart is trained."""
_HEART_CELLS = 0.9
_DUST_CELLS = 0.25
_MOST_DARK_FOR_LIGHT = 0.35


@dataclass(frozen=True, slots=True)
class RegionWeight:
    """One masked region, after the trainer's reduction.

    Attributes:
        box: Where, in pixels of the mask.
        share: Of the image's area, 0..1.
        intended: Mean weight that the mask says, 0..1, over the heart of the region: the pixels further than 0.9
            cells from its edge, or the innermost ones where it is thinner than that.
        effective: Mean weight of the cells there, with the floor of the user's settings.
        excess: How much the reduction alone adds: mean weight of the cells, without the floor, minus `intended`.
    """

    box: Box
    share: float
    intended: float
    effective: float
    excess: float

    @property
    def is_too_tight(self) -> bool:
        """Whether a good part of it is trained because the mask is too small for the cells."""
        return self.excess > TOO_TIGHT_WEIGHT


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """One mask as a trainer sees it.

    Attributes:
        cells: (rows, columns) float32 weight of each latent cell, with the floor.
        masked_share: Share of the weight that the mask takes away, 0..1, before the reduction.
        regions: Largest first; those that the bucket crops away are not there.
        shifted: Those of them that keep weight where the trainer stretches the mask instead of cropping it, as versions
            in use do: their excess is that of the stretched mask.
    """

    cells: FloatArray
    masked_share: float
    regions: tuple[RegionWeight, ...]
    shifted: tuple[RegionWeight, ...] = ()

    @property
    def effective_weight(self) -> float:
        """Mean of the regions' effective weights by area; 0 without regions."""
        total = sum(region.share for region in self.regions)
        return sum(region.share * region.effective for region in self.regions) / total if total else 0.0


def reduce_mask(
    levels: NDArray[np.uint8], trainer: Trainer, *, training_px: int, cell_px: int, floor: float = 0.0
) -> Reduction:
    """Lay a mask over the latent grid as a trainer does.

    Args:
        levels: (H, W) uint8, 255 = train, in the orientation in which the trainer sees the image.
        trainer: Whose bucket and reduction.
        training_px: Training resolution.
        cell_px: Latent cell in training pixels.
        floor: Least weight of the user's settings.
    """
    weight = levels.astype(np.float32) / 255.0
    height_px, width_px = levels.shape
    bucket = trainer.bucket(width_px, height_px, training_px)
    resized = bucket.resized(weight)
    bare = trainer.mode(bucket.cropped(resized), bucket.shape_cells(cell_px))
    regions: list[RegionWeight] = []
    shifted: list[RegionWeight] = []
    if (resized < 0.5).any():
        parts = _Parts.of(resized, bucket, cell_px=cell_px)
        regions = parts.weighed(bare, trainer, floor=floor, source_shape=levels.shape)
        if trainer.cropping_bucket(width_px, height_px, training_px) is not None:
            stretched = trainer.mode(bucket.stretched(weight), bucket.shape_cells(cell_px))
            found = parts.weighed(stretched, trainer, floor=floor, source_shape=levels.shape)
            shifted = [region for region in found if region.excess > _SHIFTED_WEIGHT]
    return Reduction(
        cells=trainer.lifted(bare, floor=floor),
        masked_share=float(1.0 - weight.mean(dtype=np.float64)),
        regions=tuple(regions),
        shifted=tuple(shifted),
    )


def looks_inverted(levels: NDArray[np.uint8]) -> bool:
    """Whether a mask looks like black = train: dark all around, with a few light islands.

    A picture frame is dark around one large light window; a mask of text that was inverted is dark around many or
    small light ones.
    """
    import cv2

    light = levels > 127
    share = float(light.mean())
    corners = [bool(light[y, x]) for y in (0, -1) for x in (0, -1)]
    if share == 0.0 or share > _MOST_DARK_FOR_LIGHT or sum(corners) > 1:
        return False
    count, _, stats, _ = cv2.connectedComponentsWithStats(light.view(np.uint8), connectivity=8)
    islands = int((stats[1:, cv2.CC_STAT_AREA] >= max(4, 1e-5 * light.size)).sum()) if count > 1 else 0
    return islands >= 2 or share < 0.15


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The masked regions of one mask at training size, the part in the bucket.

    What is told of a region is told of the whole of it: a sliver that the crop leaves of a margin is no thin region.

    Attributes:
        fitted: (H, W) float32 weight of the bucket.
        heart: (H, W) bool, the pixels that count.
        labels: (H, W) region of each pixel, 0 = none.
        area_px: Masked pixels of each region in the bucket.
        boxes: Left, top, width and height of each region in the resized image.
        bucket: Where the image ends up.
        cell_px: Latent cell.
    """

    fitted: FloatArray
    heart: NDArray[np.bool_]
    labels: NDArray[np.int32]
    area_px: NDArray[np.intp]
    boxes: NDArray[np.int32]
    bucket: Bucket
    cell_px: int

    @classmethod
    def of(cls, resized: FloatArray, bucket: Bucket, *, cell_px: int) -> _Parts:
        import cv2

        masked = resized < 0.5
        heart = _heart(masked, cell_px)
        # Strokes of one word are one region to a person: join what is within a cell of each other.
        joined = cv2.dilate(masked.view(np.uint8), np.ones((cell_px + 1, cell_px + 1), dtype=np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        inside = bucket.cropped(labels.astype(np.int32))
        return cls(
            fitted=bucket.cropped(resized),
            heart=bucket.cropped(heart),
            labels=inside,
            area_px=np.bincount(inside[bucket.cropped(masked)], minlength=count),
            boxes=stats[:, :4].astype(np.int32),
            bucket=bucket,
            cell_px=cell_px,
        )

    def weighed(
        self, bare: FloatArray, trainer: Trainer, *, floor: float, source_shape: tuple[int, ...]
    ) -> list[RegionWeight]:
        """What cells leave of each region, largest first."""
        lifted = trainer.lifted(bare, floor=floor)
        rows, columns = (_cell_of(self.fitted.shape[axis], bare.shape[axis]) for axis in (0, 1))
        y, x = np.nonzero(self.heart)
        label, count = self.labels[y, x], len(self.area_px)
        pixels = np.bincount(label, minlength=count)
        at = (rows[y], columns[x])
        sums = [
            np.bincount(label, weights=values, minlength=count) for values in (self.fitted[y, x], bare[at], lifted[at])
        ]
        found = []
        for index in range(1, count):
            if not pixels[index] or self.area_px[index] < _DUST_CELLS * self.cell_px**2:
                continue
            intended, reduced, effective = (float(total[index] / pixels[index]) for total in sums)
            found.append(
                RegionWeight(
                    box=_source_box(self.boxes[index], self.bucket, source_shape),
                    share=float(self.area_px[index] / self.fitted.size),
                    intended=intended,
                    effective=effective,
                    excess=reduced - intended,
                )
            )
        return sorted(found, key=lambda region: -region.share)


def _heart(masked: NDArray[np.bool_], cell_px: int) -> NDArray[np.bool_]:
    """Pixels far from the edge of their component (chessboard distance).

    A mask that was grown by a cell has what it was grown from for its heart; one that was not has its middle line.
    """
    import cv2

    padded = np.pad(masked.view(np.uint8), cell_px + 1, mode="edge")  # a bar at the rim does not end there
    depth = cv2.distanceTransform(padded, cv2.DIST_C, 3)[cell_px + 1 : -cell_px - 1, cell_px + 1 : -cell_px - 1]
    count, labels = cv2.connectedComponents(masked.view(np.uint8), connectivity=8)
    deepest = np.zeros(count, dtype=np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    limit = np.minimum(_HEART_CELLS * cell_px, 0.9 * deepest)
    heart: NDArray[np.bool_] = masked & (depth >= limit[labels])
    return heart


def _cell_of(pixels: int, cells: int) -> NDArray[np.intp]:
    return np.minimum(np.arange(pixels) * cells // pixels, cells - 1)


def _source_box(box: NDArray[np.int32], bucket: Bucket, source_shape: tuple[int, ...]) -> Box:
    """A box in the resized mask as one in the mask file."""
    scale_x, scale_y = source_shape[1] / bucket.resized_width_px, source_shape[0] / bucket.resized_height_px
    x0, y0, width, height = (int(value) for value in box)
    left, top = int(x0 * scale_x), int(y0 * scale_y)
    return Box(left, top, max(left + 1, int((x0 + width) * scale_x)), max(top + 1, int((y0 + height) * scale_y)))
