"""Memory that nothing uses any more, given back to the system while a server runs."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable

_EVERY_S = 15.0
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of glibc's parameters, as in its malloc.h."""
_PARAMETERS = {_MMAP_THRESHOLD: 4 << 20, _TRIM_THRESHOLD: 4 << 20, _ARENA_MAX: 2}
"""Pixels of a large image are mapped and go back to the system when they are done with. Left to itself, glibc puts them
into the arenas of threads once it has seen a few, and `malloc_trim` never gives back the upper end of those. Lower
thresholds than NumPy's for huge pages, 4 MiB, cost page faults and save next to nothing."""


def keep_little_free_memory() -> None:
    """Bound what the C library keeps for later of all that this process gives back to it; before threads start."""
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        for name, value in _PARAMETERS.items():
            mallopt(name, value)


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
        self._trim = _of_glibc("malloc_trim")

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
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
