"""Work on many files in a few threads."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_WAITING_PER_THREAD = 4

S = TypeVar("S")
T = TypeVar("T")


def in_threads(work: Callable[[S], T], items: Sequence[S], *, stop: threading.Event) -> Iterator[T]:
    """Results in order; few wait, so that memory stays flat. Ends early when asked to stop."""
    threads = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="automask-files")
    pending: collections.deque[Future[T]] = collections.deque()
    try:
        for item in items:
            if stop.is_set():
                break
            pending.append(pool.submit(work, item))
            if len(pending) >= threads * _WAITING_PER_THREAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
