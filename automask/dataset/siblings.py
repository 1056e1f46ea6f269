"""Notices a folder that repeats the file names of its neighbour, as a folder of masks beside the images does."""

from __future__ import annotations

import heapq
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.dataset.codes import Remark
from automask.dataset.names import folded, is_image_name, stem_of, stem_of_masked
from automask.values.types import Issue

_SKETCH_SIZE = 32
_MAX_SIBLINGS = 256  # a parent with more subfolders is a collection of sets, not images beside their masks
_MIRRORED_SHARE = 0.8
_COVERED_SHARE = 0.5
"""Of the files in a folder with a telling name: so many have the name of an image, however few images that are."""
_DIGITS = re.compile(r"[0-9]+")
_TELLING_NAME = re.compile(
    r"(^|[^a-z])(mask|masks|masklabel|label|labels|seg|segmentation|alpha|matte|matting|cond|conditioning|control|depth|"
    r"canny|pose|lineart|annotation|annotations)([^a-z]|$)"
)
_MASKS_NAME = re.compile(r"(^|[^a-z])(mask|masks|masklabel|masklabels|matte|mattes)([^a-z]|$)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """Two folders whose files have the same names.

    Attributes:
        folder: The one that was looked at last.
        twin: The other one.
        masks: The one of them that holds masks, going by its name; else `folder`.
    """

    folder: str
    twin: str
    masks: str

    @property
    def issue(self) -> Issue:
        """A warning for a person."""
        return Issue(
            stage="walk",
            code=Remark.MIRRORED_FOLDER.value,
            message=f"The images in {self.folder!r} have the names of those in {self.twin!r}: if one of the two "
            "folders holds masks or control images, move it out of the dataset.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class NameSketch:
    """The stems of a folder's images as hashes: four bytes an image.

    Attributes:
        folder: Printable path relative to the root.
        hashes: (N,) uint32, sorted.
        smallest: The lowest of them: enough to tell how many stems two folders share.
        is_counter: Whether all names are one template with numbers, such as 1.png, 2.png.
    """

    folder: str
    hashes: NDArray[np.uint32]
    smallest: frozenset[int]
    is_counter: bool

    @classmethod
    def of(cls, folder: str, names: Sequence[str]) -> Self:
        """Sketch a folder.

        Args:
            folder: Printable path relative to the root.
            names: Names of its images.
        """
        # not np.unique: it imports numpy.ma, which takes a tenth of the time that numpy itself does
        hashes = np.array(sorted({_hash(name) for name in names}), dtype=np.uint32)
        # Folders of numbered files (1.png, 2.png ...) share names by accident; one template means numbers only.
        templates = {_DIGITS.sub("", stem_of(name)) for name in names[:_SKETCH_SIZE]}
        return cls(folder, hashes, frozenset(hashes[:_SKETCH_SIZE].tolist()), len(templates) == 1)

    @property
    def base_name(self) -> str:
        """The folder's own name in lower case."""
        return self.folder.rsplit("/", 1)[-1].lower()

    def shared_with(self, other: NameSketch) -> float:
        """Estimated share of the two folders' stems that both have, 0..1 (bottom-k sketch of the Jaccard index)."""
        smallest = heapq.nsmallest(_SKETCH_SIZE, self.smallest | other.smallest)
        return sum(value in self.smallest and value in other.smallest for value in smallest) / len(smallest)

    def share_in(self, other: NameSketch) -> float:
        """Share of this folder's stems that the other one has, 0..1."""
        return float(np.isin(self.hashes, other.hashes, assume_unique=True).mean())

    def may_mask(self, other: NameSketch) -> bool:
        """Whether this folder holds, by its name, masks or control images for a part of the other's images."""
        # "10_pose" beside "20_dog", both numbered, are two concepts; "masks" are masks.
        telling = _MASKS_NAME if self.is_counter else _TELLING_NAME
        return telling.search(self.base_name) is not None and self.share_in(other) >= _COVERED_SHARE


@dataclass(slots=True)
class SiblingIndex:
    """The folders seen so far under one parent, the parent's own images among them."""

    _sketches: list[NameSketch] = field(default_factory=list)

    def add(self, sketch: NameSketch) -> Mirror | None:
        """Remember the names of a folder's images and compare them with its neighbours'.

        Returns:
            The folder and its twin, where it mirrors one that came before, or one of them holds masks for images of
            the other; else None.
        """
        if not len(sketch.hashes) or len(self._sketches) >= _MAX_SIBLINGS:
            return None
        twin = next((other for other in self._sketches if _mirrors(sketch, other)), None)
        self._sketches.append(sketch)
        if twin is None:
            return None
        tells = [each for each in (sketch, twin) if _TELLING_NAME.search(each.base_name)]
        return Mirror(sketch.folder, twin.folder, masks=tells[0].folder if len(tells) == 1 else sketch.folder)


def _mirrors(one: NameSketch, other: NameSketch) -> bool:
    if one.may_mask(other) or other.may_mask(one):
        return True
    if min(len(one.hashes), len(other.hashes)) < 2:
        return False
    tells = any(_TELLING_NAME.search(sketch.base_name) for sketch in (one, other))
    if not tells and (one.is_counter or min(len(one.hashes), len(other.hashes)) < 4):
        return False
    return one.shared_with(other) >= _MIRRORED_SHARE


def _hash(name: str) -> int:
    """Of the stem of an image, or of the image that a mask of this name belongs to: `a`, `a.jpg` and `a_mask` meet."""
    stem = stem_of_masked(name) or stem_of(name)
    if is_image_name(stem):
        stem = stem_of(stem)
    return zlib.crc32(folded(stem).encode(errors="replace"))
