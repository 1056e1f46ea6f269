"""A bounded sample of a stream of images, the same whatever order they come in."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.reduction import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One reduced image.

    Attributes:
        key: Hash of the pixels; samples with the smallest keys are kept.
        pixels: (h, w, 3) uint8 at the size of its group.
        source_width_px: Width of the image it came from.
        source_height_px: Height of the image it came from.
    """

    key: bytes
    pixels: NDArray[np.uint8]
    source_width_px: int
    source_height_px: int

    @property
    def seed(self) -> int:
        """A number that depends on the pixels alone."""
        return int.from_bytes(self.key, "big")


@dataclass(slots=True)
class _Group:
    count: int = 0
    samples: list[Sample] = field(default_factory=list)


class ShapeSamples:
    """The samples with the smallest hashes, of every aspect class equally many as far as memory goes.

    The allowance per class only ever shrinks, and depends on how many images each class has had. What is kept in the
    end is therefore decided by the set of images alone: a sample thrown away early would have been thrown away later.

    Args:
        per_group: Most samples of one class.
        total: Most samples of all classes together; classes beyond it keep one each.
    """

    def __init__(self, *, per_group: int, total: int) -> None:
        self._per_group = per_group
        self._total = total
        self._groups: dict[Shape, _Group] = {}

    def add(self, shape: Shape, sample: Sample) -> None:
        """Count an image and keep it if its hash is among the smallest. Equal images count once."""
        group = self._groups.setdefault(shape, _Group())
        group.count += 1
        position = bisect.bisect_left(group.samples, sample.key, key=lambda kept: kept.key)
        if position < len(group.samples) and group.samples[position].key == sample.key:
            return
        group.samples.insert(position, sample)
        allowance = self._allowance()
        for each in self._groups.values():
            del each.samples[allowance:]

    def groups(self) -> list[tuple[Shape, list[Sample]]]:
        """Classes in order of shape, samples in order of hash."""
        return [(shape, list(self._groups[shape].samples)) for shape in sorted(self._groups)]

    def _allowance(self) -> int:
        """Largest allowance with which all classes together stay within the total."""
        allowance, room = 0, self._total
        counts = sorted(min(group.count, self._per_group) for group in self._groups.values())
        for position, count in enumerate(counts):
            fair = room // (len(counts) - position)
            allowance = max(allowance, min(count, fair))
            if count >= fair:
                return max(1, fair)
            room -= count
        return self._per_group
