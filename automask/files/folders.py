"""Folders of files: what every kind promises, and those on this machine's disk. Names have forward slashes."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from automask.files.atomic import (
    discard,
    is_temporary,
    output_error,
    put_in_place,
    sync_folder,
    write_atomic,
    write_temporary,
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a listing.

    Attributes:
        name: Relative to the folder that was listed, with forward slashes.
        size_bytes: Its length.
        tag: What changes when its content does: an ETag, or the time of its last change. May be empty.
    """

    name: str
    size_bytes: int
    tag: str


class Unreachable(OSError):
    """A file system does not answer, or refuses, after all tries. Its message names no secret."""


class Folder(Protocol):
    """A folder or prefix. Missing files are `FileNotFoundError`, refused ones `PermissionError`, else `Unreachable`."""

    @property
    def label(self) -> str:
        """How messages and reports call it; without credentials."""
        ...

    def read(self, name: str, *, first: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file; all, or `length` of them from `first` on."""
        ...

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Bytes of several small files, None for those that do not exist."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to be read from its start to its end, or sought in."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a small file: readers see the old bytes or the new ones."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file unless it exists; whether this call did. Only as exclusive as the file system can be."""
        ...

    def upload(self, path: Path, name: str) -> None:
        """Move a file of this machine to a name in the folder; readers see all of it or nothing."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        ...

    def facts(self, name: str) -> FileEntry | None:
        """Size and tag of a file, or None where there is none."""
        ...

    def files(self, below: str = "") -> Iterator[FileEntry]:
        """All files under a sub-folder, folder by folder in the order of their names; one listing in memory."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder on this machine's disk, or one that is mounted there."""

    path: Path

    @property
    def label(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, name: str, *, first: int = 0, length: int | None = None) -> bytes:
        """See `Folder`."""
        with self._told(), (self.path / name).open("rb") as file:
            file.seek(first)
            return file.read(-1 if length is None else length)

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        """See `Folder`."""
        found: list[bytes | None] = []
        for name in names:
            try:
                found.append(self.read(name))
            except FileNotFoundError:
                found.append(None)
        return found

    def open(self, name: str) -> BinaryIO:
        """See `Folder`."""
        with self._told():
            return (self.path / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """See `Folder`; raises `OutputError`."""
        write_atomic(self.path / name, data)

    def create(self, name: str, data: bytes) -> bool:
        """See `Folder`. A link is made to a whole file: nobody reads a part, and only one of several makes it."""
        path = self.path / name
        temporary = write_temporary(path, data)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links: as exclusive, but a reader may see it empty for a moment
            with self._told():
                try:
                    with path.open("xb") as file:
                        file.write(data)
                except FileExistsError:
                    return False
        finally:
            discard(temporary)
        return True

    def upload(self, path: Path, name: str) -> None:
        """See `Folder`; raises `OutputError`."""
        target = self.path / name
        temporary = write_temporary(target, b"")  # beside its place: only there is a rename whole or not at all
        try:
            shutil.copyfile(path, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            put_in_place(temporary, target, b"")
        except BaseException as error:
            discard(temporary)
            if isinstance(error, OSError):
                raise output_error(error, target) from error
            raise
        path.unlink()

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with self._told():
            (self.path / name).unlink(missing_ok=True)
            sync_folder((self.path / name).parent)

    def facts(self, name: str) -> FileEntry | None:
        """See `Folder`."""
        try:
            with self._told():
                status = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return FileEntry(name, status.st_size, str(status.st_mtime_ns))

    def files(self, below: str = "") -> Iterator[FileEntry]:
        """See `Folder`. What `write_temporary` left is no file yet."""
        folder = self.path / below if below else self.path
        with self._told():
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                return
        prefix = f"{below.rstrip('/')}/" if below else ""
        for entry in entries:
            if entry.is_dir():
                yield from self.files(prefix + entry.name)
            elif not is_temporary(entry.name):
                try:
                    status = entry.stat()
                except OSError:  # gone since, or a link to nothing
                    continue
                yield FileEntry(prefix + entry.name, status.st_size, str(status.st_mtime_ns))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(*error.args) from error
        except PermissionError:
            raise
        except OSError as error:
            raise Unreachable(f"{self.path}: {error.strerror or error}") from error
