"""Aspect buckets: to which size each trainer resizes an image, and what it crops.

All of them scale an image until it covers its bucket and crop the rest on both sides alike.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

T = TypeVar("T", bound=np.generic)
FloatArray = NDArray[np.float32]

BucketOf = Callable[[int, int, int], "Bucket"]
"""From (width_px, height_px, training_px) to the bucket of an image."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where an image ends up.

    Attributes:
        width_px: Width at training time.
        height_px: Height at training time.
        resized_width_px: Width that the whole image is resized to before it is cropped, at least `width_px`.
        resized_height_px: The same for the height.
        scale: Training pixels per source pixel.
    """

    width_px: int
    height_px: int
    resized_width_px: int
    resized_height_px: int
    scale: float

    @classmethod
    def covered_by(cls, width_px: int, height_px: int, *, bucket_px: tuple[int, int]) -> Bucket:
        """The bucket of the given (width, height) with an image that covers it."""
        scale = max(bucket_px[0] / width_px, bucket_px[1] / height_px)
        return cls(
            width_px=bucket_px[0],
            height_px=bucket_px[1],
            resized_width_px=max(bucket_px[0], int(width_px * scale + 0.5)),
            resized_height_px=max(bucket_px[1], int(height_px * scale + 0.5)),
            scale=scale,
        )

    @property
    def crop_px(self) -> tuple[int, int]:
        """(left, top) of the bucket inside the resized image."""
        return (self.resized_width_px - self.width_px) // 2, (self.resized_height_px - self.height_px) // 2

    def shape_cells(self, cell_px: int) -> tuple[int, int]:
        """(rows, columns) in cells."""
        return max(1, self.height_px // cell_px), max(1, self.width_px // cell_px)

    @property
    def crops(self) -> bool:
        """Whether something of the resized image does not fit in."""
        return (self.resized_width_px, self.resized_height_px) != (self.width_px, self.height_px)

    def fitted(
        self, weight: FloatArray, *, resample: PillowImage.Resampling = PillowImage.Resampling.BILINEAR
    ) -> FloatArray:
        """Resize and crop an (H, W) float32 array of 0..1 to the bucket."""
        return self.cropped(self.resized(weight, resample=resample))

    def resized(
        self, weight: FloatArray, *, resample: PillowImage.Resampling = PillowImage.Resampling.BILINEAR
    ) -> FloatArray:
        """Resize an (H, W) float32 array of 0..1 to cover the bucket."""
        return _resized(weight, (self.resized_width_px, self.resized_height_px), resample)

    def cropped(self, covering: NDArray[T]) -> NDArray[T]:
        """The part of a resized (H, W) array that lies in the bucket."""
        left, top = self.crop_px
        return covering[top : top + self.height_px, left : left + self.width_px]

    def stretched(self, weight: FloatArray) -> FloatArray:
        """Squeeze a whole (H, W) float32 array of 0..1 into the bucket, as some trainers do with masks."""
        return _resized(weight, (self.width_px, self.height_px), PillowImage.Resampling.BILINEAR)

    def counter_stretched(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of an (H, W) uint8 mask that the bucket shows, drawn over all of it.

        Stretched, it lies over the cropped image as the mask itself does when it is cropped. Black wins by a pixel.
        """
        left, top = self.crop_px
        scale_x = levels.shape[1] / self.resized_width_px
        scale_y = levels.shape[0] / self.resized_height_px
        window = (left * scale_x, top * scale_y, (left + self.width_px) * scale_x, (top + self.height_px) * scale_y)
        picture = PillowImage.fromarray(levels)
        drawn = picture.resize(picture.size, PillowImage.Resampling.BILINEAR, box=window)
        return np.asarray(drawn.filter(ImageFilter.MinFilter(3)))


def kohya_bucket(width_px: int, height_px: int, training_px: int) -> Bucket:
    """sd-scripts: the nearest aspect ratio among sizes in steps of 64 px, no side above 1024 px or the training size.

    The limit is the default of `max_bucket_reso`: at 1024 px an image of 2 : 1 is trained at half of the area.
    """
    sizes = _kohya_sizes(training_px)
    if (width_px, height_px) in sizes:
        return Bucket.covered_by(width_px, height_px, bucket_px=(width_px, height_px))
    aspect = width_px / height_px
    nearest = min(sizes, key=lambda size: abs(size[0] / size[1] - aspect))
    return Bucket.covered_by(width_px, height_px, bucket_px=nearest)


