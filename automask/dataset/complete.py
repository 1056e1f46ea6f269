"""Tells a file that was cut off from one that is damaged, by what each format says about its own length."""

from __future__ import annotations

import struct

from automask.dataset.sniff import Format

_CLASSIC_TIFF = 42
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_NUMBERS = {3: "H", 4: "I"}
_TIFF_STRIPS = (273, 279)  # the tags of their offsets and of their lengths
_TIFF_TILES = (324, 325)
_TIFF_PLACES = frozenset((*_TIFF_STRIPS, *_TIFF_TILES))


def ends_early(data: bytes, content: Format) -> bool:
    """Whether the end of the picture is missing.

    Cheap and without decoding. A True is certain enough to say so to a user; a False proves nothing.
    """
    match content:
        case Format.JPEG:
            return data.rfind(b"\xff\xd9") < _jpeg_scan_start(data)
        case Format.PNG:
            return b"IEND" not in data
        case Format.GIF:
            return _gif_ends_early(data)
        case Format.WEBP:
            return len(data) < 12 or struct.unpack_from("<I", data, 4)[0] + 8 > len(data)
        case Format.BMP:
            return len(data) < 26 or struct.unpack_from("<I", data, 2)[0] > len(data)
        case Format.AVIF | Format.HEIF:
            return _avif_ends_early(data)
        case Format.TIFF:
            return _tiff_ends_early(data)


def _jpeg_scan_start(data: bytes) -> int:
    """Where the entropy-coded data begins: an end marker before it belongs to an embedded thumbnail."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            break
    return at


def _gif_ends_early(data: bytes) -> bool:
    """Whether the blocks of the file lead to anything but its end mark."""
    if len(data) < 13:
        return True
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at : at + 1] in (b"!", b","):
        if data[at : at + 1] == b"!":
            at += 2
        elif at + 10 > len(data):
            return True
        else:
            flags = data[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        while at < len(data) and data[at]:  # sub-blocks, each with its length, up to an empty one
            at += data[at] + 1
        at += 1
    return data[at : at + 1] != b";"


def _avif_ends_early(data: bytes) -> bool:
    """Whether a box of the file reaches over its end, or the box of the coded pictures is not there at all."""
    at = 0
    has_pictures = False
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        has_pictures |= data[at + 4 : at + 8] == b"mdat"
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # up to the end of the file
            at = len(data)
        elif size < 8:
            return False
        else:
            at += size
    return at > len(data) or not has_pictures


def _tiff_ends_early(data: bytes) -> bool:
    """Whether the first directory, a value of it, a strip or a tile lies behind the end (classic TIFF only)."""
    order = "<" if data[:2] == b"II" else ">"
    fields: dict[int, tuple[int, ...]] = {}
    try:
        magic, start = struct.unpack_from(order + "HI", data, 2)
        if magic != _CLASSIC_TIFF:
            return False
        (count,) = struct.unpack_from(order + "H", data, start)
        for index in range(count):
            entry = start + 2 + 12 * index
            tag, kind, length, place = struct.unpack_from(order + "HHII", data, entry)
            size = length * _TIFF_TYPE_BYTES.get(kind, 0)
            where = entry + 8 if size <= 4 else place
            if where + size > len(data):
                return True
            if tag in _TIFF_PLACES and kind in _TIFF_NUMBERS:
                fields[tag] = struct.unpack_from(f"{order}{length}{_TIFF_NUMBERS[kind]}", data, where)
    except struct.error:
        return True
    return any(
        offset + size > len(data)
        for offsets, sizes in (_TIFF_STRIPS, _TIFF_TILES)
        for offset, size in zip(fields.get(offsets, ()), fields.get(sizes, ()), strict=False)
    )
