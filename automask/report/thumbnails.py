"""Small pictures of images and masks on disk, made only when missing or out of date."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from automask.config import DecodeConfig
from automask.dataset.decode import decode
from automask.dataset.stored import file_of_row
from automask.errors import AutomaskError
from automask.files.atomic import write_atomic
from automask.report.overlay import Mark, outline, tint
from automask.store.records import StoredImage

THUMBNAIL_PX = 440
"""Longer side; cards show it at half that on a screen with two device pixels per CSS pixel."""

_VERSION = 1
"""Raised with every change of what a thumbnail shows."""
_FOLDER = "thumbs"


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """The two small pictures of one image, relative to the report's folder.

    Attributes:
        overlay: The image with its mask and outlines, or None when the image cannot be read.
        mask: The mask, or None for an image without one.
    """

    overlay: str | None
    mask: str | None


def thumbnail_names(image: StoredImage, marks: Sequence[Mark]) -> Thumbnails:
    """Where the thumbnails of a row belong: names change with the image's pixels, its mask and its regions."""
    shows = hashlib.sha256(
        repr(
            (
                _VERSION,
                image.content_sha256,
                image.mask_sha256,
                [
                    (m.region.kind.value, m.region.box.xyxy, m.region.confidence, m.region.polygon, m.drawn)
                    for m in marks
                ],
            )
        ).encode()
    ).hexdigest()[:12]
    stem = f"{_place(image.image_id)}-{shows}"
    return Thumbnails(
        overlay=f"{stem}.jpg" if image.content_sha256 is not None else None,
        mask=f"{stem}.png" if image.mask_name is not None else None,
    )


def make_thumbnails(
    folder: Path, image: StoredImage, marks: Sequence[Mark], *, image_path: Path, mask_path: Path | None
) -> Thumbnails:
    """Make the thumbnails of one image where they are missing.

    Args:
        folder: The report's folder.
        image: The row.
        marks: Its regions.
        image_path: The image file; when it is gone or damaged the result has no overlay.
        mask_path: Its mask file, or None.

    Raises:
        OutputError: The folder cannot be written.
    """
    names = thumbnail_names(image, marks)
    if all(name is None or (folder / name).is_file() for name in (names.overlay, names.mask)):
        return names
    levels = _read_mask(mask_path)
    if names.mask is not None and levels is not None:
        write_atomic(folder / names.mask, _encoded(levels, "PNG"))
    picture = small_picture(image, image_path, longest_px=THUMBNAIL_PX)
    if names.overlay is not None and picture is not None:
        write_atomic(folder / names.overlay, _encoded(_overlay(picture, levels, marks, image), "JPEG"))
    return Thumbnails(
        overlay=names.overlay if picture is not None else None, mask=names.mask if levels is not None else None
    )


def keep_thumbnails(folder: Path, names: Collection[str]) -> None:
    """Remove all thumbnails of a report but some, named relative to its folder."""
    for shard in sorted((folder / _FOLDER).glob("*")):
        for thumbnail in shard.iterdir():
            if f"{_FOLDER}/{shard.name}/{thumbnail.name}" not in names:
                thumbnail.unlink(missing_ok=True)


def _place(image_id: str) -> str:
    key = hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{_FOLDER}/{key[:2]}/{key}"


def _overlay(
    picture: PillowImage.Image, levels: PillowImage.Image | None, marks: Sequence[Mark], image: StoredImage
) -> PillowImage.Image:
    small_levels = None
    if levels is not None:
        small_levels = np.asarray(levels.resize(picture.size, PillowImage.Resampling.BOX), dtype=np.uint8)
    tinted = PillowImage.fromarray(tint(np.asarray(picture, dtype=np.uint8), small_levels))
    outline(tinted, marks, scale=picture.width / (image.width_px or picture.width), labelled=False)
    return tinted


def small_picture(image: StoredImage, path: Path, *, longest_px: int) -> PillowImage.Image | None:
    """An upright RGB picture with the longer side at most `longest_px`, or None if the file is unreadable."""
    try:
        with JpegImageFile(path) as photograph:  # `PIL.Image.open` refuses what a run may have taken
            if photograph.mode in ("L", "RGB"):
                # JPEG decodes straight to a fraction of its size: ten times faster than decoding it whole
                photograph.draft("RGB", (longest_px, longest_px))
                upright = ImageOps.exif_transpose(photograph).convert("RGB")
                upright.thumbnail((longest_px, longest_px))
                return upright
    except (OSError, SyntaxError, ValueError):
        pass  # not a JPEG after all, or a damaged one: the decoder of the run decides
    try:
        picture = PillowImage.fromarray(decode(file_of_row(image, path), DecodeConfig()).image.pixels)
    except AutomaskError:
        return None
    picture.thumbnail((longest_px, longest_px))
    return picture


def _read_mask(path: Path | None) -> PillowImage.Image | None:
    if path is None:
        return None
    try:
        with PngImageFile(path) as mask:
            grey = mask.convert("L")
    except (OSError, SyntaxError, ValueError):
        return None
    grey.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), PillowImage.Resampling.BOX)
    return grey


def _encoded(picture: PillowImage.Image, file_format: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, file_format, quality=82)
    return out.getvalue()
