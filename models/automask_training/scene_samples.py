"""Samples of the scene network on disk: what its backbone sees of drawn pictures, and where lettering is on them.

    python -m automask_training.scene_samples models/training/scene.toml SAMPLES --materials MATERIALS

The pictures and their cuts are those of `watermark_samples`. Stopped and started again, the command goes on with the
next block.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from automask_training.sample_blocks import BLOCK, BlockFolder, OpenBlocks
from automask_training.scene import SceneRecipe, SceneSample
from automask_training.starting import start
from automask_training.tables import table_to
from automask_training.watermark_samples import cuts_rng, pictures_of, synthesizer_of
from automask_training.watermark_truth import fitted

if TYPE_CHECKING:
    from automask_training.sam import ImageSource
    from automask_training.synth import SyntheticImage

CELL_PX = 8
_MARKS = ("text", "watermark")
_CELLS = "cells.npy"
_LEVELS = ("features8.npy", "features16.npy", "features32.npy")
_OPEN_BLOCKS = 128


class Encoder(Protocol):
    """What a block keeps of pictures: `scene_features.SceneFeatures`."""

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
        """Pictures (B, S, S, 3) uint8 RGB to maps (B, C, S/s, S/s) of strides 8, 16 and 32."""
        ...


@dataclass(frozen=True)
class _Fit:
    """The size that pictures are fitted to; no box is too small."""

    size_px: int
    min_side_px: float = 0.0


def render(
    source: ImageSource,
    recipe: SceneRecipe,
    folder: Path,
    *,
    encode: Encoder,
    count: int,
    part: int = 0,
    parts: int = 1,
) -> None:
    """Draw samples 0 to `count` into `folder`, block by block; blocks that are there stay.

    Of every `parts` blocks only number `part` is drawn: so many processes can share the work.
    """
    blocks = BlockFolder(folder, _CELLS)
    for block in blocks.missing(count, part=part, parts=parts):
        pixels, cells = [], []
        for number in pictures_of(block):
            picture = source.sample(number)
            pixels += _fitted(picture, recipe, number)
            cells += [_in_cells(each) for each in _fitted(replace(picture, pixels=_truth_of(picture)), recipe, number)]
        levels = dict(zip(_LEVELS, encode(np.stack(pixels)), strict=True))
        blocks.write(block.start, {**levels, _CELLS: np.stack(cells)})


def _fitted(picture: SyntheticImage, recipe: SceneRecipe, number: int) -> list[NDArray[np.uint8]]:
    """The picture's pixels at the training size: as a whole, and cut at full resolution."""
    rng = cuts_rng(recipe.seed, number)
    return [fitted(picture, _Fit(recipe.size_px), rng, is_cut=is_cut).pixels for is_cut in (False, True)]


def _truth_of(picture: SyntheticImage) -> NDArray[np.uint8]:
    """Lettering and marks, frame without such, and what is unknown without such: (H, W, 3), 255 or 0."""
    marks = picture.artefact(_MARKS)
    frame = picture.artefact(("frame",)) & ~marks
    unknown = np.zeros_like(marks) if picture.unknown is None else picture.unknown & ~marks
    return np.stack([marks, frame, unknown], axis=-1).astype(np.uint8) * np.uint8(255)


def _in_cells(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    side = len(truth) // CELL_PX
    shares: NDArray[np.uint8] = np.asarray(cv2.resize(truth, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return shares


class RenderedScenes:
    """Reads what `render` wrote; waits for a block that is still being drawn."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`."""
        self._open = OpenBlocks(BlockFolder(folder, _CELLS), _opened, most=_OPEN_BLOCKS)

    def get(self, index: int) -> SceneSample:
        """Sample number `index`."""
        levels, cells = self._open.holding(index)
        at = index % BLOCK
        return SceneSample(tuple(np.array(level[at]) for level in levels), np.array(cells[at]))


def _opened(blocks: BlockFolder, first: int) -> tuple[tuple[NDArray[np.float16], ...], NDArray[np.uint8]]:
    return tuple(blocks.array(first, level) for level in _LEVELS), blocks.array(first, _CELLS)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="models/training/scene.toml")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument(
        "--of", choices=("train", "val", "all"), default="train", help="all: for materials that no training saw"
    )
    parser.add_argument("--count", type=int, help="how many; default: as many as the recipe trains on")
    parser.add_argument("--part", type=int, default=0, help="draw only this one of --parts")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share the work")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    from automask_training.scene_features import SceneFeatures

    table = tomllib.loads(given.recipe.read_text(encoding="utf-8"))
    recipe = table_to(SceneRecipe, table.get("recipe", {}))
    render(
        synthesizer_of(table, given.materials, part=given.of),
        recipe,
        given.folder,
        encode=SceneFeatures.pretrained(),
        count=given.count or recipe.rendered,
        part=given.part,
        parts=given.parts,
    )


if __name__ == "__main__":
    start(main)
