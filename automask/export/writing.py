"""Puts files of an export on the disk, and knows which files there are not ours."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from PIL.PngImagePlugin import PngImageFile

from automask.errors import InputError, OutputError
from automask.export.manifest import Entries, Entry
from automask.export.protocol import ImageMode, OutputFile, Root
from automask.files.atomic import discard, output_error, write_atomic
from automask.files.png import POLARITY_KEY

_TEMPORARY_SUFFIX = ".automask-tmp"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes files of one export.

    Attributes:
        roots: What the names of files are relative to.
        known: Files of the earlier export.
        mode: How files of the user are taken over; `none` only where there are none.
    """

    roots: dict[Root, Path]
    known: Entries
    mode: ImageMode

    def path(self, file: OutputFile | Entry) -> Path:
        """Where a file is."""
        return self.roots[file.root] / file.name

    def is_current(self, file: OutputFile) -> bool:
        """Whether the file is there already, as it should be."""
        entry = self.known.get((file.root, file.name))
        return entry is not None and entry.key == file.key and entry.stands(self.path(file))

    def is_foreign(self, file: OutputFile) -> bool:
        """Whether something else stands where the file should go: not from an earlier export, or changed since."""
        path, entry = self.path(file), self.known.get((file.root, file.name))
        if not os.path.lexists(path) or path.lstat().st_size == 0:  # a power cut may leave empty files of ours
            return False
        if entry is not None and (entry.size_bytes is None or entry.stands(path)):
            return False
        return not _is_our_mask(path)

    def write(self, file: OutputFile) -> Entry:
        """Write one file.

        Raises:
            OutputError: The disk is full or read-only.
            InputError: A file of the user's that is to be linked or copied is gone.
        """
        path, content = self.path(file), file.make()
        if isinstance(content, bytes):
            written = write_atomic(path, content, durable=False)
            return Entry(file.root, file.name, file.key, written.size_bytes, written.mtime_ns)
        try:
            if self.mode == "link":
                _link(path, content)
            else:
                write_atomic(path, content.read_bytes(), durable=False)
            facts = path.lstat()
        except FileNotFoundError as error:
            raise InputError(f"{content} is gone.", advice="Restore it, or run `automask run` again.") from error
        except OSError as error:
            raise output_error(error, path) from error
        return Entry(file.root, file.name, file.key, facts.st_size, facts.st_mtime_ns)

    def remove(self, entry: Entry) -> bool:
        """Remove a file of an earlier export that is no longer part of it, unless somebody changed it since.

        Returns:
            Whether it was removed.
        """
        path = self.path(entry)
        if not entry.stands(path):
            return False
        try:
            path.unlink()
        except OSError as error:
            raise output_error(error, path) from error
        root = self.roots[entry.root]
        if entry.root is Root.OUTPUT:
            with contextlib.suppress(OSError):  # a folder that still holds something stays
                for folder in path.parents:
                    if folder == root:
                        break
                    folder.rmdir()
        return True


def _link(path: Path, target: Path) -> None:
    """A symbolic link, a hard link where the system allows no other, else a copy."""
    if not target.exists():
        raise FileNotFoundError(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}"
    try:
        try:
            temporary.symlink_to(target)
        except (OSError, NotImplementedError):
            try:
                temporary.hardlink_to(target)
            except (OSError, NotImplementedError):
                write_atomic(path, target.read_bytes(), durable=False)
                return
        temporary.replace(path)
    finally:
        discard(temporary)


def _is_our_mask(path: Path) -> bool:
    try:
        with PngImageFile(path) as picture:  # `PIL.Image.open` refuses masks of large images
            return POLARITY_KEY in picture.info
    except (OSError, ValueError, SyntaxError):
        return False


def refuse_foreign(paths: list[Path]) -> OutputError:
    """The error for files that are in the way."""
    shown = ", ".join(str(path) for path in paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return OutputError(
        f"Files that this export did not write, or that were changed since, are in the way: {shown}.",
        advice="Move them away or choose another --output; nothing was overwritten.",
        code="output-not-ours",
    )
