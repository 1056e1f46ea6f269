"""Files of images that the store knows."""

from __future__ import annotations

from pathlib import Path

from automask.dataset.decode import DecodeData, DecodeSettings, decode, decode_bytes
from automask.dataset.image_file import ImageFile
from automask.errors import ImageError
from automask.store.records import StoredImage
from automask.values.types import Image


def file_of_row(row: StoredImage, path: Path) -> ImageFile:
    """The file of a stored image as the last run saw it, at a path."""
    return ImageFile(row.image_id, path, row.size_bytes, row.mtime_ns, row.ctime_ns or 0, row.mask_name or "")


def decode_unchanged(
    row: StoredImage, path: Path, config: DecodeSettings, *, decode_data: DecodeData = decode_bytes
) -> Image | None:
    """The upright image of a stored one, or None where its file is gone, damaged or another one by now."""
    try:
        decoded = decode(file_of_row(row, path), config, decode_data=decode_data)
    except ImageError:
        return None
    return decoded.image if decoded.content_sha256 == row.content_sha256 else None
