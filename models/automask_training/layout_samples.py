"""Samples of the layout network on disk: rendered once, in order, in blocks that a training reads as they appear.

    python -m automask_training.layout_samples models/training/layout.toml SAMPLES --materials MATERIALS

A sample takes longer to draw than to learn from. Stopped and started again, the command goes on with the next block.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automask_training.sample_blocks import BLOCK, BlockFolder, OpenBlocks
from automask_training.starting import start
from automask_training.tables import VAL_SEED_OFFSET, table_to

if TYPE_CHECKING:
    from automask_training.synth.index import Split
    from automask_training.synth.layout.synthesizer import LayoutSynthesizer

_KINDS = "kinds.json"
_OPEN_BLOCKS = 64


def render(synthesizer: LayoutSynthesizer, folder: Path, *, count: int, part: int = 0, parts: int = 1) -> None:
    """Draw samples 0 to `count` into `folder`, block by block; blocks that are there stay.

    Of every `parts` blocks only number `part` is drawn: so many processes can share the work.
    """
    blocks = BlockFolder(folder, _KINDS)
    for block in blocks.missing(count, part=part, parts=parts):
        samples = [synthesizer.sample(index) for index in block]
        blocks.write(
            block.start,
            {
                "pixels.npy": np.stack([each.pixels for each in samples]),
                "shares.npy": np.stack([each.shares for each in samples]),
                _KINDS: [each.kind for each in samples],
            },
        )


class RenderedSamples:
    """Reads what `render` wrote; waits for a block that is still being drawn."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`."""
        self._blocks = BlockFolder(folder, _KINDS)
        self._open = OpenBlocks(self._blocks, _opened, most=_OPEN_BLOCKS)

    def get(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (256, 256, 3) and shares (4, 64, 64) of a sample, see `LayoutSample`."""
        pixels, shares = self._open.holding(index)
        return np.array(pixels[index % BLOCK]), np.array(shares[index % BLOCK])

    def kind(self, index: int) -> str:
        """Name of what was drawn."""
        kind: str = self._blocks.rows(index // BLOCK * BLOCK, _KINDS)[index % BLOCK]
        return kind


def _opened(blocks: BlockFolder, first: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return blocks.array(first, "pixels.npy"), blocks.array(first, "shares.npy")


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
