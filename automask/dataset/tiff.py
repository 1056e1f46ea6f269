"""What a TIFF file costs to open, told by its first directory."""

from __future__ import annotations

import struct

MOST_TAGS = 1000
"""Real files have some dozens. Each one may name a value as long as the file, and Pillow reads all of them."""


def tags_of(data: bytes) -> int:
    """How many tags the first directory of a TIFF or BigTIFF file has; 0 where it is damaged."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        if struct.unpack_from(f"{order}H", data, 2)[0] == 43:  # BigTIFF
            (at,) = struct.unpack_from(f"{order}Q", data, 8)
            return int(struct.unpack_from(f"{order}Q", data, at)[0])
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        return int(struct.unpack_from(f"{order}H", data, at)[0])
    except (struct.error, IndexError, OverflowError):
        return 0
