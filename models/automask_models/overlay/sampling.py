"""Which images of a dataset are compared: a bounded sample, the same whatever order they come in."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from automask.protocols import ImageFacts
from automask_models.overlay.reduction import Shape


@dataclass(slots=True)
class _Group:
    count: int = 0
    kept: list[ImageFacts] = field(default_factory=list)


class ShapeSamples:
    """The images with the smallest hashes, of every aspect class equally many as far as memory goes.

    The allowance per class only ever shrinks, and depends on how many images each class has had. What is kept in the
    end is therefore decided by the set of images alone: one thrown away early would have been thrown away later.

    Args:
        per_group: Most images of one class.
        total: Most images of all classes together; classes beyond it keep one each.
    """

    def __init__(self, *, per_group: int, total: int) -> None:
        self._per_group = per_group
        self._total = total
        self._groups: dict[Shape, _Group] = {}

    def add(self, shape: Shape, image: ImageFacts) -> None:
        """Count an image and keep it if its hash is among the smallest. Equal files count once."""
        group = self._groups.setdefault(shape, _Group())
        group.count += 1
        position = bisect.bisect_left(group.kept, image.content_sha256, key=lambda kept: kept.content_sha256)
        if position < len(group.kept) and group.kept[position].content_sha256 == image.content_sha256:
            return
        group.kept.insert(position, image)
        allowance = self._allowance()
        for each in self._groups.values():
            del each.kept[allowance:]

    def images(self) -> list[ImageFacts]:
        """Images of all classes, in order of shape and hash."""
        return [image for shape in sorted(self._groups) for image in self._groups[shape].kept]

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
