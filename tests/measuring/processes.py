"""Runs a command as a process of its own and says what it took."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """A command that ended well.

    Attributes:
        stdout: What it printed.
        seconds: Wall time.
        processor_seconds: User and system time, of its children too.
        peak_mib: Most resident memory.
    """

    stdout: bytes
    seconds: float
    processor_seconds: float
    peak_mib: float


def measured(words: Sequence[str]) -> Process:
    """Run a command to its end. On Linux, where memory is counted in KiB.

    Raises:
        RuntimeError: It ended with another code than 0.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(list(words), stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        printed.seek(0)
        stdout = printed.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return Process(stdout, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
