"""Marked pictures, their masks by truth and by `automask run`, and what else people do to them: all at full size."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from automask.config import RenderConfig
from automask.fill.methods import Fill, painted_over
from automask.mask.rendering import grown_and_filled
from automask_training.proof.marks import Kind, Marker, is_marked
from automask_training.proof.pictures import SIDE_PX, CleanPicture
from automask_training.synth.raster import Bytes

TRAINING_PX = 64
CELL_PX = 2
"""The latent cell of the small model in its own pixels: it works on 2 x 2 pixels folded into channels, so on 32 x 32
cells. At 512 px a cell is 16 px wide, and so is the growth of one cell."""
RENDER = RenderConfig(training_px=TRAINING_PX, cell_px=CELL_PX)
_JPEG_QUALITY = 92
_DONE_FILE = "run-ended"


def lay_marks(pictures: Sequence[CleanPicture], out: Path, kind: Kind, marker: Callable[[], Marker]) -> None:
    """Write `out`/marked/KIND/*.jpg of the pictures to train on, and where things are, `out`/truth/KIND/*.png."""
    marked, truth = out / "marked" / kind, out / "truth" / kind
    for folder in (marked, truth):
        folder.mkdir(parents=True, exist_ok=True)
    wanted = [each for each in pictures if each.part == "train" and not (marked / f"{each.name}.jpg").exists()]
    if not wanted:
        return
    layer = marker()
    for each in wanted:
        target = marked / f"{each.name}.jpg"
        pixels = clean_pixels(out, each.name)
        unwanted = np.zeros(pixels.shape[:2], dtype=np.bool_)
        if is_marked(each.name):
            laid = layer.lay(pixels, kind, name=each.name)
            pixels, unwanted = laid.pixels, laid.unwanted
        Image.fromarray(unwanted).save(truth / f"{each.name}.png")
        # As sets have them: the masks are made on what a camera, a site or a scanner has compressed.
        Image.fromarray(pixels).save(target, quality=_JPEG_QUALITY)


def automask_source(out: Path, kind: Kind) -> Path:
    """Folder that `automask run` is given: the marked pictures that arms train on."""
    return out / "for-automask" / kind


def run_automask(out: Path, kind: Kind, names: Sequence[str], *, threads: int = 1) -> None:
    """Let `automask run` make the masks of some of `out`/marked/KIND as it does by default, for the small model's cell.

    A run that was stopped goes on where it was.

    Raises:
        CalledProcessError: It failed; what it said is on stderr.
    """
    source = automask_source(out, kind)
    source.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = source / f"{name}.jpg"
        if not link.exists():
            os.link(out / "marked" / kind / f"{name}.jpg", link)
    command = [sys.executable, "-m", "automask", "run", str(source), "-o", str(out / "masks" / kind)]
    command += ["--training-px", str(TRAINING_PX), "--cell-px", str(CELL_PX), "--threads", str(threads), "--no-report"]
    subprocess.run(command, check=True)
    (out / "masks" / kind / _DONE_FILE).touch()


def clean_pixels(out: Path, name: str) -> Bytes:
    """A clean picture, uint8 (H, W, 3)."""
    with Image.open(out / "clean" / f"{name}.png") as opened:
        return np.asarray(opened.convert("RGB"), dtype=np.uint8)


def truth_of(out: Path, kind: Kind, name: str) -> NDArray[np.bool_]:
    """Where a picture was changed, bool (H, W)."""
    with Image.open(out / "truth" / kind / f"{name}.png") as opened:
        return np.asarray(np.asarray(opened.convert("L")) > 0)


def true_weight(unwanted: NDArray[np.bool_], *, growth_cells: float) -> Bytes:
    """The mask that automask draws where all of a truth was found: uint8 (H, W), 255 = train."""
    grown = grown_and_filled(unwanted, RENDER.model_copy(update={"growth_cells": growth_cells}))
    return np.where(grown, 0, 255).astype(np.uint8)


def filled(pixels: Bytes, unwanted: NDArray[np.bool_]) -> Bytes:
    """A picture inpainted where things are, as `automask fill` does where all of them were found."""
    weight = 1.0 - grown_and_filled(unwanted, RenderConfig()).astype(np.float32)
    return painted_over(pixels, weight, Fill.INPAINT)


def cropped(pixels: Bytes, unwanted: NDArray[np.bool_]) -> Bytes:
    """The largest upright rectangle of whole cells of a picture that has nothing unwanted in it.

    A picture without such a rectangle of a quarter of its sides stays whole.
    """
    cell = SIDE_PX * CELL_PX // TRAINING_PX
    rows, columns = (length // cell for length in unwanted.shape)
    cells = unwanted[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    free: NDArray[np.bool_] = np.logical_not(np.any(cells, axis=(1, 3)))
    heights = np.zeros(columns, dtype=np.int64)
    best, area = (0, 0, columns, rows), 0
    for bottom in range(rows):
        heights = np.where(free[bottom], heights + 1, 0)
        for left in range(columns):
            lowest = int(heights[left])
            for right in range(left, columns):
                lowest = min(lowest, int(heights[right]))
                width = right + 1 - left
                if lowest * 4 < rows or not lowest:
                    break
                if width * 4 >= columns and lowest * width > area:
                    best, area = (left, bottom + 1 - lowest, right + 1, bottom + 1), lowest * width
    x0, y0, x1, y1 = (each * cell for each in best)
    return pixels[y0:y1, x0:x1]


def automask_finished(out: Path, kind: Kind, pictures: int) -> bool:
    """Whether `automask run` ended by itself on all pictures of a kind: until then the second pass may change masks."""
    folder = out / "masks" / kind
    return (folder / _DONE_FILE).exists() and len(list((folder / "masks").glob("*.png"))) == pictures
