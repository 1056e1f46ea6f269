"""A zip that is written while it is sent: nothing of it is kept."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Self


class _Pipe(io.RawIOBase):
    """Takes what zipfile writes; it cannot seek, so zipfile puts sizes behind the data."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer
        """Keep until taken."""
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class StreamedZip:
    """Gives out the bytes of a zip, entry by entry. Use as a context manager, then `end`."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._archive = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._now = time.gmtime()[:6]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def entry(self, name: str, data: bytes, *, is_text: bool = False) -> bytes:
        """The bytes of one more entry; text is compressed, PNGs are already."""
        info = zipfile.ZipInfo(name, self._now)
        info.external_attr = 0o644 << 16
        info.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
        self._archive.writestr(info, data)
        return self._pipe.taken()

    def end(self) -> bytes:
        """The bytes of the directory at the end."""
        self._archive.close()
        return self._pipe.taken()
