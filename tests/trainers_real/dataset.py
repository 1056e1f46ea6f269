"""Fifteen images as people have them, and one for each EXIF orientation, with the truth painted into them.

Backgrounds are photographs without their red; what must not be learned is red. So the red of the picture that a
trainer's own image path delivers says, cell by cell, what its own mask path had to cover.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

PHOTOS = sorted((Path(__file__).parents[2] / "automask" / "examples" / "photos").glob("*.jpg"))
ORIENTATION_TAG = 0x0112
ORIENTED = "oriented"
FIFTEEN = {
    "card.png": (744, 1039),
    "poster.jpg": (1500, 1000),
    "valley.webp": (1200, 800),
    "cat.jpg": (1024, 1024),
    "rocket.jpg": (640, 427),
    "snapshot.jpg": (900, 599),
    "turned6.jpg": (1080, 1440),
    "turned8.jpg": (1000, 1300),
    "turned3.jpg": (1280, 960),
    "été 2 – 海報 (1).jpg": (800, 1201),  # noqa: RUF001
    "wide.jpg": (1500, 500),
    "sub/deep/poster15.jpg": (1024, 1365),
    "sub/coffee.jpg": (600, 400),
    "big.jpg": (2560, 2048),
    "tarot.png": (700, 1200),
}
"""Upright (width, height) in pixels by name."""
_TURNED = {"turned6.jpg": 6, "turned8.jpg": 8, "turned3.jpg": 3}
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def make_images(folder: Path) -> Path:
    """Write all images with captions."""
    for seed, (name, size_px) in enumerate(FIFTEEN.items()):
        picture = _painted(size_px, seed)
        if name == "tarot.png":
            picture = Image.fromarray(np.asarray(picture) // 64 * 85).quantize(64, dither=Image.Dither.NONE)
        _save(picture, folder / name, orientation=_TURNED.get(name, 1))
    for orientation in range(1, 9):
        picture = _painted((900, 640), 100 + orientation)
        _save(picture, folder / ORIENTED / f"o{orientation}.jpg", orientation=orientation)
    return folder


def _painted(size_px: tuple[int, int], seed: int) -> Image.Image:
    """Lettering of several sizes, a logo, a bar along the left edge and a frame line at the bottom, all of hard red."""
    rng = np.random.default_rng(seed)
    with Image.open(PHOTOS[seed % len(PHOTOS)]) as photo:
        pixels = np.asarray(ImageOps.fit(photo.convert("RGB"), size_px)).copy()
    pixels[..., 0] = 0
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.fontmode = "1"
    width_px, height_px = size_px
    side_px = min(size_px)
    for line in range(6):
        font = ImageFont.load_default(max(12, side_px * int(rng.integers(14, 50)) // 1000))
        place = (int(rng.integers(0, width_px * 3 // 4)), int(rng.integers(0, height_px * 9 // 10)))
        draw.text(place, f"Line {line} of text", fill=(255, 0, 0), font=font)
    corner = (width_px - side_px // 12, side_px // 40)
    draw.ellipse((*corner, corner[0] + side_px // 18, corner[1] + side_px // 18), fill=(255, 0, 0))
    draw.rectangle((0, height_px // 3, side_px // 60, height_px // 2), fill=(255, 0, 0))
    draw.rectangle((0, height_px - max(4, side_px // 120), width_px, height_px), fill=(255, 0, 0))
    return picture


def _save(picture: Image.Image, path: Path, *, orientation: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if orientation != 1:
        picture = picture.transpose(_UNDO[orientation])
    if path.suffix == ".jpg":
        exif = Image.Exif()
        if orientation != 1:
            exif[ORIENTATION_TAG] = orientation
        picture.save(path, quality=100, subsampling=0, exif=exif)
    else:
        picture.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    path.with_suffix(".txt").write_text(f"a picture of {path.stem}\n", encoding="utf-8")
