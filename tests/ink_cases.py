"""Maps made by hand and letters on a landscape, for the tests of the ink network and what is built on it."""

import json
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.values.types import Image
from automask_models.ink.network import InkMap

FONT = Path(__file__).parent / "data" / "fonts" / "noto-sans-latin-cyrillic.ttf"


def map_of(cells: np.ndarray, *, width_px: int | None = None, mark: float = 0.0) -> InkMap:
    rows, columns = cells.shape
    width_px = width_px or columns * 4
    unwanted = cells.astype(np.float32)
    return InkMap(unwanted, np.full_like(unwanted, mark), width_px=width_px, height_px=rows * width_px // columns)


def landscape(width_px: int, height_px: int) -> PillowImage.Image:
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    grey = 110 + 40 * np.sin(rows / 61.0) + 30 * np.sin((columns + rows) / 83.0)
    return PillowImage.fromarray(np.stack([grey, grey * 0.9, grey * 0.7], axis=2).astype(np.uint8))


def lettered(text: str, *, size_px: int, at: tuple[int, int], opacity: float) -> tuple[Image, np.ndarray]:
    """A landscape with white letters, and the bool array of their pixels."""
    ground = landscape(800, 600)
    ink = PillowImage.new("L", ground.size)
    ImageDraw.Draw(ink).text(at, text, fill=255, font=ImageFont.truetype(FONT, size_px))
    alpha = np.asarray(ink, dtype=np.float32)[..., None] / 255 * opacity
    pixels = (np.asarray(ground) * (1 - alpha) + 255 * alpha).astype(np.uint8)
    return Image(id=text, pixels=pixels), np.asarray(ink) > 64


def manifest_of(folder: Path) -> Path:
    """Two pictures with a word and its truth, one without."""
    entries = []
    for name, opacity, kind in (("a", 1.0, "text"), ("b", 0.8, "text"), ("c", 0.0, "clean")):
        image, letters = lettered("Harbour", size_px=150, at=(60, 200), opacity=opacity)
        PillowImage.fromarray(image.pixels).save(folder / f"{name}.png")
        entry = {"kind": kind, "source": f"{kind}s", "image": f"{name}.png", "mask": None, "truth": "nothing"}
        if kind == "text":
            PillowImage.fromarray(letters.astype(np.uint8) * 255).save(folder / f"{name}-truth.png")
            entry |= {"mask": f"{name}-truth.png", "truth": "pixels"}
        entries.append(entry)
    path = folder / "manifest.json"
    path.write_text(json.dumps(entries))
    return path
