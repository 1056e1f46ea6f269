"""Small pictures and files for the tests of the dataset layer."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from automask.config import DecodeConfig
from automask.dataset.decode import Decoded, decode, decode_bytes
from automask.dataset.image_file import ImageFile

needs_byte_names = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="needs a file system of bytes")


def scene(width: int = 48, height: int = 32) -> np.ndarray:
    """(H, W, 3) uint8: smooth colours, different in every corner, so that a turned or mirrored copy differs."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    return np.rint(np.stack([40 + 200 * x + 0 * y, 30 + 180 * y + 0 * x, 20 + 100 * x * y], axis=-1)).astype(np.uint8)


def cmyk_scene() -> PillowImage.Image:
    """The scene in four inks."""
    return PillowImage.fromarray(scene()).convert("CMYK")


def encoded(picture: PillowImage.Image | np.ndarray, file_format: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image = picture if isinstance(picture, PillowImage.Image) else PillowImage.fromarray(picture)
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def read(data: bytes, **config: object) -> Decoded:
    """Decode bytes under a plain name."""
    return decode_bytes(data, image_id="sub/picture", config=DecodeConfig(**config))


def image_file(path: Path, *, size_bytes: int | None = None) -> ImageFile:
    """The file as `walk` would give it."""
    size = size_bytes if size_bytes is not None else (path.stat().st_size if path.exists() else 0)
    return ImageFile(id=path.name, path=path, size_bytes=size, mtime_ns=1, ctime_ns=1, mask_name=f"{path.stem}.png")


def read_file(path: Path, **config: object) -> Decoded:
    """Decode a file of a dataset."""
    return decode(image_file(path), DecodeConfig(**config))


def codes(decoded: Decoded) -> list[str]:
    """The codes of what the decoder remarked."""
    return [issue.code for issue in decoded.issues]


def sha256(data: bytes) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def png(*, width: int, height: int, bits: int, colour_type: int, rows: list[bytes], extra: bytes = b"") -> bytes:
    """A PNG made by hand, for layouts that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    )


def png_chunk(name: bytes, content: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(tags: dict[int, tuple[str, tuple[int, ...]]], strip: bytes, *, order: str) -> bytes:
    """An uncompressed one-strip TIFF made by hand.

    Args:
        tags: Tag -> ("H" or "I", values). Offsets and sizes of the strip are added.
        strip: The pixels.
        order: `<` or `>`.
    """
    tags = {**tags, 273: ("I", (8,)), 278: ("I", (tags[257][1][0],)), 279: ("I", (len(strip),))}
    start = 8 + len(strip) + len(strip) % 2
    behind = start + 2 + 12 * len(tags) + 4
    entries, values_behind = b"", b""
    for tag, (letter, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            inline = struct.pack(order + "I", behind + len(values_behind))
            values_behind += packed
        else:
            inline = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[letter], len(values)) + inline
    magic = b"II" if order == "<" else b"MM"
    body = magic + struct.pack(order + "HI", 42, start) + strip.ljust(start - 8, b"\0")
    return body + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values_behind
