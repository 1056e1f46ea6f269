"""What was found for an image in somebody's files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.values.types import Kind

Shape = tuple[int, int]

LINE_WIDTH_PX = 10.0
"""As LabelMe itself turns lines into masks."""


class NotAnAnnotation(ValueError):
    """A file of another purpose: it says nothing about its image, and is left alone."""


class OnlyPredicted(ValueError):
    """A model's proposal that no person has accepted: it is left alone."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an entry is read for.

    Attributes:
        shape: (height, width) of the upright image.
        line_width_px: Width of lines that have none of their own, in pixels of the picture that they were drawn on.
    """

    shape: Shape
    line_width_px: float = LINE_WIDTH_PX


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A finished mask.

    Attributes:
        levels: (H, W) uint8 as in the file, 255 = train.
        was_binary: The file has the values 0 and 1; `levels` has 0 and 255.
    """

    levels: NDArray[np.uint8]
    was_binary: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Unwanted things that still have to grow.

    Attributes:
        by_kind: (H, W) bool, True = unwanted, by the kind that their labels name, None for other labels. All of the
            shape of the upright image, or all of that of an image that lies on its side in its file.
        own_shape: (height, width) of the picture that they were drawn on, as the file says.
        notes: What was left out, in words.
    """

    by_kind: Mapping[Kind | None, NDArray[np.bool_]]
    own_shape: Shape
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundMask:
    """One mask, read when it is asked for.

    Attributes:
        where: File and place, for messages.
        load: Reads it. Raises ValueError or OSError with the reason when it cannot.
        picture: The file whose brightness is the mask, or None where it is no such file.
    """

    where: str
    load: Callable[[Target], Levels | Outlines]
    picture: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """Everything in the files.

    Attributes:
        masks: By image id.
        unmatched: Files or entries that belong to no image of the store.
        unusable: Reason by entry, for entries of which not even the image can be told.
        prefixed: Ids of images whose entry has the prefix that uploads get.
        already_grown: They are finished masks; otherwise outlines that still have to grow.
        as_stored: Masks lie as the pixels in the image file do, whatever its EXIF orientation.
    """

    masks: Mapping[str, FoundMask]
    unmatched: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    prefixed: tuple[str, ...] = ()
    already_grown: bool = True
    as_stored: bool = False


Names = Collection[str]
Reader = Callable[[Path, Names], FoundMasks]
"""Reads a folder or file for the image ids of a store. Raises InputError where it is of another format."""
