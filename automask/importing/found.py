"""What was found for an image in somebody's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FoundMask:
    """One mask, read when it is asked for.

    Attributes:
        where: File and place, for messages.
        load: Gives (H, W) uint8 levels, 255 = train, for a finished mask, or (H, W) bool, True = unwanted, for an
            ungrown outline; takes the shape of the upright image, for formats that do not know it. Raises ValueError
            or OSError with the reason when it cannot.
    """

    where: str
    load: Callable[[Shape], NDArray[np.uint8] | NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """Everything in the files.

    Attributes:
        masks: By image id.
        unmatched: Files or entries that belong to no image of the store.
        already_grown: They are finished masks; otherwise outlines that still have to grow.
    """

    masks: Mapping[str, FoundMask]
    unmatched: tuple[str, ...] = ()
    already_grown: bool = field(default=True)


Names = Iterable[str]
Reader = Callable[[Path, Names], FoundMasks]
"""Reads a folder or file for the image ids of a store."""
