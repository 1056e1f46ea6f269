"""Leak and waste of the detector `edges` per kind of frame, on pictures framed by a program.

    python tests/measure_frames.py PICTURES [--each 16] [--save TABLE.md] [--failures FOLDER]

`PICTURES` is a folder of pictures without frames; each kind frames the same ones, at most 1024 px long and saved as
JPEG. The last rows are those pictures as they are, and scenes that only look framed: nothing may be masked there.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from automask.config import PolicyConfig, RenderConfig, RuntimeConfig
from automask.mask.metrics import MaskScore, mean_of, score_mask
from automask.mask.rendering import Mask
from automask.values.types import Image, Patch, Region
from automask.weights import WeightLibrary
from automask_models.frames.detector import EdgesDetector, EdgesOptions
from automask_training.synth.layout.cards import CARD_KINDS
from automask_training.synth.layout.framed import Framed, Pixels
from automask_training.synth.layout.kinds import SIMPLE_KINDS
from automask_training.synth.layout.scenes import UNFRAMED

LONGEST_PX = 768
KINDS = {**SIMPLE_KINDS, **CARD_KINDS}
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of pictures without frames")
    parser.add_argument("--each", type=int, default=16, help="images of each kind")
    parser.add_argument("--kinds", help="only these, separated by commas")
    parser.add_argument("--save", type=Path, help="write the table to this Markdown file")
    parser.add_argument("--failures", type=Path, help="write images with a leak over .1 or waste over .02 here")
    options = parser.parse_args()
    files = sorted(path for path in options.pictures.rglob("*") if path.suffix.lower() in SUFFIXES)
    every = max(1, len(files) // options.each)
    chosen = files[::every][: options.each]
    kinds = options.kinds.split(",") if options.kinds else [*KINDS, "as they are", *UNFRAMED]
    rows = ["| kind | n | leak | waste | worst leak | worst waste | s |", "| --- | --- | --- | --- | --- | --- | --- |"]
    sys.stdout.write("\n".join(rows) + "\n")
    for kind in kinds:
        rows.append(_row(kind, chosen, failures=options.failures))
        sys.stdout.write(rows[-1] + "\n")
        sys.stdout.flush()
    if options.save:
        options.save.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _row(kind: str, files: list[Path], *, failures: Path | None) -> str:
    scores, seconds = [], []
    detector = EdgesDetector.from_options(
        EdgesOptions.model_validate({}), weights=WeightLibrary.discover(), runtime=RuntimeConfig()
    )
    detector.load()
    for name, framed in _images(kind, files):
        pixels = jpeg(framed.pixels)
        start = time.perf_counter()
        (regions,) = detector.detect([Image(name, pixels)])
        seconds.append(time.perf_counter() - start)
        levels = rendered(regions, pixels)
        score = score_mask(levels, framed.truth)
        scores.append(score)
        if failures is not None and ((score.leak or 0) > 0.1 or (score.waste or 0) > 0.02):
            _save_failure(failures, f"{kind}-{name}", pixels, levels, score, regions)
    leaks, wastes = [score.leak for score in scores], [score.waste for score in scores]
    figures = [mean_of(leaks), mean_of(wastes), max((v for v in leaks if v is not None), default=None)]
    figures.append(max((v for v in wastes if v is not None), default=None))
    cells = ["-" if value is None else f"{value:.4f}" for value in figures]
    return f"| {kind} | {len(scores)} | {' | '.join(cells)} | {sum(seconds) / len(seconds):.3f} |"


def _images(kind: str, files: list[Path]) -> Iterator[tuple[str, Framed]]:
    for index, path in enumerate(files):
        rng = np.random.default_rng([zlib.crc32(kind.encode()), index])
        if kind in UNFRAMED:
            pixels = UNFRAMED[kind](rng)
            yield str(index), Framed(pixels, np.zeros(pixels.shape[:2], np.uint8))
            continue
        picture = read(path)
        if kind == "as they are":
            yield path.stem, Framed(picture, np.zeros(picture.shape[:2], np.uint8))
        else:
            yield path.stem, KINDS[kind](picture, rng)


def read(path: Path) -> Pixels:
    """A picture as RGB, at most `LONGEST_PX` long."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SystemExit(f"cannot read {path}")
    factor = min(1.0, LONGEST_PX / max(bgr.shape[:2]))
    size = max(1, round(bgr.shape[1] * factor)), max(1, round(bgr.shape[0] * factor))
    return np.ascontiguousarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)[..., ::-1])


def jpeg(pixels: Pixels, *, quality: int = 88) -> Pixels:
    """The pixels after compression, which rings beside every ruled edge."""
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def rendered(regions: list[Region], pixels: Pixels) -> Pixels:
    """The mask that the default settings draw, (H, W) uint8."""
    patches = [
        Patch(box=r.box, artefact=r.artefact, score=r.confidence, refiner="polygon")
        for r in regions
        if r.artefact is not None
    ]
    height_px, width_px = pixels.shape[:2]
    return Mask.from_patches(
        patches, regions, width_px=width_px, height_px=height_px, render=RenderConfig(), policy=PolicyConfig()
    ).levels


def _save_failure(
    folder: Path, name: str, pixels: Pixels, levels: Pixels, score: MaskScore, regions: list[Region]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    red = pixels.copy()
    red[levels < 128] = (0.4 * red[levels < 128] + np.array([150, 0, 0])).astype(np.uint8)
    side_by_side = np.concatenate([pixels, red], axis=1)[..., ::-1]
    leak, waste = score.leak or 0.0, score.waste or 0.0
    cv2.imwrite(str(folder / f"{name}-leak{leak:.2f}-waste{waste:.2f}.jpg"), side_by_side)
    lines = [f"{region.confidence:.2f} {dict(region.attributes)}" for region in regions]
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
