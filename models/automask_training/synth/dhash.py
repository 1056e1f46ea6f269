"""Difference hashes, to keep images that are measured on out of the training material.

A hash is 64 bits: the picture as 9 x 8 box-filtered grey, one bit per horizontal neighbour pair (1 = the right one is
brighter), row by row from the top left, most significant bit first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

MAX_DISTANCE_BITS = 6
"""Pictures at most this far apart are taken for the same picture."""


def dhash(image: Image.Image) -> int:
    """Return the 64-bit difference hash of a picture of any size and mode."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class NeverTrain:
    """The pictures that must not be trained on, as a list of hashes."""

    def __init__(self, hashes: Iterable[int]) -> None:
        """Take 64-bit hashes."""
        self._hashes = frozenset(hashes)

    @classmethod
    def from_file(cls, path: Path) -> NeverTrain:
        """Read one hexadecimal hash a line; blank lines and lines that start with ``#`` are skipped."""
        lines = (line.strip() for line in path.read_text(encoding="ascii").splitlines())
        return cls(int(line, 16) for line in lines if line and not line.startswith("#"))

    def __len__(self) -> int:
        """Return the number of distinct hashes."""
        return len(self._hashes)

    def distance_bits(self, value: int) -> int:
        """Return the smallest Hamming distance from `value` to a listed hash, 64 when none is listed."""
        return min(((listed ^ value).bit_count() for listed in self._hashes), default=64)

    def forbids(self, image: Image.Image) -> bool:
        """Tell whether the picture, or its mirror image, is close to a listed one."""
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return any(self.distance_bits(dhash(each)) <= MAX_DISTANCE_BITS for each in (image, mirrored))
