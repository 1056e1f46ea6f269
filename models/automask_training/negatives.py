"""Cuts out what the ink network takes for lettering and is none: `python -m automask_training.negatives MATERIALS`.

Looked at are the backgrounds of a folder of materials, its sprites on sheets of plain ground, and backgrounds that are
drawn as training has them (redrawn as drawings, with ornaments). Whatever is found there is false, but for what can be
read: that is left out with its surroundings. The rest is kept, with what is around it, in ``MATERIALS/negatives`` and
listed in ``materials.json``; the synthesizer uses it for a share of its backgrounds (`SynthRecipe.negatives`).
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from automask.config import RuntimeConfig
from automask.errors import AutomaskError
from automask.values.geometry import Box
from automask_models.ink.groups import groups_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_training.starting import start
from automask_training.synth.backgrounds import Backgrounds, PictureCache
from automask_training.synth.index import MaterialIndex, Picture
from automask_training.synth.raster import Bytes
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
FOLDER = "negatives"
_LETTERING_EVIDENCE = 1.0
"""Two sure letters have 1.1 (`Recognition.evidence`): what reaches this may be lettering after all."""
_AROUND = (3.0, 320)
"""A cut is so many times as large as what was found, and so many pixels at least: a crop of the training."""
_LARGEST_CUT_PX = 640
_CUTS = 4
"""Of one picture at most so many, the strongest first, so that no roof of tiles fills the folder."""
_CACHE_BYTES = 200_000_000
_DRAWN_PX = 768
_DRAWN_SEED = 3_000
_SHEET_SPRITES = 3
_SPRITE_PX = 340
"""Three by three of them are the megapixel that the network looks at."""
_SPRITE_SHARE = 0.85
_GROUNDS = ((255, 255, 255), (128, 128, 128), (10, 10, 10), (236, 224, 200), (120, 165, 205))
"""White, grey, black, paper and sky."""
_LOGGED_EVERY = 50


class Miner:
    """Finds false lettering in pictures without any. One instance serves one thread."""

    def __init__(self, network: InkNetwork, reader: GroupReader) -> None:
        self._network, self._reader = network, reader

    def cuts(self, pixels: NDArray[np.uint8]) -> list[Box]:
        """Windows of (H, W, 3) uint8 RGB `pixels` around what is taken for lettering and cannot be read."""
        ink = self._network.look(pixels)
        lettering: list[Box] = []
        found: list[tuple[float, Box]] = []
        for group in groups_of(ink):
            box = group.box_in(ink)
            if self._reader.read(pixels, ink, group).evidence >= _LETTERING_EVIDENCE:
                lettering.append(box)
            else:
                found.append((group.probability * group.count, box))
        kept: list[Box] = []
        for _, box in sorted(found, key=lambda each: -each[0]):
            window = window_around(box, width_px=pixels.shape[1], height_px=pixels.shape[0])
            if any(window.intersection(other) for other in lettering) or any(each.contains(box) for each in kept):
                continue
            kept.append(window)
        return kept[:_CUTS]


def window_around(box: Box, *, width_px: int, height_px: int) -> Box:
    """The square around a box that is cut out of a picture of that size, moved inside of it as far as it fits."""
    wanted = max(round(_AROUND[0] * max(box.width_px, box.height_px)), _AROUND[1])
    across, down = min(wanted, width_px), min(wanted, height_px)
    x0 = min(max(0, (box.x0 + box.x1 - across) // 2), width_px - across)
    y0 = min(max(0, (box.y0 + box.y1 - down) // 2), height_px - down)
    return Box(x0, y0, x0 + across, y0 + down)


def pictures(materials: Path, *, drawn: int, part: int, parts: int) -> Iterator[tuple[str, Picture, Bytes]]:
    """Name, origin and pixels (H, W, 3) uint8 of what is looked at, every `parts`-th of it."""
    index = MaterialIndex.read(materials).of_split("train")
    for picture in index.backgrounds[part::parts]:
        with Image.open(materials / picture.file) as opened:
            yield Path(picture.file).stem, picture, np.array(opened.convert("RGB"), dtype=np.uint8)
    sprites = sorted(index.sprites, key=lambda each: zlib.crc32(each.file.encode()))
    for first in range(0, len(sprites), _SHEET_SPRITES**2)[part::parts]:
        files = [materials / each.file for each in sprites[first : first + _SHEET_SPRITES**2]]
        mixed = Picture(file="", source="sprites", licence="as its parts")
        yield f"sprites-{first}", mixed, sheet_of_sprites(files, ground=_GROUNDS[first % len(_GROUNDS)])
    backgrounds = Backgrounds(PictureCache(materials, limit_bytes=_CACHE_BYTES), index)
    origin = Picture(file="", source="drawn", licence="as its parts")
    for number in range(part, drawn, parts):
        rng = np.random.default_rng((_DRAWN_SEED, number))
        made = backgrounds.draw(
            rng, _DRAWN_PX, busy_share=0.2, structure_share=0.3, ornament_share=0.5, drawing_share=0.5
        )
        yield f"drawn-{number}", origin, made


def sheet_of_sprites(files: Sequence[Path], *, ground: tuple[int, int, int]) -> Bytes:
    """Up to `_SHEET_SPRITES` squared pictures side by side, (H, W, 3) uint8: one look is enough for all of them."""
    sheet = Image.new("RGBA", (_SHEET_SPRITES * _SPRITE_PX,) * 2, (*ground, 255))
    for number, file in enumerate(files):
        with Image.open(file) as opened:
            sprite = opened.convert("RGBA")
        inner = round(_SPRITE_PX * _SPRITE_SHARE)
        scale = inner / max(sprite.size)
        size = max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))
        sprite = sprite.resize(size, Image.Resampling.LANCZOS)
        row, column = divmod(number, _SHEET_SPRITES)
        middle = (column + 0.5) * _SPRITE_PX, (row + 0.5) * _SPRITE_PX
        sheet.alpha_composite(sprite, (round(middle[0] - size[0] / 2), round(middle[1] - size[1] / 2)))
    return np.array(sheet.convert("RGB"), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Mining:
    """What is looked at with what; `processes` share the work.

    Attributes:
        materials: Folder made by `synth.materials`.
        weights: Name or file of the ink network.
        drawn: Backgrounds to draw besides what is there.
        processes: How many processes share the work, each with `threads`.
    """

    materials: Path
    weights: str = DEFAULT_WEIGHTS
    drawn: int = 600
    processes: int = 1
    threads: int = 1

    def part(self, number: int) -> tuple[int, list[Picture]]:
        """Write the cuts of what one process looks at; returns how many pictures that were, and what was written.

        Raises:
            InputError: There are no such weights.
        """
        weights = named_weights(self.weights)
        runtime = RuntimeConfig(threads=self.threads)
        recognition = bundled_model(RECOGNITION_FILE)
        miner = Miner(InkNetwork.open(weights, runtime=runtime), GroupReader.open(recognition, runtime=runtime))
        written: list[Picture] = []
        looked = 0
        own = pictures(self.materials, drawn=self.drawn, part=number, parts=self.processes)
        for looked, (stem, origin, pixels) in enumerate(own, start=1):
            for count, window in enumerate(miner.cuts(pixels)):
                cut = Image.fromarray(pixels[window.slices])
                cut.thumbnail((_LARGEST_CUT_PX, _LARGEST_CUT_PX), Image.Resampling.LANCZOS)
                file = f"{FOLDER}/{stem}-{count}.jpg"
                cut.save(self.materials / file, quality=95, subsampling=0)
                written.append(Picture(file=file, source=origin.source, licence=origin.licence))
            if looked % _LOGGED_EVERY == 0:
                LOGGER.info("part %d: %d pictures, %d cuts", number, looked, len(written))
        return looked, written


def mine(mining: Mining) -> tuple[int, int]:
    """Look at everything and list what was cut out; returns how many pictures and cuts that were."""
    folder = mining.materials / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with ProcessPoolExecutor(mining.processes, mp_context=get_context("spawn"), initializer=_log) as pool:
        parts = list(pool.map(mining.part, range(mining.processes)))
    cuts = sorted((each for _, written in parts for each in written), key=lambda each: each.file)
    replace(MaterialIndex.read(mining.materials), negatives=tuple(cuts)).write(mining.materials)
    return sum(looked for looked, _ in parts), len(cuts)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.negatives", description=__doc__)
    parser.add_argument("materials", type=Path, help="folder made by synth.materials")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the ink network")
    parser.add_argument("--drawn", type=int, default=600, help="backgrounds to draw besides")
    parser.add_argument("--processes", type=int, default=1, help="how many share the work")
    parser.add_argument("--threads", type=int, default=1, help="of each of them")
    given = parser.parse_args(arguments)
    _log()
    try:
        looked, cuts = mine(Mining(**vars(given)))
    except AutomaskError as error:
        LOGGER.error("%s", error)
        return error.exit_code
    sys.stdout.write(f"{cuts} cuts of {looked} pictures.\n")
    return 0


if __name__ == "__main__":
    start(main)
