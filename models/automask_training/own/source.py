"""Own images as endless training images, alone or between synthetic ones."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.watermark.letterbox import FILL
from automask_training.own.images import OwnImage
from automask_training.synth.types import SyntheticImage, SyntheticInstance

if TYPE_CHECKING:
    from automask_training.sam import ImageSource

_CACHE_BYTES = 300_000_000
_WHOLE_SHARE = 0.5
_FOCUS_SHARE = 0.8
_ZOOM = (0.7, 1.6)
_MASK_LEVEL = 64
"""Of 255: a resized mask holds the pixels that are covered by a quarter; marks are thin."""


class OwnSource:
    """Square views of own images: number `index` is a pure function of the index, the images and the seed.

    All images come once before one comes again. A view is the whole picture, letterboxed as at run time, or a cut near
    something unwanted. It pickles without what it has cached; one instance serves one thread.
    """

    def __init__(self, images: Sequence[OwnImage], *, size_px: int, seed: int) -> None:
        self._images = tuple(images)
        self._size_px = size_px
        self._seed = seed
        self._cache: OrderedDict[int, SyntheticImage] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out decoded pictures."""
        return {**self.__dict__, "_cache": OrderedDict()}

    def sample(self, index: int) -> SyntheticImage:
        """View number `index`, `size_px` squared.

        Raises:
            ImageError: A file is gone or damaged since it was read first.
        """
        epoch, place = divmod(index, len(self._images))
        order = np.random.default_rng([self._seed, epoch, 0x0F0F]).permutation(len(self._images))
        rng = np.random.default_rng([self._seed, index, 0x4F57])
        return square_view(self._loaded(int(order[place])), size_px=self._size_px, rng=rng)

    def _loaded(self, number: int) -> SyntheticImage:
        if number not in self._cache:
            self._cache[number] = self._images[number].load()
            while len(self._cache) > 1 and sum(one.pixels.nbytes for one in self._cache.values()) > _CACHE_BYTES:
                self._cache.popitem(last=False)
        self._cache.move_to_end(number)
        return self._cache[number]


@dataclass(frozen=True)
class MixedSource:
    """Own images among others, so that what the network knew is not forgotten."""

    own: OwnSource
    others: ImageSource
    own_share: float
    seed: int

    def sample(self, index: int) -> SyntheticImage:
        """An own image with probability `own_share`, else one of the others."""
        chance = zlib.crc32(f"{self.seed}:{index}".encode()) / 2**32
        return self.own.sample(index) if chance < self.own_share else self.others.sample(index)


def square_view(image: SyntheticImage, *, size_px: int, rng: np.random.Generator) -> SyntheticImage:
    """A square of an image at `size_px`; parts outside of the image are grey."""
    height, width = image.pixels.shape[:2]
    longest = max(height, width)
    side = round(size_px / np.exp(rng.uniform(*np.log(_ZOOM))))
    if rng.random() < _WHOLE_SHARE or side >= longest:
        return _cut(image, x0=0, y0=0, side=longest, size_px=size_px)
    x, y = rng.random() * width, rng.random() * height
    if image.instances and rng.random() < _FOCUS_SHARE:
        thing = image.instances[int(rng.integers(len(image.instances)))]
        rows, columns = np.nonzero(thing.mask)
        at = int(rng.integers(len(rows)))
        x, y = thing.box[0] + columns[at], thing.box[1] + rows[at]
    x0 = int(np.clip(x - side * rng.uniform(0.15, 0.85), 0, max(0, width - side)))
    y0 = int(np.clip(y - side * rng.uniform(0.15, 0.85), 0, max(0, height - side)))
    return _cut(image, x0=x0, y0=y0, side=side, size_px=size_px)


def _cut(image: SyntheticImage, *, x0: int, y0: int, side: int, size_px: int) -> SyntheticImage:
    square = np.full((side, side, 3), FILL, np.uint8)
    part = image.pixels[y0 : y0 + side, x0 : x0 + side]
    square[: part.shape[0], : part.shape[1]] = part
    instances = []
    for thing in image.instances:
        canvas = _shown(thing, x0=x0, y0=y0, side=side)
        if canvas is None:
            continue
        mask = _resized(canvas, size_px) > _MASK_LEVEL
        box = Box.of_artefact(mask)
        if box is not None:
            shown = np.ascontiguousarray(mask[box.slices])
            instances.append(
                SyntheticInstance(thing.kind, thing.label, box.xyxy, shown, 1.0, is_kind_known=thing.is_kind_known)
            )
    unknown = None
    if image.unknown is not None:
        canvas = np.zeros((side, side), np.uint8)
        inside = image.unknown[y0 : y0 + side, x0 : x0 + side]
        canvas[: inside.shape[0], : inside.shape[1]] = inside * np.uint8(255)
        unknown = _resized(canvas, size_px) > 0
    return SyntheticImage(_resized(square, size_px), tuple(instances), unknown)


def _shown(thing: SyntheticInstance, *, x0: int, y0: int, side: int) -> NDArray[np.uint8] | None:
    left, top = max(thing.box[0], x0), max(thing.box[1], y0)
    right, bottom = min(thing.box[2], x0 + side), min(thing.box[3], y0 + side)
    if left >= right or top >= bottom:
        return None
    canvas = np.zeros((side, side), np.uint8)
    part = thing.mask[top - thing.box[1] : bottom - thing.box[1], left - thing.box[0] : right - thing.box[0]]
    canvas[top - y0 : bottom - y0, left - x0 : right - x0] = part * np.uint8(255)
    return canvas


def _resized(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    import cv2

    how = cv2.INTER_AREA if pixels.shape[0] > size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size_px, size_px), interpolation=how), np.uint8)
