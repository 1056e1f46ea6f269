"""Memory that nothing uses any more, given back to the system while a server runs."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable

_EVERY_S = 15.0


class Trimmer:
    """A thread that now and then has glibc give back what lies free between things in use.

    Pictures of many sizes come and go, and without it the process stays as large as it ever was. Does nothing where the
    C library is another one.

    Args:
        count: A number that grows with the work done; while it stays the same there is nothing to give back.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._ended = threading.Event()
        self._trim = _malloc_trim()

    def start(self) -> None:
        """Start the thread."""
        if self._trim is not None:
            threading.Thread(target=self._work, name="automask-trim", daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._ended.set()

    def _work(self) -> None:
        done = self._count()
        while not self._ended.wait(_EVERY_S):
            now = self._count()
            if now != done and self._trim is not None:
                self._trim(0)
            done = now


def give_back_memory() -> None:
    """What `Trimmer` does now and then, at once."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return found
