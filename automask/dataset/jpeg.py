"""The structure of a JPEG, read from its bytes: what decoding it would cost."""

from __future__ import annotations

import re

MOST_SCANS = 100
"""Encoders write 1 to 20. Each may cost as much as the whole picture: 20 MB of them keep a core busy for hours."""
MOST_MARKERS = 4096
"""Pieces of a profile, a long XMP and tables before every scan are hundreds; Pillow looks at each in Python."""

_START_OF_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_NEXT_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""In coded data, where 0xFF is followed by 0 or by a restart marker unless it begins a segment."""


def is_costly(data: bytes) -> bool:
    """Whether the first picture of a JPEG has more scans or segments than any that is meant to be looked at.

    Nothing is decoded, and of a longer file only so many segments are looked at.
    """
    at, scans = 2, 0
    for _ in range(MOST_MARKERS):
        found = _NEXT_MARKER.search(data, at)
        if found is None or found[1][0] == _END:
            return False
        marker, at = found[1][0], found.end()
        scans += marker == _START_OF_SCAN
        if scans > MOST_SCANS:
            return True
        if marker not in _WITHOUT_LENGTH:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return True
