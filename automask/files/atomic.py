"""Files that are either wholly there or not there at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automask.errors import FULL_DISK, OutputError

IMPOSSIBLE_NAME = "name-impossible"
"""Code of the error for a name that is too long, or taken by a folder (or its folder's by a file)."""

_SUFFIX = ".automask-tmp"
_ABANDONED_AFTER_S = 24 * 3600.0
_PROCESS_TOKEN = secrets.token_hex(4)
"""Tells a living process from a dead one with the same id, as in a container that is started again."""

_unfinished: set[Path] = set()
"""Temporary files of this process."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What a file looked like right after it was written.

    Attributes:
        sha256: Hash of its bytes.
        size_bytes: Its length.
        mtime_ns: Its modification time as the file system tells it.
    """

    sha256: str
    size_bytes: int
    mtime_ns: int


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> WrittenFile:
    """Write a file so that a reader, a crash or a power cut sees the old bytes or the new ones, never a part.

    Missing folders are made. On failure the old file stands and nothing is left beside it.

    Args:
        path: The file.
        data: All of its bytes.
        durable: Wait until the disk has it. Without, a power cut (not a crash) may leave an empty file: for what can
            be made again and is checked before it is used.

    Raises:
        OutputError: The disk is full, the folder is read-only, the name is not possible there.
    """
    temporary = write_temporary(path, data, durable=durable)
    try:
        return put_in_place(temporary, path, data, durable=durable)
    except BaseException:
        discard(temporary)
        raise


def write_temporary(path: Path, data: bytes, *, durable: bool = True) -> Path:
    """First half of `write_atomic`: the bytes, synchronised to the disk, under a temporary name beside `path`.

    The caller ends it with `put_in_place` or `discard`.

    Raises:
        OutputError: As for `write_atomic`.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}.{_host()}.{os.getpid()}.{_PROCESS_TOKEN}{_SUFFIX}"
    _unfinished.add(temporary)
    try:
        try:
            descriptor = os.open(temporary, _CREATE_FLAGS, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, _CREATE_FLAGS, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        discard(temporary)
        raise output_error(error, path) from error
    except BaseException:
        discard(temporary)
        raise
    return temporary


def put_in_place(temporary: Path, path: Path, data: bytes, *, durable: bool = True) -> WrittenFile:
    """Second half of `write_atomic`: rename, and synchronise the folder.

    Args:
        temporary: What `write_temporary` returned.
        path: The final name.
        data: The bytes that were written.
        durable: As for `write_atomic`.

    Raises:
        OutputError: As for `write_atomic`.
    """
    try:
        temporary.replace(path)
        _unfinished.discard(temporary)
        if durable:
            sync_folder(path.parent)
        facts = path.stat()
    except OSError as error:
        raise output_error(error, path) from error
    return WrittenFile(hashlib.sha256(data).hexdigest(), facts.st_size, facts.st_mtime_ns)


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it is there."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
    _unfinished.discard(temporary)


def discard_unfinished() -> None:
    """Remove the temporary files of this process, which is about to end in the middle of writing them."""
    for temporary in list(_unfinished):
        discard(temporary)


def sync_folder(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power cut, where the platform can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network file systems refuse it
            raise
    finally:
        os.close(descriptor)


def sweep_temporaries(root: Path) -> int:
    """Remove what killed writers left in a folder tree; files of living writers on this host stay.

    Returns:
        Number of files removed.
    """
    removed = 0
    for temporary in find_temporaries(root):
        if _is_abandoned(temporary):
            discard(temporary)
            removed += 1
    return removed


def find_temporaries(root: Path) -> Iterator[Path]:
    """All temporary files of `write_atomic` in a folder tree, finished or not."""
    for folder, _, names in os.walk(root):
        for name in names:
            if is_temporary(name):
                yield Path(folder, name)


def is_temporary(name: str) -> bool:
    """Whether a file name is one of `write_temporary`'s."""
    return name.endswith(_SUFFIX)


def output_error(error: OSError, path: Path) -> OutputError:
    """Say what went wrong with a written file, and what to do."""
    if error.errno in FULL_DISK:
        return OutputError(
            f"No space left for {path}.", advice="Free some space and run the same command again.", code="disk-full"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"No permission to write {path}.", advice="Choose a writable folder with --output.", code="output-read-only"
        )
    if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return OutputError(
            f"Cannot write {path}: {error.strerror}.", advice="Choose another name.", code=IMPOSSIBLE_NAME
        )
    return OutputError(
        f"Cannot write {path}: {error.strerror or error}.", advice="Check the output folder and run the command again."
    )


# Windows needs O_BINARY; O_CLOEXEC and its Windows twin O_NOINHERIT are Python's default.
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_abandoned(temporary: Path) -> bool:
    parts = temporary.name.removesuffix(_SUFFIX).split(".")
    if len(parts) == 5 and parts[3].isdigit() and parts[2] == _host():
        pid = int(parts[3])
        if pid == os.getpid():
            return parts[4] != _PROCESS_TOKEN
        if not is_process_alive(pid):
            return True
    try:
        return time.time() - temporary.stat().st_mtime > _ABANDONED_AFTER_S
    except OSError:
        return False


def is_process_alive(pid: int) -> bool:
    """Whether a process of this host still runs; True where that cannot be known."""
    if os.name == "nt":
        return True  # os.kill(pid, 0) would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
