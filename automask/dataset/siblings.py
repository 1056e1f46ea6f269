"""Notices a folder that repeats the file names of its neighbour, as a folder of masks beside the images does."""

from __future__ import annotations

import heapq
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from automask.dataset.codes import Remark
from automask.dataset.names import folded, stem_of
from automask.types import Issue

_SKETCH_SIZE = 32
_MAX_SIBLINGS = 256  # a parent with more subfolders is a collection of sets, not images beside their masks
_MIRRORED_SHARE = 0.8
_DIGITS = re.compile(r"[0-9]+")
_TELLING_NAME = re.compile(
    r"(^|[^a-z])(mask|masks|masklabel|label|labels|seg|segmentation|alpha|matte|matting|cond|conditioning|control|depth|"
    r"canny|pose|lineart|annotation|annotations)([^a-z]|$)"
)


@dataclass(frozen=True, slots=True)
class _Sketch:
    """The smallest hashes of a folder's stems: enough to tell how many two folders share, at a fixed size."""

    folder: str
    images: int
    hashes: frozenset[int]
    is_counter: bool

    @classmethod
    def of(cls, folder: str, names: Sequence[str]) -> _Sketch:
        hashes = (zlib.crc32(folded(stem_of(name)).encode(errors="replace")) for name in names)
        # Folders of numbered files (1.png, 2.png ...) share names by accident; one template means numbers only.
        templates = {_DIGITS.sub("", stem_of(name)) for name in names[:_SKETCH_SIZE]}
        return cls(folder, len(names), frozenset(heapq.nsmallest(_SKETCH_SIZE, hashes)), len(templates) == 1)

    def shared_with(self, other: _Sketch) -> float:
        """Estimated share of the two folders' stems that both have, 0..1 (bottom-k sketch of the Jaccard index)."""
        smallest = heapq.nsmallest(_SKETCH_SIZE, self.hashes | other.hashes)
        return sum(value in self.hashes and value in other.hashes for value in smallest) / len(smallest)


@dataclass(slots=True)
class SiblingIndex:
    """The folders seen so far under one parent, the parent's own images among them."""

    _sketches: list[_Sketch] = field(default_factory=list)

    def add(self, folder: str, names: Sequence[str]) -> Issue | None:
        """Remember a folder's image names and compare them with its neighbours'.

        Args:
            folder: Printable path relative to the root.
            names: Names of its images.

        Returns:
            A warning where the folder mirrors one that came before, else None.
        """
        if len(names) < 2 or len(self._sketches) >= _MAX_SIBLINGS:
            return None
        sketch = _Sketch.of(folder, names)
        twin = next((other for other in self._sketches if _mirrors(sketch, other)), None)
        self._sketches.append(sketch)
        if twin is None:
            return None
        return Issue(
            stage="walk",
            code=Remark.MIRRORED_FOLDER.value,
            message=f"The images in {folder!r} have the names of those in {twin.folder!r}: if one of the two folders "
            "holds masks or control images, move it out of the dataset.",
        )


def _mirrors(one: _Sketch, other: _Sketch) -> bool:
    tells = any(_TELLING_NAME.search(sketch.folder.rsplit("/", 1)[-1].lower()) for sketch in (one, other))
    if not tells and (one.is_counter or min(one.images, other.images) < 4):
        return False
    return one.shared_with(other) >= _MIRRORED_SHARE
