"""A dataset of photographs with text and frames on them, its store, and what was really drawn there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fakes import RedDetector, pipeline
from PIL import Image, ImageDraw, ImageFont, ImageOps

from automask.config import PipelineConfig
from automask.export.run import build_exporter, export_store
from automask.export.summary import ExportSummary
from automask.run.runner import run_dataset
from automask.store import Store
from automask.values.geometry import Box
from automask.values.types import Kind, Region

PHOTOS = Path(__file__).parent.parent / "automask" / "examples" / "photos"
SIZES_PX = {
    "square.png": (1024, 1024),
    "wide.jpg": (1500, 1000),
    "tall.webp": (800, 1200),
    "long.png": (640, 1280),
    "small.png": (500, 420),
}
ORIENTATION_TAG = 0x0112


class InkDetector(RedDetector):
    """Finds the red pixels of an image one by one: artefacts as tight as they can be."""

    name = "ink"

    def find(self, image):
        red = (image.pixels[..., 0] > 180) & (image.pixels[..., 1] < 90) & (image.pixels[..., 2] < 90)
        box = Box.of_artefact(red)
        if box is None:
            return []
        artefact = np.ascontiguousarray(red[box.slices])
        return [Region(Kind.TEXT, box, 0.99, self.name, artefact=artefact, attributes={"text": "red"})]


def write_on(picture: Image.Image, *, lines: int = 6, seed: int = 0) -> Image.Image:
    """Red lettering of several sizes, and a red frame at the bottom."""
    rng = np.random.default_rng(seed)
    draw = ImageDraw.Draw(picture)
    width_px, height_px = picture.size
    for line in range(lines):
        size_px = int(rng.integers(14, 50))
        place = (int(rng.integers(0, width_px // 2)), int(rng.integers(0, height_px - 60)))
        draw.text(place, f"Line {line} of text", fill=(255, 0, 0), font=ImageFont.load_default(size_px))
    draw.rectangle((0, height_px - 9, width_px, height_px), fill=(255, 0, 0))
    return picture


def photograph(name: str, size_px: tuple[int, int]) -> Image.Image:
    """A real photograph without red, in the wanted size."""
    with Image.open(PHOTOS / name) as picture:
        pixels = np.asarray(ImageOps.fit(picture.convert("RGB"), size_px)).copy()
    pixels[..., 0] = np.minimum(pixels[..., 0], 170)
    return Image.fromarray(pixels)


def make_dataset(folder: Path) -> Path:
    """Photographs with lettering, one of them stored on its side, and one with nothing on it."""
    folder.mkdir(parents=True)
    for seed, (name, size_px) in enumerate(SIZES_PX.items()):
        picture = write_on(photograph("rocket.jpg", size_px), seed=seed)
        picture.save(folder / name, quality=100, **({"lossless": True} if name.endswith("webp") else {}))
    turned = write_on(photograph("cat.jpg", (1200, 800)), seed=9)
    exif = turned.getexif()
    exif[ORIENTATION_TAG] = 6
    turned.save(folder / "turned.jpg", quality=100, subsampling=0, exif=exif)
    photograph("coffee.jpg", (900, 600)).save(folder / "clean.png")
    return folder


def make_store(folder: Path, *, config: PipelineConfig | None = None) -> Path:
    """Run on a folder; the store lies beside it."""
    output = folder.with_name(folder.name + "-masks")
    config = config or PipelineConfig()
    run_dataset(folder, output, config, pipeline=pipeline(InkDetector(), config=config))
    return output


def export(store: Path, name: str, *, output: Path | None = None, **options: object) -> ExportSummary:
    """`automask export`, as a function."""
    return export_store(store, build_exporter(name, options=options), output=output)


def artefact_of(store: Path, image_id: str) -> np.ndarray:
    """(H, W) bool, upright and ungrown: what the store says about an image."""
    with Store.open(store, read_only=True) as opened:
        result = opened.result(image_id)
    found = np.zeros((result.height_px, result.width_px), dtype=np.bool_)
    for patch in result.patches:
        found[patch.box.slices] |= patch.artefact
    return found


def tree(folder: Path) -> dict[str, bytes]:
    """All files of a folder by relative name, links followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
