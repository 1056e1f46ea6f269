"""Results on disk, by the hash of the image and the fingerprint of the models: an image seen before costs no model."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from pathlib import Path

from automask.errors import OutputError
from automask.http.wire import WireFound
from automask.store import write_atomic
from automask.values.types import Found

logger = logging.getLogger(__name__)

_KEEP_SHARE = 0.9


class ResultCache:
    """Files in one folder, together at most so large; the longest unused go first.

    Any thread may use it. A file that is damaged counts as not there; a full disk turns into a warning.

    Args:
        folder: Where to; made when needed.
        most_bytes: The bound; 0 = keep nothing.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._mutex = threading.Lock()
        self._size_bytes: int | None = None
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> Found | None:
        """What was found in an image, or None."""
        if self._most_bytes == 0:
            return None
        path = self._path(key)
        try:
            result = WireFound.model_validate_json(zlib.decompress(path.read_bytes())).found()
            os.utime(path)
        except FileNotFoundError:
            result = None
        except (OSError, ValueError, zlib.error):
            logger.warning("the cached result %s is damaged; it is made again", path.name)
            result = None
        with self._mutex:
            self.hits += result is not None
            self.misses += result is None
        return result

    def put(self, key: str, result: Found, content_sha256: str) -> None:
        """Keep what was found in an image."""
        if self._most_bytes == 0:
            return
        wire = WireFound.of_found(result, content_sha256=content_sha256)
        data = zlib.compress(wire.model_dump_json().encode(), level=1)
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data, durable=False)
        except (OSError, OutputError) as error:
            logger.warning("the result cannot be cached: %s", error)
            return
        with self._mutex:
            if self._size_bytes is None:
                self._size_bytes = sum(size for _, size, _ in self._files())
            else:
                self._size_bytes += len(data)
            if self._size_bytes > self._most_bytes:
                self._trim()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json.z"

    def _files(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in self._folder.glob("*/*.json.z"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        return found

    def _trim(self) -> None:
        files = sorted(self._files())
        size_bytes = sum(size for _, size, _ in files)
        for _, file_bytes, path in files:
            if size_bytes <= self._most_bytes * _KEEP_SHARE:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                size_bytes -= file_bytes
        self._size_bytes = size_bytes
