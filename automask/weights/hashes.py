"""Hashes of weight files, read once and remembered."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from automask.errors import WeightsError


class HashCache:
    """Remembers sha256 by path, size and mtime_ns, so that a run does not read hundreds of megabytes to start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sha256(self, file: Path, *, rehash: bool = False) -> str:
        """Hash of a file's bytes.

        Raises:
            WeightsError: The file cannot be read.
        """
        try:
            facts = file.stat()
            key, stamp = str(file.resolve()), [facts.st_size, facts.st_mtime_ns]
            known = self._read().get(key)
            if not rehash and known is not None and known[:-1] == stamp:
                return str(known[-1])
            digest = file_sha256(file)
        except OSError as error:
            raise WeightsError(f"Cannot read {file}: {error.strerror}.", advice="Check its permissions.") from error
        self._write({**self._read(), key: [*stamp, digest]})
        return digest

    def _read(self) -> dict[str, list[int | str]]:
        try:
            return TypeAdapter(dict[str, list[int | str]]).validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return {}  # only a cache: a damaged one is made anew

    def _write(self, entries: Mapping[str, object]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".hashes-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(entries, stream)
            Path(temporary).replace(self._path)
        except OSError:
            return  # a read-only home only costs time


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_sha256(hashes: Mapping[str, str]) -> str:
    """One hash over several files, from their names and hashes."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def hash_of_all(hashes: Mapping[str, str]) -> str:
    """What weights of these files are known by: the one file's own hash, or one over all of them."""
    return next(iter(hashes.values())) if len(hashes) == 1 else combined_sha256(hashes)
