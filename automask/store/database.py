"""The SQLite file: connections, journal mode, and what its errors mean."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from automask.errors import AutomaskError, OutputError, StoreError

_BUSY_TIMEOUT_S = 30.0
# fmt: off
_LOCAL_FILE_SYSTEMS = frozenset({
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "ntfs", "ntfs3", "overlay",
    "ramfs", "reiserfs", "tmpfs", "vfat", "xfs", "zfs",
})
# fmt: on
_NEEDED_BYTES = 64 * 1024
"""SQLite's shared-memory file grows by 32 kB at a time."""
_LOST = ("no such table", "no such column", "no such index", "Could not decode")
"""How SQLite's general errors begin that our own statements meet in a damaged file only."""


class Database:
    """A pool of connections to one SQLite file.

    Safe to use from any thread: a connection is lent to one thread at a time. Not safe across `fork`.

    Args:
        path: The file.
        read_only: Refuse to write. SQLite's own side files may come and go.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._immutable = False
        self._idle: list[sqlite3.Connection] = []
        self._mutex = threading.Lock()
        self._closed = False

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        return self._read_only

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one short read. What is read is understood inside the block: what cannot be is damage.

        Raises:
            StoreError: The file is damaged, foreign or busy.
        """
        with translated_errors(self._path), _understood(self._path):
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a write transaction, which commits when the block ends well.

        Args:
            durable: Wait for the disk at commit, for what cannot be computed again (a person's work). Without it a
                power cut may lose the last transactions of a WAL database, never its consistency.

        Raises:
            OutputError: The disk is full or read-only.
            StoreError: The file is damaged, foreign or busy.
        """
        if self._read_only:
            raise StoreError(f"{self._path.parent} was opened for reading only.", code="store-read-only")
        with translated_errors(self._path):
            connection = self._borrow()
            try:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            finally:
                if durable:
                    connection.execute(f"PRAGMA synchronous = {self._synchronous(connection)}")
                self._give_back(connection)

    def choose_journal(self) -> None:
        """Use a write-ahead log on local disks, a rollback journal anywhere else (WAL needs shared memory)."""
        wanted = "wal" if is_local(self._path.parent) else "delete"
        with self.reading() as connection:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == wanted:
                return
            try:
                connection.execute(f"PRAGMA journal_mode = {wanted}")
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY:  # somebody is in it: either mode is safe where it is
                    raise
            connection.execute(f"PRAGMA synchronous = {self._synchronous(connection)}")

    def close(self) -> None:
        """Close all connections; the last one folds the write-ahead log into the file."""
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _borrow(self) -> sqlite3.Connection:
        with self._mutex:
            if self._closed:
                raise StoreError(f"{self._path.parent} is closed already.", code="store-closed")
            if self._idle:
                return self._idle.pop()
        with _understood(self._path):
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._mutex:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        if self._read_only and not self._immutable:
            try:
                return self._configured("rw")
            except sqlite3.OperationalError as error:
                # A WAL database in a folder where nothing can be created, or on a full disk: without a log to replay
                # the file is whole.
                log = self._path.with_name(self._path.name + "-wal")
                if _primary_code(error) != sqlite3.SQLITE_CANTOPEN and not _is_full(error, self._path):
                    raise
                if log.exists() and log.stat().st_size > 0:
                    raise StoreError(
                        f"{self._path} has a write-ahead log that cannot be replayed where nothing can be written.",
                        advice="Copy the folder to a writable place and open it there.",
                        code="store-read-only",
                    ) from error
                self._immutable = True
        return self._configured("ro&immutable=1" if self._immutable else "rwc")

    def _configured(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA query_only = {int(self._read_only)}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(f"PRAGMA synchronous = {self._synchronous(connection)}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the file: foreign ones end here
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _synchronous(connection: sqlite3.Connection) -> str:
        # NORMAL cannot damage a WAL database; with a rollback journal only FULL is safe against power cuts.
        return "NORMAL" if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal" else "FULL"


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with advice."""
    try:
        yield
    except sqlite3.Error as error:
        translated = _translated(error, path)
        if translated is None:
            raise
        raise translated from error


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn what Python says of values that no automask wrote into ours."""
    try:
        yield
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def is_local(folder: Path) -> bool:
    """Whether a folder lies on a local disk. False where that cannot be known."""
    if sys.platform == "win32":
        import ctypes

        drive_fixed, drive_ram = 3, 6
        anchor = folder.absolute().anchor
        return ctypes.windll.kernel32.GetDriveTypeW(anchor) in (drive_fixed, drive_ram)
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    return file_system_of(folder.resolve(), lines) in _LOCAL_FILE_SYSTEMS


def file_system_of(folder: Path, mountinfo: list[str]) -> str | None:
    """Type of the file system that holds a resolved folder, by the lines of Linux's `/proc/self/mountinfo`."""
    found: tuple[int, str] | None = None
    for line in mountinfo:
        before, separator, after = line.partition(" - ")
        if not separator:
            continue
        mount_point = before.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
        mount_point = mount_point.encode("latin-1", "surrogateescape").decode("utf-8", "surrogateescape")
        if folder.is_relative_to(mount_point) and (found is None or len(mount_point) >= found[0]):
            found = len(mount_point), after.split(" ")[0]
    return found[1] if found else None


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the bytes above it tell variants of one error apart


def _is_full(error: sqlite3.Error, path: Path) -> bool:
    """Whether a failed disk is a full one: SQLite does not tell where it could not make its side files larger."""
    if _primary_code(error) != sqlite3.SQLITE_IOERR:
        return False
    try:
        return shutil.disk_usage(path.parent).free < _NEEDED_BYTES
    except OSError:
        return False


def _translated(error: sqlite3.Error, path: Path) -> AutomaskError | None:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL or _is_full(error, path):
        return OutputError(
            f"No space left for {path}.", advice="Free some space and run the same command again.", code="disk-full"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return OutputError(
            f"Cannot write {path}: {error}.", advice="Choose a writable folder with --output.", code="output-read-only"
        )
    if code == sqlite3.SQLITE_IOERR:
        return OutputError(f"The disk failed under {path}: {error}.", advice="Check the disk and run again.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"{path} is busy: another program has been writing to it for {_BUSY_TIMEOUT_S:.0f} s.",
            advice="Try again when that program is done.",
            code="store-busy",
        )
    is_lost = code in (0, sqlite3.SQLITE_ERROR) and str(error).startswith(_LOST)
    if is_lost or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG):
        return damaged(path, str(error))
    return None


def damaged(path: Path, reason: str) -> StoreError:
    """The error for a database file that cannot be read."""
    return StoreError(
        f"{path} is damaged or no automask store: {reason}.",
        advice="Put back a copy of it, or choose a new --output; mask files that exist stay usable.",
        code="store-corrupt",
    )
