"""Work that is done in threads a little ahead of whoever takes its results."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

AnyItem = TypeVar("AnyItem")
AnyResult = TypeVar("AnyResult")


def ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[AnyItem], AnyResult],
    items: Iterable[AnyItem],
    *,
    most: int,
    most_px: int | None = None,
) -> Iterator[AnyResult]:
    """The results of items, in order, while later ones are worked on; few enough wait that memory stays flat.

    Args:
        pool: Whose threads do it.
        work: What is done to each.
        items: Taken in the caller's thread.
        most: Results that may wait.
        most_px: Pixels that those may have, as their attribute `pixels` says; None = any number.
    """
    waiting: collections.deque[Future[AnyResult]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        while len(waiting) >= most or (len(waiting) > 1 and most_px is not None and _pixels(waiting) > most_px):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _pixels(waiting: Sequence[Future[Any]] | collections.deque[Future[Any]]) -> int:
    done = [one for one in waiting if one.done() and one.exception() is None]
    return sum(getattr(one.result(), "pixels", 0) for one in done)
