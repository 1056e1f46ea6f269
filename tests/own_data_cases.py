"""Small data sets of self-made pictures as users have them: YOLO, COCO and a corrected store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from automask.mask.rendering import CorrectionLayers
from automask.store import Store

SIZE_PX = (240, 180)
MARK_PX = (60, 24)


def mark_box(seed: int) -> tuple[int, int, int, int] | None:
    """Where the mark of a picture is, xyxy; every fifth picture has none."""
    if seed % 5 == 4:
        return None
    rng = np.random.default_rng([seed, 1])
    x0, y0 = int(rng.integers(0, SIZE_PX[0] - MARK_PX[0])), int(rng.integers(0, SIZE_PX[1] - MARK_PX[1]))
    return x0, y0, x0 + MARK_PX[0], y0 + MARK_PX[1]


def mark_shape() -> np.ndarray:
    """A ring with a bar: (H, W) bool."""
    rows, columns = np.mgrid[: MARK_PX[1], : MARK_PX[0]]
    ring = np.abs(np.hypot(rows - 11.5, columns - 12) - 8.5) < 2.5
    bars = (columns > 26) & (columns % 8 < 5) & (rows > 5) & (rows < 18)
    return ring | bars


def truth(seed: int) -> np.ndarray:
    """(H, W) bool: the pixels of the mark."""
    out = np.zeros(SIZE_PX[::-1], bool)
    box = mark_box(seed)
    if box is not None:
        out[box[1] : box[3], box[0] : box[2]] = mark_shape()
    return out


def draw(seed: int) -> Image.Image:
    """A soft picture with a bright mark on it."""
    rng = np.random.default_rng([seed, 0])
    coarse = Image.fromarray(rng.integers(30, 150, (5, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(SIZE_PX, Image.Resampling.BICUBIC)).copy()
    pixels[truth(seed)] = (245, 240, 250)
    return Image.fromarray(pixels)


def draw_pictures(folder: Path, count: int) -> list[Path]:
    """`count` PNG files."""
    folder.mkdir(parents=True)
    paths = [folder / f"{seed:03d}.png" for seed in range(count)]
    for seed, path in enumerate(paths):
        draw(seed).save(path)
    return paths


WORDS = ("where", "are", "you", "going", "home", "tonight", "nobody", "knows", "yet", "come", "back", "soon", "please")


def draw_stills(folder: Path, count: int) -> list[np.ndarray]:
    """`count` soft pictures of 400 x 240 px with a subtitle, as PNG files; returns the subtitles' pixels, bool."""
    import cv2

    folder.mkdir(parents=True)
    truths = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 2])
        coarse = Image.fromarray(rng.integers(40, 140, (4, 6, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((400, 240), Image.Resampling.BICUBIC)).copy()
        ink = np.zeros(pixels.shape[:2], np.uint8)
        line, at = " ".join(rng.choice(WORDS, 4)), (int(rng.integers(20, 60)), int(rng.integers(190, 225)))
        for thickness, colour in ((5, (0, 0, 0)), (2, (250, 250, 250))):
            cv2.putText(pixels, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, thickness, cv2.LINE_AA)
        cv2.putText(ink, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 5)
        Image.fromarray(pixels).save(folder / f"{seed:03d}.png")
        truths.append(ink > 0)
    return truths


def make_yolo(root: Path, count: int, *, names: Sequence[str] = ("logo",), outlines: bool = False) -> Path:
    """A YOLO data set; returns its data.yaml."""
    draw_pictures(root / "images" / "train", count)
    (root / "labels" / "train").mkdir(parents=True)
    for seed in range(count):
        box, lines = mark_box(seed), []
        if box is not None:
            x0, y0, x1, y1 = np.array(box) / (*SIZE_PX, *SIZE_PX)
            if outlines:
                lines = [f"0 {x0} {y0} {x1} {y0} {x1} {y1} {x0} {y1}"]
            else:
                lines = [f"0 {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}"]
        (root / "labels" / "train" / f"{seed:03d}.txt").write_text("\n".join(lines))
    path = root / "data.yaml"
    path.write_text(f"path: {root}\ntrain: images/train\nval: images/train\nnames: {json.dumps(list(names))}\n")
    return path


def make_coco(root: Path, count: int, *, category: str = "watermark") -> Path:
    """A COCO file with run lengths, its images beside it."""
    from automask.values.rle import coco_counts

    draw_pictures(root / "images", count)
    content = {
        "images": [
            {"id": seed, "file_name": f"{seed:03d}.png", "width": SIZE_PX[0], "height": SIZE_PX[1]}
            for seed in range(count)
        ],
        "annotations": [
            {
                "id": seed,
                "image_id": seed,
                "category_id": 3,
                "segmentation": {"counts": coco_counts(truth(seed)), "size": list(SIZE_PX[::-1])},
            }
            for seed in range(count)
            if mark_box(seed) is not None
        ],
        "categories": [{"id": 3, "name": category}],
    }
    path = root / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def correct(store: Path, images: Sequence[Path]) -> None:
    """Give images of a store the mask that their mark asks for, as a person would."""
    with Store.open(store) as opened:
        for path in images:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            layers = CorrectionLayers(replaces=True, add=truth(int(path.stem)))
            opened.put_correction(digest, layers, author="me", tool="review", based_on=None)
