"""Ctrl-C: once to finish the image in hand, twice to end at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from automask.errors import EXIT_INTERRUPTED
from automask.files.atomic import discard_unfinished

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 4.0
"""For the image in hand. Nothing can interrupt a decoder or a model, and some files keep one busy for minutes."""


@contextlib.contextmanager
def stop_on_interrupt(
    on_first: Callable[[signal.Signals], None],
    *,
    on_grace_over: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C (or SIGTERM) sets; the second one ends the process as the system does.

    Where the work does not end within the grace, the process does. Neither waits for Python to come back from a call
    that takes long: ending there is safe, since masks and rows are written as if the power could fail at any time.

    Args:
        on_first: Called once with the signal that came, in a thread of its own: a signal handler must not print, it may
            have interrupted print.
        on_grace_over: Called in that thread before the process ends because the grace is over.
        grace_s: How long the work may go on.
    """
    stop = threading.Event()
    waking, woken = socket.socketpair()  # a handler runs between two steps of Python, its byte comes at once
    waking.setblocking(False)

    def handle(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        stop.set()

    def watch() -> None:
        came = woken.recv(1)
        if not came or came[0] not in _SIGNALS:
            return
        stop.set()
        on_first(signal.Signals(came[0]))
        woken.settimeout(grace_s)
        with contextlib.suppress(TimeoutError):
            again = woken.recv(1)
            if not again:  # the work has ended
                return
            discard_unfinished()
            os._exit(EXIT_INTERRUPTED)
        discard_unfinished()
        with contextlib.suppress(Exception):
            on_grace_over()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)

    watcher = threading.Thread(target=watch, name="automask-interrupt", daemon=True)
    watcher.start()
    wakeup_before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        waking.close()
        watcher.join()
        woken.close()
