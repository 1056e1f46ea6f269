"""Samples of the watermark detector on disk: drawn once, in blocks that a training reads as they appear.

    python -m automask_training.watermark_samples models/training/watermark.toml SAMPLES --materials MATERIALS

A block holds pixels and boxes; with `--features` it holds, instead of the pixels, what the frozen ink network makes of
them, which is two thirds of the work of a step. Stopped and started again, the command goes on with the next block.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from automask_training.sample_blocks import BLOCK, BlockFolder, OpenBlocks
from automask_training.starting import start
from automask_training.synth.mark_pictures import MarkShares, MarkSynthesizer
from automask_training.tables import VAL_SEED_OFFSET, RecipeError, table_to
from automask_training.watermark import StoredSample, WatermarkRecipe
from automask_training.watermark_truth import MarkedImage, Truth, fitted

if TYPE_CHECKING:
    from automask_training.sam import ImageSource
    from automask_training.synth.mark_pictures import Materials

_PER_PICTURE = 2
"""A picture costs more to draw than to cut: it is shown once as a whole, and once cut out at full resolution."""
_TRUTHS = "truths.json"
_OPEN_BLOCKS = 128
_ORIGIN_FILE = "features.json"


class Encoder(Protocol):
    """What a block keeps of pictures: `watermark_features.InkFeatures`."""

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Pictures (B, S, S, 3) uint8 RGB to features (B, V)."""
        ...


def render(
    source: ImageSource,
    recipe: WatermarkRecipe,
    folder: Path,
    *,
    count: int,
    part: int = 0,
    parts: int = 1,
    encode: Encoder | None = None,
) -> None:
    """Draw samples 0 to `count` into `folder`, block by block; blocks that are there stay.

    Of every `parts` blocks only number `part` is drawn: so many processes can share the work.
    """
    blocks = BlockFolder(folder, _TRUTHS)
    for block in blocks.missing(count, part=part, parts=parts):
        samples: list[MarkedImage] = []
        for number in pictures_of(block):
            rng = cuts_rng(recipe.seed, number)
            picture = source.sample(number)
            samples += [fitted(picture, recipe, rng, is_cut=is_cut) for is_cut in (False, True)]
        pixels = np.stack([each.pixels for each in samples])
        kept = {"pixels.npy": pixels} if encode is None else {"features.npy": encode(pixels)}
        blocks.write(block.start, {**kept, _TRUTHS: [_as_plain(each.truth) for each in samples]})


def pictures_of(block: range) -> range:
    """Numbers of the pictures that the samples of a block are of."""
    return range(block.start // _PER_PICTURE, (block.stop + 1) // _PER_PICTURE)


def cuts_rng(seed: int, number: int) -> np.random.Generator:
    """What decides where picture `number` is cut."""
    return np.random.default_rng((seed, number, 0x574D))


def _as_plain(truth: Truth) -> dict[str, Any]:
    return {
        "boxes": np.round(truth.boxes, 2).tolist(),
        "classes": truth.classes.tolist(),
        "ignored": np.round(truth.ignored, 2).tolist(),
    }


def _truth_of(plain: dict[str, Any]) -> Truth:
    return Truth(
        boxes=np.array(plain["boxes"], np.float32).reshape(-1, 4),
        classes=np.array(plain["classes"], np.int64),
        ignored=np.array(plain["ignored"], np.float32).reshape(-1, 4),
    )


class RenderedMarks:
    """Reads what `render` wrote; waits for a block that is still being drawn."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`."""
        self._blocks = BlockFolder(folder, _TRUTHS)
        self._open = OpenBlocks(self._blocks, _opened, most=_OPEN_BLOCKS)

    def get(self, index: int) -> StoredSample:
        """Sample number `index`."""
        contents, truths = self._open.holding(index)
        return StoredSample(np.array(contents[index % BLOCK]), truths[index % BLOCK])

    def count(self) -> int:
        """How many samples there are now, up to the first block that is missing."""
        total = 0
        while self._blocks.is_whole(total):
            found = len(self._blocks.rows(total, _TRUTHS))
            total += found
            if found < BLOCK:
                break
        return total


def _opened(blocks: BlockFolder, first: int) -> tuple[NDArray[Any], list[Truth]]:
    kept = "features.npy" if blocks.path(first, "features.npy").exists() else "pixels.npy"
    return blocks.array(first, kept), [_truth_of(each) for each in blocks.rows(first, _TRUTHS)]


def claim_features(folder: Path, weights: Path) -> None:
    """Note in `folder` which ink network its features are of, or check that it is the same one.

    Raises:
        RecipeError: It is another one.
    """
    path = folder / _ORIGIN_FILE
    content = hashlib.sha256(weights.read_bytes()).hexdigest()
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8"))["ink_sha256"] != content:
            raise RecipeError(f"the features in {folder} are of another ink network than {weights}: draw them again")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"ink_sha256": content}), encoding="utf-8")


def synthesizer_of(table: dict[str, Any], materials: Path, *, part: Materials) -> MarkSynthesizer:
    """The pictures of a recipe; `part` of the materials as for `MarkSynthesizer`."""
    seed = int(table.get("image_seed", 0)) + (0 if part == "train" else VAL_SEED_OFFSET)
    shares = table_to(MarkShares, table.get("render", {}))
    return MarkSynthesizer(materials, seed=seed, size_px=int(table.get("size_px", 640)), shares=shares, part=part)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="models/training/watermark.toml")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument(
        "--of", choices=("train", "val", "all"), default="train", help="all: for materials that no training saw"
    )
    parser.add_argument("--count", type=int, help="how many; default: as many as the recipe trains on")
    parser.add_argument("--features", action="store_true", help="keep features of the recipe's ink_state, not pixels")
    parser.add_argument("--part", type=int, default=0, help="draw only this one of --parts")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share the work")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    table = tomllib.loads(given.recipe.read_text(encoding="utf-8"))
    recipe = table_to(WatermarkRecipe, table.get("recipe", {}))
    encode: Encoder | None = None
    if given.features:
        from automask_training.watermark_features import InkFeatures

        encode = InkFeatures.of_state(Path(recipe.ink_state))
        claim_features(given.folder, Path(recipe.ink_state))
    synthesizer = synthesizer_of(table, given.materials, part=given.of)
    count = given.count or recipe.rendered
    render(synthesizer, recipe, given.folder, count=count, part=given.part, parts=given.parts, encode=encode)


if __name__ == "__main__":
    start(main)
