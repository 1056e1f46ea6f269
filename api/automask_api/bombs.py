"""Uploads that a stranger may send to wear a server out: small, most of them valid, and dear to open."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from PIL import Image as PillowImage

ZIP = "application/zip"


def page_bomb(pages: int) -> bytes:
    """A TIFF of so many pages of 8 x 8 pixels, all with the same ones."""
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, 8), (279, 64))
    directory_bytes = 2 + 12 * len(tags) + 4
    pixels_at = 8 + pages * directory_bytes
    parts = [b"II*\0", struct.pack("<I", 8)]
    for page in range(pages):
        entries = [struct.pack("<HHII", tag, 4, 1, pixels_at if tag == 273 else value) for tag, value in tags]
        following = 8 + (page + 1) * directory_bytes if page + 1 < pages else 0
        parts += [struct.pack("<H", len(tags)), *entries, struct.pack("<I", following)]
    return b"".join([*parts, bytes(range(64))])


def frame_bomb(frames: int) -> bytes:
    """A GIF of so many frames of one pixel on a canvas of 8 x 8."""
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    frame = b"!\xf9\4\0\1\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * frames + b";"


def scan_bomb(scans: int, *, side_px: int = 2000) -> bytes:
    """A progressive JPEG with so many scans, each over the whole picture."""
    out = io.BytesIO()
    PillowImage.new("L", (side_px, side_px), 128).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def marker_bomb(markers: int) -> bytes:
    """A JPEG that begins with so many empty segments."""
    return b"\xff\xd8" + b"\xff\xe0\0\2" * markers


def pixel_bomb(side_px: int) -> bytes:
    """A PNG of one colour and so many pixels a side, a few kilobytes long."""
    out = io.BytesIO()
    PillowImage.new("1", (side_px, side_px)).save(out, "PNG")
    return out.getvalue()


def text_bomb(texts: int) -> bytes:
    """A PNG with so many compressed texts of a megabyte each."""
    out = io.BytesIO()
    PillowImage.new("L", (8, 8)).save(out, "PNG")
    data = out.getvalue()
    packed = zlib.compress(bytes(1_000_000), 9)
    body = b"zTXtComment\0\0" + packed
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk * texts + data[33:]


def deep_zip(depth: int, *, name: str = "a.png") -> bytes:
    """A zip in a zip, so many deep, with 50 MB of zeros at the bottom, every one named like an image."""
    data = bytes(50_000_000)
    for _ in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        data = out.getvalue()
    return data


def hostile_uploads() -> Iterator[tuple[str, str, bytes, str]]:
    """(kind, path, body, content type) for ever, the kinds in turn."""
    kinds = [
        ("page bomb", "/v1/masks", page_bomb(32_000), "image/tiff"),
        ("scan bomb", "/v1/masks", scan_bomb(5_000), "image/jpeg"),
        ("deep zip", "/v1/masks/batch", deep_zip(1), ZIP),
        ("few scans", "/v1/masks", scan_bomb(85, side_px=6_000), "image/jpeg"),  # just below what is refused at sight
        ("frame bomb", "/v1/masks", frame_bomb(200_000), "image/gif"),
        ("marker bomb", "/v1/masks", marker_bomb(500_000), "image/jpeg"),
        ("text bomb", "/v1/masks", text_bomb(60), "image/png"),
        ("deeper zip", "/v1/masks/batch", deep_zip(4), ZIP),
    ]
    while True:
        yield from kinds
