"""What an export wrote: so that the next one redoes only what changed, and removes only what is ours.

`automask-export.jsonl` in the output folder, one JSON object a line: first a header with the exporter and its options,
then files; of several lines for one file the last counts. A line without `size` is a file that is about to be written:
after a crash it is known as ours.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from automask.errors import OutputError
from automask.export.protocol import Root
from automask.export.snippets import json_line
from automask.files.atomic import output_error, write_atomic

MANIFEST_NAME = "automask-export.jsonl"
_FORMAT = 1
_LONGEST_HEADER = 65_536


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Attributes:
        root: What `name` is relative to.
        name: Path, forward slashes.
        key: What its content depended on; empty for a file that was only about to be written.
        size_bytes: Its length, or None.
        mtime_ns: Its modification time after writing, or None.
    """

    root: Root
    name: str
    key: str = ""
    size_bytes: int | None = None
    mtime_ns: int | None = None

    def stands(self, path: Path) -> bool:
        """Whether the file is as it was written."""
        try:
            facts = path.lstat()
        except OSError:
            return False
        return (facts.st_size, facts.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


Entries = dict[tuple[Root, str], Entry]


def read_manifest(output: Path, *, exporter: str) -> Entries:
    """The files of an earlier export into this folder; empty without one.

    Raises:
        OutputError: The folder holds an export of another format, or one of a newer version.
    """
    try:
        lines = (output / MANIFEST_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"Cannot read {output / MANIFEST_NAME}: {error}.", advice="Choose another --output.", code="export-manifest"
        ) from error
    objects = [found for line in lines if (found := _parsed(line)) is not None]
    header = objects[0] if objects else {}
    if header.get("exporter") != exporter or header.get("format") != _FORMAT:
        raise OutputError(
            f"{output} holds an export to {header.get('exporter', 'something unknown')!r}.",
            advice="Choose another --output for each format.",
            code="export-manifest",
        )
    entries: Entries = {}
    for found in objects[1:]:
        try:
            entry = Entry(
                Root(found["root"]), found["name"], found.get("key", ""), found.get("size"), found.get("mtime_ns")
            )
        except (KeyError, ValueError):
            continue  # a line that a crash cut off
        entries[entry.root, entry.name] = entry
    return entries


def header_of(path: Path) -> Mapping[str, Any] | None:
    """The header of a manifest of this format, or None where there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            header = _parsed(file.readline(_LONGEST_HEADER))
    except (OSError, UnicodeDecodeError, RecursionError):
        return None
    return header if header is not None and header.get("format") == _FORMAT else None


def header(exporter: str, options: Mapping[str, object]) -> dict[str, object]:
    """The first line.

    Args:
        exporter: Its name.
        options: Of the exporter, as JSON values: an import draws with them again what the export drew.
    """
    return {"exporter": exporter, "format": _FORMAT, "options": dict(options)}


def write_manifest(output: Path, entries: Iterable[Entry], *, header: Mapping[str, object]) -> None:
    """Replace the manifest.

    Args:
        output: The folder of the export.
        entries: All its files.
        header: Its first line.

    Raises:
        OutputError: It cannot be written.
    """
    text = io.StringIO()
    text.write(json_line(header))
    for entry in entries:
        text.write(_line(entry))
    write_atomic(output / MANIFEST_NAME, text.getvalue().encode())


class Journal:
    """Adds lines to a manifest while files are written, each at once. Use as a context manager, from one thread."""

    def __init__(self, output: Path) -> None:
        self._path = output / MANIFEST_NAME
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("a", buffering=1, encoding="utf-8")
        except OSError as error:
            raise output_error(error, self._path) from error
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: Entry) -> None:
        """Note a file that was written."""
        if self._file is None:
            raise RuntimeError("the journal is not open")
        try:
            self._file.write(_line(entry))
        except OSError as error:
            raise output_error(error, self._path) from error


def _line(entry: Entry) -> str:
    found: dict[str, object] = {"root": entry.root.value, "name": entry.name}
    if entry.size_bytes is not None:
        found |= {"key": entry.key, "size": entry.size_bytes, "mtime_ns": entry.mtime_ns}
    return json_line(found)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
