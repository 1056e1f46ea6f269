"""One run per store: a lock that the operating system drops when its owner dies, and that names its owner."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from automask.errors import StoreLocked
from automask.files.atomic import is_process_alive, output_error

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_WINDOWS_LOCK_OFFSET = 1 << 30
"""Windows locks bytes against reading too: one far behind the owner's text keeps that readable."""


@dataclass(frozen=True, slots=True)
class LockOwner:
    """Who holds a store.

    Attributes:
        pid: Process id on its host.
        host: Host name.
        started_s: Seconds since the epoch when it took the lock.
        command: Its command line.
    """

    pid: int
    host: str
    started_s: float
    command: str

    @classmethod
    def this_process(cls) -> LockOwner:
        """The owner that this process would be."""
        return cls(os.getpid(), socket.gethostname(), time.time(), shlex.join(sys.argv))

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started_s))
        return f"process {self.pid} on {self.host}, since {since}, command: {self.command or 'unknown'}"


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock file.

    The lock is the operating system's (`flock`, on Windows `LockFile`), so it ends with its process, however that
    dies. Where a network file system has no locks, the owner's text decides: it is taken over only when it names a
    dead process of this host.

    Raises:
        StoreLocked: Somebody else holds it; the message names the owner.
        OutputError: The lock file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise output_error(error, path) from error
    try:
        try:
            _lock(descriptor)
        except OSError as error:
            owner = read_owner(path)
            if error.errno not in _UNSUPPORTED or (owner is not None and not _is_dead(owner)):
                raise _locked(path, owner) from error
        try:
            _write_owner(descriptor)
        except OSError as error:
            raise output_error(error, path) from error
        try:
            yield
        finally:
            # Emptied, not removed: removing it would let a third process lock a new file while a second one
            # still waits on the old.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def read_owner(path: Path) -> LockOwner | None:
    """The owner that a lock file names, or None where it names nobody."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return LockOwner(int(fields["pid"]), str(fields["host"]), float(fields["started_s"]), str(fields["command"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def living_owner(path: Path) -> LockOwner | None:
    """The owner that a lock file names, or None where that process is known to be dead.

    Killed processes leave their names. The lock itself is not tried: whoever wants it at that moment would not get it.
    """
    owner = read_owner(path)
    return None if owner is None or _is_dead(owner) else owner


def _locked(path: Path, owner: LockOwner | None) -> StoreLocked:
    return StoreLocked(
        f"Another run owns {path.parent} ({owner or 'it did not leave its name'}).",
        advice="Wait until it ends, or give this run another --output.",
    )


def _is_dead(owner: LockOwner) -> bool:
    return owner.host == socket.gethostname() and not is_process_alive(owner.pid)


def _write_owner(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(asdict(LockOwner.this_process())).encode())


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