def ai_toolkit_bucket(width_px: int, height_px: int, training_px: int) -> Bucket:
    """ai-toolkit: the area of the training size, or their own for smaller images, in whole steps of 16 px."""
    step_px = 16
    scale = min(1.0, training_px / math.sqrt(width_px * height_px))
    most_px = training_px * training_px
    widths, heights = _both_ways(width_px * scale, step_px), _both_ways(height_px * scale, step_px)
    choices = [size for size in itertools.product(widths, heights) if size[0] * size[1] <= most_px]
    choices = choices or [(widths[0], heights[0])]
    aspect = width_px / height_px
    nearest = min(choices, key=lambda size: abs(math.log(size[0] / size[1] / aspect)))
    return Bucket.covered_by(width_px, height_px, bucket_px=nearest)


def nearest_ratio_bucket(ratios: Sequence[float], *, step_px: int) -> BucketOf:
    """Buckets of the training area with given aspect ratios (and their inverses), in whole steps.

    Args:
        ratios: Long side / short side, 1 or more.
        step_px: Both sides are multiples of it.
    """

    def bucket_of(width_px: int, height_px: int, training_px: int) -> Bucket:
        aspect = width_px / height_px
        ratio = min((*ratios, *(1 / ratio for ratio in ratios)), key=lambda one: abs(math.log(one / aspect)))
        sides = (training_px * math.sqrt(ratio), training_px / math.sqrt(ratio))
        return Bucket.covered_by(
            width_px, height_px, bucket_px=(_rounded(sides[0], step_px), _rounded(sides[1], step_px))
        )

    return bucket_of


def rounded_bucket(*, step_px: int) -> BucketOf:
    """The training area in the image's own aspect ratio, both sides rounded to whole steps."""

    def bucket_of(width_px: int, height_px: int, training_px: int) -> Bucket:
        scale = training_px / math.sqrt(width_px * height_px)
        size = (_rounded(width_px * scale, step_px), _rounded(height_px * scale, step_px))
        return Bucket.covered_by(width_px, height_px, bucket_px=size)

    return bucket_of


def animalora_bucket(width_px: int, height_px: int, training_px: int) -> Bucket:
    """AnimaLoraStudio: the nearest ratio up to 2 : 1 among sizes in steps of 64 px and within 10 % of the area."""
    aspect, area_px = width_px / height_px, training_px * training_px
    nearest = min(
        _animalora_sizes(training_px),
        key=lambda size: (abs(aspect - size[0] / size[1]), abs(size[0] * size[1] - area_px)),
        default=(training_px, training_px),
    )
    return Bucket.covered_by(width_px, height_px, bucket_px=nearest)


@functools.lru_cache(maxsize=32)
def _animalora_sizes(training_px: int, *, step_px: int = 64, most: float = 2.0) -> tuple[tuple[int, int], ...]:
    span = math.sqrt(most)
    least_px = max(step_px, math.floor(training_px / span / step_px) * step_px - step_px)
    sides = range(least_px, math.ceil(training_px * span / step_px) * step_px + step_px + 1, step_px)
    area_px = training_px * training_px
    return tuple(
        (width, height)
        for width, height in itertools.product(sides, sides)
        if abs(width * height - area_px) <= 0.1 * area_px and max(width / height, height / width) <= most
    )


@functools.lru_cache(maxsize=32)
def _kohya_sizes(
    training_px: int, *, step_px: int = 64, smallest_px: int = 256, largest_px: int = 1024
) -> tuple[tuple[int, int], ...]:
    area_px = training_px * training_px
    largest_px = max(largest_px, training_px)
    square = max(step_px, training_px // step_px * step_px)
    sizes = {(square, square)}
    for width in range(smallest_px, largest_px + 1, step_px):
        height = min(largest_px, area_px // width // step_px * step_px)
        if height >= smallest_px:
            sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def _rounded(side_px: float, step_px: int) -> int:
    return max(1, round(side_px / step_px)) * step_px


def _both_ways(side_px: float, step_px: int) -> tuple[int, int]:
    down = max(step_px, math.floor(side_px / step_px) * step_px)
    return (down, max(down, math.ceil(side_px / step_px) * step_px))


def _resized(weight: FloatArray, size_px: tuple[int, int], resample: PillowImage.Resampling) -> FloatArray:
    resized = np.asarray(PillowImage.fromarray(weight).resize(size_px, resample), dtype=np.float32)
    clipped: FloatArray = np.clip(resized, 0.0, 1.0)
    return clipped
