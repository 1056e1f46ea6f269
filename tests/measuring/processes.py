"""Runs a command as a process of its own, to its end or until it is killed, and says what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A command that ended well, or was killed as it should be.

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


def measured(words: Sequence[str], *, kill_when: Callable[[], bool] | None = None) -> Process:
    """Run a command to its end. On Linux, where memory is counted in KiB.

    Args:
        words: The command.
        kill_when: Asked a few times a second; says when the process, which must live to see it, gets a SIGKILL.

    Raises:
        RuntimeError: It ended with another code than 0, or before it was killed.
    """
    begun = time.perf_counter()
    wanted = 0 if kill_when is None else -signal.SIGKILL
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(list(words), stdout=printed)
        while kill_when is not None and not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if kill_when():
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(_LOOK_S)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        printed.seek(0)
        stdout = printed.read()
    if process.returncode != wanted:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return Process(stdout, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
