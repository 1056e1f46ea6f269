"""Ctrl-C: once to finish the image in hand, twice to end at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_interrupt(on_first: Callable[[signal.Signals], None]) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C (or SIGTERM) sets; the second one ends the process as the system does.

    The second one must not wait for Python: a model call may hold the interpreter for seconds. Ending there is safe,
    since masks and rows are written as if the power could fail at any time.

    Args:
        on_first: Called once with the signal that came, in a thread of its own: a signal handler must not print, it may
            have interrupted print.
    """
    stop, wake = threading.Event(), threading.Event()
    came: list[signal.Signals] = []

    def handle(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        came.append(signal.Signals(number))
        stop.set()
        wake.set()

    def announce() -> None:
        wake.wait()
        for number in came:
            on_first(number)

    announcer = threading.Thread(target=announce, name="automask-interrupt", daemon=True)
    announcer.start()
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        wake.set()
        announcer.join()
