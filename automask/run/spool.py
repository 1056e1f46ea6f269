"""Reduced images of a run on disk, so that its second pass need not decode the dataset again."""

from __future__ import annotations

import math
import tempfile
import threading
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 1_000_000_000
"""About 2,000 images; those beyond it are decoded again when they are needed."""


class Spool:
    """Small pixel arrays by content and detector, in a file without a name that vanishes with the process.

    Any thread may use it. Nothing depends on it: what it does not hold is computed again, as after a full disk.

    Args:
        folder: Where the file lies.
        most_bytes: How much it takes.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._file: IO[bytes] | None = None
        self._is_full = False
        self._places: dict[tuple[str, str], tuple[int, tuple[int, ...]]] = {}
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, detector: str, content_sha256: str, pixels: NDArray[np.uint8]) -> None:
        """Keep an array while there is room."""
        with self._mutex:
            if self._is_full or (detector, content_sha256) in self._places:
                return
            try:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".reduced-", suffix=".tmp")  # noqa: SIM115
                at = self._file.seek(0, 2)
                if at + pixels.nbytes > self._most_bytes:
                    self._is_full = True
                    return
                self._file.write(np.ascontiguousarray(pixels).data)
            except OSError:
                self._is_full = True
                return
            self._places[detector, content_sha256] = (at, pixels.shape)

    def get(self, detector: str, content_sha256: str) -> NDArray[np.uint8] | None:
        """A kept array, or None."""
        with self._mutex:
            place = self._places.get((detector, content_sha256))
            if place is None or self._file is None:
                return None
            at, shape = place
            try:
                self._file.seek(at)
                data = self._file.read(math.prod(shape))
            except OSError:
                return None
        return np.frombuffer(data, np.uint8).reshape(shape) if len(data) == math.prod(shape) else None
