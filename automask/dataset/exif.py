"""The orientation in a file's metadata, read by hand.

Pillow reads the whole EXIF block for it, and warns on stderr about every other tag that is damaged.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_FORMATS = {3: "H", 4: "I"}  # SHORT by the standard, LONG by some writers
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def orientation_of(info: Mapping[str | tuple[int, int], object]) -> int:
    """The orientation of a picture, 1..8, from its EXIF block or else from its XMP.

    Args:
        info: `info` of a loaded Pillow image.

    Raises:
        ValueError: The EXIF block is damaged.
    """
    block = info.get("exif")
    if not isinstance(block, bytes):
        block = _exif_in_text(info.get("Raw profile type exif"))
    found = _orientation_in_exif(block) if block else None
    return found or _orientation_in_xmp(info.get("xmp") or info.get("XML:com.adobe.xmp")) or UPRIGHT


def valid_orientation(value: object) -> int | None:
    """The value if it is an EXIF orientation; 0 and others that cameras write mean that nothing is known."""
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def _orientation_in_exif(block: bytes) -> int | None:
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        raise ValueError("it has no byte order")
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for index in range(count):
            tag, kind = struct.unpack_from(order + "HH", block, start + 2 + 12 * index)
            if tag == _ORIENTATION_TAG and kind in _FORMATS:
                return valid_orientation(struct.unpack_from(order + _FORMATS[kind], block, start + 10 + 12 * index)[0])
    except struct.error as error:
        raise ValueError("it ends early") from error
    return None


def _exif_in_text(text: object) -> bytes | None:
    """The EXIF block that ImageMagick writes into PNG texts: a name, a length, and hex digits over many lines."""
    if not isinstance(text, str):
        return None
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError as error:
        raise ValueError("its text is not hexadecimal") from error


def _orientation_in_xmp(xmp: object) -> int | None:
    packet = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
    match = _XMP_ORIENTATION.search(packet) if isinstance(packet, bytes) else None
    return int(match[1]) if match else None
