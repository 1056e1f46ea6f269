"""Samples on disk: drawn once, in blocks that a training reads as they appear.

Each block is some files, `FIRST.PART`: arrays (`.npy`), or a list with one entry for each sample (`.json`).
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 250
_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class BlockFolder:
    """A folder of blocks; `last` is the part that is written last: a block that has it is whole."""

    folder: Path
    last: str

    def path(self, first: int, part: str) -> Path:
        """File of a part, such as `pixels.npy`, of the block that begins with sample `first`."""
        return self.folder / f"{first:07d}.{part}"

    def is_whole(self, first: int) -> bool:
        """Whether all of a block is there."""
        return self.path(first, self.last).exists()

    def missing(self, count: int, *, part: int = 0, parts: int = 1) -> Iterator[range]:
        """Sample numbers of each block of samples 0 to `count` that is not there.

        Of every `parts` blocks only number `part` is given: so many processes can share the work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for first in range(part * BLOCK, count, parts * BLOCK):
            if not self.is_whole(first):
                yield range(first, min(first + BLOCK, count))

    def write(self, first: int, contents: Mapping[str, NDArray[Any] | list[Any]]) -> None:
        """Write a block; `contents` by part."""
        for part in sorted(contents, key=lambda each: each == self.last):
            content = contents[part]
            partial = self.path(first, part).with_suffix(".partial")
            if isinstance(content, list):
                partial.write_text(json.dumps(content), encoding="utf-8")
            else:
                with partial.open("wb") as file:
                    np.save(file, content)
            partial.replace(self.path(first, part))

    def array(self, first: int, part: str) -> NDArray[Any]:
        """An array, mapped into memory."""
        found: NDArray[Any] = np.load(self.path(first, part), mmap_mode="r")
        return found

    def rows(self, first: int, part: str) -> list[Any]:
        """A list."""
        found: list[Any] = json.loads(self.path(first, part).read_text(encoding="utf-8"))
        return found


OpenedT = TypeVar("OpenedT")


class OpenBlocks(Generic[OpenedT]):
    """The blocks that a process has open, the oldest of more than `most` closed again."""

    def __init__(self, blocks: BlockFolder, opened: Callable[[BlockFolder, int], OpenedT], *, most: int) -> None:
        """Open by `opened`, which is given the folder and the first sample of a block that is whole."""
        self._blocks, self._opened, self._most = blocks, opened, most
        self._open: OrderedDict[int, OpenedT] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out open blocks: each process opens its own."""
        return {**vars(self), "_open": OrderedDict()}

    def holding(self, index: int) -> OpenedT:
        """The block with sample `index`, waited for while it is still being drawn."""
        first = index // BLOCK * BLOCK
        if first not in self._open:
            while not self._blocks.is_whole(first):
                time.sleep(_WAIT_SECONDS)
            self._open[first] = self._opened(self._blocks, first)
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        return self._open[first]
