"""Tells a file that was cut off from one that is damaged, by what each format says about its own length."""

from __future__ import annotations

import struct

from automask.dataset.sniff import Format


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
            return not data.rstrip(b"\0").endswith(b";")
        case Format.WEBP:
            return len(data) < 12 or struct.unpack_from("<I", data, 4)[0] + 8 > len(data)
        case Format.BMP:
            return len(data) < 26 or struct.unpack_from("<I", data, 2)[0] > len(data)
        case Format.AVIF:
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
    """Whether the first directory, or a strip or tile that it names, lies behind the end (classic TIFF only)."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        magic, start = struct.unpack_from(order + "HI", data, 2)
        if magic != 42:
            return False
        (count,) = struct.unpack_from(order + "H", data, start)
        fields: dict[int, list[int]] = {}
        for index in range(count):
            entry = start + 2 + 12 * index
            tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
            letter = {3: "H", 4: "I"}.get(kind)
            if letter is None or tag not in (273, 279, 324, 325):
                continue
            layout = f"{order}{length}{letter}"
            inside = struct.calcsize(layout) <= 4
            where = entry + 8 if inside else struct.unpack_from(order + "I", data, entry + 8)[0]
            fields[tag] = list(struct.unpack_from(layout, data, where))
    except struct.error:
        return True
    return any(
        offset + size > len(data)
        for offsets, sizes in ((273, 279), (324, 325))
        for offset, size in zip(fields.get(offsets, []), fields.get(sizes, []), strict=False)
    )
