"""Pictures for the page: a view that fits the screen, sharp tiles of large images, thumbnails with their masks."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.config import DecodeConfig
from automask.dataset.decode import decode
from automask.dataset.image_file import ImageFile
from automask.errors import InputError
from automask.report.overlay import tint
from automask.report.thumbnails import small_picture
from automask.store import StoredImage
from automask.values.geometry import Box
from automask.values.types import Patch
from automask_api.errors import NotFound

Pixels = NDArray[np.uint8]

VIEW_PX = 2048
"""Longer side of the first picture that the page shows."""
TILE_PX = 512
THUMBNAIL_PX = 320
_AROUND_PX = 24
_QUALITY = 90
_CACHE_BYTES = 600_000_000


class PictureCache:
    """The last few decoded images, so that tiles of one image decode it once. Any thread may use it."""

    def __init__(self, config: DecodeConfig, *, max_bytes: int = _CACHE_BYTES) -> None:
        self._config = config
        self._max_bytes = max_bytes
        self._mutex = threading.Lock()
        self._pixels: OrderedDict[str, Pixels] = OrderedDict()
        self._decoding: dict[str, threading.Lock] = {}

    def pixels(self, file: ImageFile, content_sha256: str) -> Pixels:
        """Decoded pixels of a file: (H, W, 3) uint8 RGB, upright.

        Raises:
            ImageError: The file cannot be used.
            InputError: It is not the one that was analysed (`image-changed`).
        """
        with self._mutex:
            turn = self._decoding.setdefault(content_sha256, threading.Lock())
        with turn:
            with self._mutex:
                kept = self._pixels.get(content_sha256)
                if kept is not None:
                    self._pixels.move_to_end(content_sha256)
                    return kept
            decoded = decode(file, self._config)
            if decoded.content_sha256 != content_sha256:
                raise InputError(
                    f"{file.path} has changed since it was analysed.",
                    advice="Run `automask run` on its folder again.",
                    code="image-changed",
                )
            self._keep(content_sha256, decoded.image.pixels)
            return decoded.image.pixels

    def _keep(self, content_sha256: str, pixels: Pixels) -> None:
        with self._mutex:
            self._pixels[content_sha256] = pixels
            self._decoding.pop(content_sha256, None)
            while len(self._pixels) > 1 and sum(kept.nbytes for kept in self._pixels.values()) > self._max_bytes:
                self._pixels.popitem(last=False)


def view_jpeg(pixels: Pixels) -> bytes:
    """The image, scaled down so that its longer side is at most `VIEW_PX`."""
    height_px, width_px = pixels.shape[:2]
    scale = min(1.0, VIEW_PX / max(height_px, width_px))
    return _jpeg(_scaled(pixels, (max(1, round(width_px * scale)), max(1, round(height_px * scale)))))


def tile_jpeg(pixels: Pixels, *, level: int, column: int, row: int) -> bytes:
    """One tile of the image at a scale of 1 / 2**level.

    Raises:
        NotFound: There is no such tile.
    """
    step_px = TILE_PX << level
    window = pixels[row * step_px : (row + 1) * step_px, column * step_px : (column + 1) * step_px]
    if 0 in window.shape:
        raise NotFound(f"The image has no tile {column}, {row} at level {level}.")
    size = (-(-window.shape[1] // (1 << level)), -(-window.shape[0] // (1 << level)))
    return _jpeg(_scaled(window, size))


def part_jpeg(pixels: Pixels, part: Box) -> bytes:
    """A part of the image with some of what surrounds it, in a picture of the size of a thumbnail."""
    height_px, width_px = pixels.shape[:2]
    around = part.padded(max(_AROUND_PX, max(part.shape) // 2), width_px=width_px, height_px=height_px)
    scale = min(1.0, THUMBNAIL_PX / max(around.shape))
    size = (max(1, round(around.width_px * scale)), max(1, round(around.height_px * scale)))
    return _jpeg(_scaled(np.ascontiguousarray(pixels[around.slices]), size), quality=82)


def thumbnail_jpeg(stored: StoredImage, *, image_path: Path, mask_path: Path | None) -> bytes | None:
    """A small picture of the image with what is masked in red, or None when the image cannot be read."""
    picture = small_picture(stored, image_path, longest_px=THUMBNAIL_PX)
    if picture is None:
        return None
    levels = _mask_levels(mask_path, picture.size) if mask_path is not None else None
    return _jpeg(tint(np.asarray(picture, dtype=np.uint8), levels), quality=82)


def patches_jpeg(pixels: Pixels, patches: Sequence[Patch]) -> bytes:
    """A picture of the size of a thumbnail, with the pixels of some patches in red."""
    height_px, width_px = pixels.shape[:2]
    levels = np.full((height_px, width_px), 255, dtype=np.uint8)
    for patch in patches:
        levels[patch.box.slices][patch.artefact] = 0
    scale = min(1.0, THUMBNAIL_PX / max(height_px, width_px))
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return _jpeg(tint(_scaled(pixels, size), _scaled(levels, size)), quality=82)


def _mask_levels(path: Path, size_px: tuple[int, int]) -> Pixels | None:
    try:
        with PillowImage.open(path, formats=("PNG",)) as mask:
            return np.asarray(mask.convert("L").resize(size_px, PillowImage.Resampling.BOX), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError):
        return None


def _scaled(pixels: Pixels, size_px: tuple[int, int]) -> Pixels:
    if size_px == (pixels.shape[1], pixels.shape[0]):
        return pixels
    import cv2

    scaled: Pixels = cv2.resize(pixels, size_px, interpolation=cv2.INTER_AREA)
    return scaled


def _jpeg(pixels: Pixels, *, quality: int = _QUALITY) -> bytes:
    out = io.BytesIO()
    # Without subsampling: thin coloured lettering is just what people look at here.
    PillowImage.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()
