"""Samples of the layout network on disk: rendered once, in order, in blocks that a training reads as they appear.

    python -m automask_training.layout_samples models/training/layout.toml SAMPLES --materials MATERIALS

A sample takes longer to draw than to learn from. Stopped and started again, the command goes on with the next block.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automask_training.starting import start
from automask_training.tables import VAL_SEED_OFFSET, table_to

if TYPE_CHECKING:
    from automask_training.synth.index import Split
    from automask_training.synth.layout.synthesizer import LayoutSynthesizer

BLOCK = 250
_WAIT_SECONDS = 2.0
_OPEN_BLOCKS = 64


def render(synthesizer: LayoutSynthesizer, folder: Path, *, count: int, part: int = 0, parts: int = 1) -> None:
    """Draw samples 0 to `count` into `folder`, block by block; blocks that are there stay.

    Of every `parts` blocks only number `part` is drawn: so many processes can share the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(part * BLOCK, count, parts * BLOCK):
        if _path(folder, first, "kinds").exists():
            continue
        samples = [synthesizer.sample(index) for index in range(first, min(first + BLOCK, count))]
        np.save(_path(folder, first, "pixels"), np.stack([each.pixels for each in samples]))
        np.save(_path(folder, first, "shares"), np.stack([each.shares for each in samples]))
        partial = _path(folder, first, "kinds").with_suffix(".partial")
        partial.write_text(json.dumps([each.kind for each in samples]), encoding="utf-8")
        partial.rename(_path(folder, first, "kinds"))  # last: a block with its kinds is whole


def _path(folder: Path, first: int, part: str) -> Path:
    return folder / f"{first:07d}.{part}.{'json' if part == 'kinds' else 'npy'}"


class RenderedSamples:
    """Reads what `render` wrote; waits for a block that is still being drawn."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`."""
        self._folder = folder
        self._open: OrderedDict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = OrderedDict()

    def get(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (256, 256, 3) and shares (4, 64, 64) of a sample, see `LayoutSample`."""
        first = index // BLOCK * BLOCK
        pixels, shares = self._block(first)
        return np.array(pixels[index - first]), np.array(shares[index - first])

    def kind(self, index: int) -> str:
        """Name of what was drawn."""
        first = index // BLOCK * BLOCK
        kinds: list[str] = json.loads(_path(self._folder, first, "kinds").read_text(encoding="utf-8"))
        return kinds[index - first]

    def _block(self, first: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if first not in self._open:
            while not _path(self._folder, first, "kinds").exists():
                time.sleep(_WAIT_SECONDS)
            self._open[first] = (
                np.load(_path(self._folder, first, "pixels"), mmap_mode="r"),
                np.load(_path(self._folder, first, "shares"), mmap_mode="r"),
            )
            if len(self._open) > _OPEN_BLOCKS:
                self._open.popitem(last=False)
        return self._open[first]


def synthesizer_of(table: dict[str, Any], materials: Path, *, split: Split) -> LayoutSynthesizer:
    """The synthesizer of a recipe: `train` has all sources but the held-out ones, `val` has only those."""
    from automask_training.synth.index import MaterialIndex
    from automask_training.synth.layout.kinds import LayoutShares
    from automask_training.synth.layout.synthesizer import LayoutSynthesizer

    render_table = table.get("render", {})
    held_out = frozenset(render_table.get("held_out", ()))
    index = MaterialIndex.read(materials)
    known = {each.source for each in (*index.backgrounds, *index.sprites)}
    return LayoutSynthesizer(
        materials,
        seed=int(render_table.get("seed", 0)) + (VAL_SEED_OFFSET if split == "val" else 0),
        sources=held_out if split == "val" else frozenset(known - held_out),
        shares=table_to(LayoutShares, render_table.get("shares", {})),
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="models/training/layout.toml")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--split", choices=("train", "val"), default="train")
    parser.add_argument("--count", type=int, help="how many; default: as many as the recipe trains on")
    parser.add_argument("--part", type=int, default=0, help="draw only this one of --parts")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share the work")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    table = tomllib.loads(given.recipe.read_text(encoding="utf-8"))
    count = given.count or int(table["recipe"]["rendered"])
    synthesizer = synthesizer_of(table, given.materials, split=given.split)
    render(synthesizer, given.folder, count=count, part=given.part, parts=given.parts)


if __name__ == "__main__":
    start(main)
