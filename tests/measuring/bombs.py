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


def chunk_bomb(chunks: int) -> bytes:
    """A PNG whose picture comes in so many parts, all but one of them empty."""
    out = io.BytesIO()
    PillowImage.new("L", (8, 8)).save(out, "PNG")
    data = out.getvalue()
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return data[:33] + empty * chunks + data[33:]


def tag_bomb(tags: int) -> bytes:
    """A TIFF of 8 x 8 pixels with so many tags that nobody knows, each of four thousand million numbers."""
    known = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 8), (279, 64))
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in known]
    entries += [struct.pack("<HHII", 51_000 + number % 14_000, 4, 2**32 - 1, 8) for number in range(tags)]
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def exif_loop() -> bytes:
    """A JPEG whose EXIF data holds itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)
    out = io.BytesIO()
    PillowImage.new("L", (8, 8)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def icon_bomb(icons: int) -> bytes:
    """An ICO that names the same picture so many times."""
    out = io.BytesIO()
    PillowImage.new("L", (8, 8)).save(out, "PNG")
    picture = out.getvalue()
    entry = struct.pack("<BBBBHHII", 8, 8, 0, 0, 1, 32, len(picture), 6 + 16 * icons)
    return struct.pack("<HHH", 0, 1, icons) + entry * icons + picture


def album_bomb(pictures: int) -> bytes:
    """An MPO, the JPEG of cameras with two lenses, of so many pictures."""
    first, *others = (PillowImage.new("L", (8, 8)) for _ in range(pictures))
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=others)
    return out.getvalue()


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
