"""How trainers read masks, written once more from docs of their source: nothing of `automask.trainers` is used here.

Each loader finds the mask of an image, refuses what the trainer refuses, brings image and mask into a bucket, and
reduces the mask to latent cells. It returns the weights, and the same way of the image for the truth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

CELL_PX = 8


@dataclass(frozen=True)
class Seen:
    """What a trainer makes of one image.

    Attributes:
        cells: Weights on latent cells.
        follow: Takes an upright (H, W) bool array the way of the image to the share of each cell that it covers.
    """

    cells: np.ndarray
    follow: Callable[[np.ndarray], np.ndarray]


def blocks(levels: np.ndarray) -> np.ndarray:
    """`interpolate(mode="area")` on a size that the cell divides: (rows, columns) means."""
    rows, columns = levels.shape[0] // CELL_PX, levels.shape[1] // CELL_PX
    return levels[: rows * CELL_PX, : columns * CELL_PX].reshape(rows, CELL_PX, columns, CELL_PX).mean(axis=(1, 3))


def nearest(levels: np.ndarray) -> np.ndarray:
    return levels[::CELL_PX, ::CELL_PX][: levels.shape[0] // CELL_PX, : levels.shape[1] // CELL_PX]


def nearest_exact(levels: np.ndarray) -> np.ndarray:
    return levels[CELL_PX // 2 :: CELL_PX, CELL_PX // 2 :: CELL_PX]


def antialiased(levels: np.ndarray) -> np.ndarray:
    size = (levels.shape[1] // CELL_PX, levels.shape[0] // CELL_PX)
    return np.asarray(Image.fromarray(levels.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def cover_and_crop(levels: np.ndarray, bucket_px: tuple[int, int], resize: Callable) -> np.ndarray:
    """Scale to cover the bucket, crop the middle."""
    height, width = levels.shape
    scale = max(bucket_px[0] / width, bucket_px[1] / height)
    size = (max(bucket_px[0], int(width * scale + 0.5)), max(bucket_px[1], int(height * scale + 0.5)))
    resized = resize(levels, size)
    left, top = (size[0] - bucket_px[0]) // 2, (size[1] - bucket_px[1]) // 2
    return resized[top : top + bucket_px[1], left : left + bucket_px[0]]


def pillow(resample: Image.Resampling) -> Callable:
    return lambda levels, size: np.asarray(Image.fromarray(levels).resize(size, resample))


def opencv_area(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] <= levels.shape[1] and size[1] <= levels.shape[0]
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)


def truth(bucket_px: tuple[int, int], stored: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def follow(artefact: np.ndarray) -> np.ndarray:
        levels = (stored(artefact).astype(np.uint8) * 255).copy()
        return blocks(cover_and_crop(levels, bucket_px, pillow(Image.Resampling.BOX)).astype(np.float64) / 255)

    return follow


def orientation_of(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.getexif().get(0x0112, 1)


def raw(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """From upright to stored pixels."""
    return {
        1: lambda array: array,
        2: lambda array: array[:, ::-1],
        3: lambda array: array[::-1, ::-1],
        4: lambda array: array[::-1],
        5: lambda array: array.T,
        6: lambda array: np.rot90(array, 1),
        7: lambda array: np.rot90(array, 2).T,
        8: lambda array: np.rot90(array, -1),
    }[orientation_of(path)]


def same(array: np.ndarray) -> np.ndarray:
    return array


def open_raw(path: Path) -> Image.Image:
    picture = Image.open(path)
    picture.load()
    return picture


# Buckets


def kohya_bucket(size: tuple[int, int], training_px: int = 1024) -> tuple[int, int]:
    """`make_bucket_resolutions` and `select_bucket` with the defaults of the dataset configuration."""
    least, most, step = 256, 1024, 64
    sizes = {(training_px // step * step,) * 2}
    width = least
    while width <= most:
        height = min(most, int((training_px * training_px // width) // step) * step)
        if height >= least:
            sizes |= {(width, height), (height, width)}
        width += step
    ordered = sorted(sizes)
    if size in sizes:
        return size
    errors = np.array([w / h for w, h in ordered]) - size[0] / size[1]
    return ordered[int(np.abs(errors).argmin())]


def onetrainer_bucket(size: tuple[int, int], training_px: int = 1024) -> tuple[int, int]:
    """`AspectBucketing`: nine ratios both ways, the training area, whole steps of 64."""
    ratios = [(1.0, r) for r in (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0)]
    ratios += [(r, 1.0) for _, r in ratios[1:]]
    found = []
    for h, w in ratios:
        unit = training_px / math.sqrt(h * w)
        found.append((round(w * unit / 64) * 64, round(h * unit / 64) * 64))
    aspect = size[1] / size[0]
    return min(found, key=lambda bucket: abs(bucket[1] / bucket[0] - aspect))


def ai_toolkit_bucket(size: tuple[int, int], training_px: int = 1024, step: int = 16) -> tuple[int, int]:
    """Area of the training size or the image's own, rounded down."""
    scale = min(1.0, training_px / math.sqrt(size[0] * size[1]))
    return int(size[0] * scale // step * step), int(size[1] * scale // step * step)


def animalora_bucket(size: tuple[int, int], training_px: int = 1024) -> tuple[int, int]:
    """Every size in steps of 64 with an area within 10 % and a ratio of at most 2; the nearest ratio, then area."""
    sides = range(576, 1600, 64)
    found = [(w, h) for w in sides for h in sides if abs(w * h - training_px**2) <= 0.1 * training_px**2]
    found = [(w, h) for w, h in found if max(w / h, h / w) <= 2.0]
    aspect = size[0] / size[1]
    return min(found, key=lambda bucket: (abs(aspect - bucket[0] / bucket[1]), abs(bucket[0] * bucket[1] - 1024**2)))


def area_bucket(size: tuple[int, int], training_px: int = 1024, step: int = 64) -> tuple[int, int]:
    scale = training_px / math.sqrt(size[0] * size[1])
    return round(size[0] * scale / step) * step, round(size[1] * scale / step) * step


def pipe_bucket(size: tuple[int, int], training_px: int = 1024) -> tuple[int, int]:
    """7 ratios between 0.5 and 2 in equal logarithmic steps, whole steps of 32."""
    ratios = np.geomspace(0.5, 2.0, num=7)
    ratio = min(ratios, key=lambda one: abs(math.log(one) - math.log(size[0] / size[1])))
    width = math.sqrt(training_px**2 * ratio)
    return round(width / 32) * 32, round(width / ratio / 32) * 32


# Loaders: (image file, export folder, image folder) -> what is seen


def kohya(image: Path, export: Path, images: Path) -> Seen:
    folder = export / "masks" / image.parent.relative_to(images)
    found = [path for path in folder.glob("*") if path.stem == image.stem]
    assert len(found) == 1, f"missing or ambiguous conditioning image for {image}"
    picture, mask = open_raw(image), open_raw(found[0])
    assert picture.size == mask.size, "image size mismatch"
    bucket = kohya_bucket(picture.size)
    red = np.ascontiguousarray(np.asarray(mask.convert("RGB"))[:, :, 0])
    cropped = blocks(cover_and_crop(red, bucket, opencv_area).astype(np.float64) / 255)
    stretched = blocks(opencv_area(red, bucket).astype(np.float64) / 255)  # versions before request 2368
    return Seen(np.maximum(cropped, stretched), truth(bucket, raw(image)))


def kohya_alpha(image: Path, export: Path, images: Path) -> Seen:
    png = (export / "images" / image.relative_to(images)).with_suffix(".png")
    picture = open_raw(png)
    assert picture.mode == "RGBA"
    assert orientation_of(png) == 1
    bucket = kohya_bucket(picture.size)
    alpha = np.ascontiguousarray(np.asarray(picture)[:, :, 3])
    return Seen(blocks(cover_and_crop(alpha, bucket, opencv_area).astype(np.float64) / 255), truth(bucket, same))


def onetrainer(image: Path, export: Path, images: Path) -> Seen:
    linked = export / "images" / image.relative_to(images)
    path = linked.with_name(linked.stem + "-masklabel.png")
    picture = ImageOps.exif_transpose(open_raw(linked))
    mask = np.asarray(open_raw(path).convert("L"))
    assert abs(picture.width / picture.height - mask.shape[1] / mask.shape[0]) < 0.01
    bucket = onetrainer_bucket((mask.shape[1], mask.shape[0]))
    weight = cover_and_crop(mask.astype(np.float32) / 255, bucket, pillow(Image.Resampling.BILINEAR))
    return Seen(np.clip(antialiased(weight), 0.0, 1.0), truth(bucket, same))


def ai_toolkit(image: Path, export: Path, images: Path) -> Seen:
    path = next(
        candidate
        for ending in (".jpg", ".jpeg", ".png", ".webp")
        if (candidate := export / "masks" / (image.stem + ending)).exists()
    )
    mask = ImageOps.exif_transpose(open_raw(path)).convert("RGB").convert("L")
    picture = ImageOps.exif_transpose(open_raw(image))
    bucket = ai_toolkit_bucket(picture.size)
    scale = max(bucket[0] / picture.width, bucket[1] / picture.height)
    size = (max(bucket[0], math.ceil(picture.width * scale)), max(bucket[1], math.ceil(picture.height * scale)))
    blurred = mask.filter(ImageFilter.GaussianBlur(0.0025 * min(mask.size)))  # the middle of its random range
    levels = np.asarray(blurred.resize(size, Image.Resampling.BICUBIC)).astype(np.float64) / 255
    left, top = (size[0] - bucket[0]) // 2, (size[1] - bucket[1]) // 2
    return Seen(nearest(levels[top : top + bucket[1], left : left + bucket[0]]), truth(bucket, same))


def simpletuner(image: Path, export: Path, images: Path) -> Seen:
    mask = open_raw(export / "masks" / image.relative_to(images))
    picture = open_raw(image)
    assert mask.size == picture.size, "the geometry of the image is applied to the mask"
    bucket = area_bucket(picture.size)
    red = np.ascontiguousarray(np.asarray(mask.convert("RGB"))[:, :, 0])
    signed = cover_and_crop(red, bucket, pillow(Image.Resampling.LANCZOS)).astype(np.float64) / 127.5 - 1
    return Seen(blocks(signed / 2 + 0.5), truth(bucket, raw(image)))


def diffusion_pipe(image: Path, export: Path, images: Path) -> Seen:
    folder = export / "masks" / image.parent.relative_to(images)
    found = [path for path in folder.glob("*") if path.is_file() and path.stem == image.stem]
    assert len(found) == 1
    picture, mask = open_raw(image), open_raw(found[0])
    if picture.size != mask.size:
        raise ValueError("mask and image have different sizes")
    bucket = pipe_bucket(picture.size)
    fitted = ImageOps.fit(mask.convert("RGB"), bucket)
    weight = (np.asarray(fitted)[:, :, 0].astype(np.float32) / 255).astype(np.float16).astype(np.float64)
    return Seen(nearest_exact(weight), truth(bucket, raw(image)))


def invoke(image: Path, export: Path, images: Path) -> Seen:
    rows = [json.loads(line) for line in (export / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    row = next(row for row in rows if Path(row["image"]) == image)
    mask = open_raw(Path(row["mask"]) if Path(row["mask"]).is_absolute() else export / row["mask"]).convert("L")
    picture = open_raw(image)
    assert mask.size == picture.size
    bucket = area_bucket(picture.size)
    levels = np.asarray(mask).astype(np.float32) / 255
    return Seen(nearest(cover_and_crop(levels, bucket, pillow(Image.Resampling.BILINEAR))), truth(bucket, raw(image)))


def _beside(image: Path, export: Path, images: Path, *, ending: str, bucket_of: Callable) -> Seen:
    linked = export / "images" / image.relative_to(images)
    mask, picture = open_raw(linked.with_name(linked.stem + ending)).convert("L"), open_raw(linked)
    assert mask.size == picture.size
    bucket = bucket_of(picture.size)
    weight = cover_and_crop(np.asarray(mask), bucket, opencv_area).astype(np.float64) / 255
    return Seen(blocks(weight), truth(bucket, raw(image)))


def musubi(image: Path, export: Path, images: Path) -> Seen:
    return _beside(image, export, images, ending="_wmask.png", bucket_of=lambda size: area_bucket(size, step=16))


def musubi_fork(image: Path, export: Path, images: Path) -> Seen:
    """LTX-2: the four pixels in the middle of a cell of 32 px, returned for each of its 16 cells of 8 px."""
    folder = export / "masks" / image.parent.relative_to(images)
    mask, picture = open_raw(folder / f"{image.stem}.png").convert("L"), open_raw(image)
    bucket = area_bucket(picture.size, step=32)
    weight = cover_and_crop(np.asarray(mask), bucket, opencv_area).astype(np.float64) / 255
    middle = (weight[15::32] + weight[16::32]) / 2
    cells = (middle[:, 15::32] + middle[:, 16::32]) / 2
    return Seen(np.kron(cells, np.ones((4, 4))), truth(bucket, raw(image)))


def animalora(image: Path, export: Path, images: Path) -> Seen:
    return _beside(image, export, images, ending=".mask", bucket_of=animalora_bucket)


LOADERS: dict[str, Callable[[Path, Path, Path], Seen]] = {
    "kohya": kohya,
    "kohya-alpha": kohya_alpha,
    "onetrainer": onetrainer,
    "ai-toolkit": ai_toolkit,
    "simpletuner": simpletuner,
    "diffusion-pipe": diffusion_pipe,
    "invoke": invoke,
    "musubi": musubi,
    "musubi-fork": musubi_fork,
    "animalora": animalora,
}
