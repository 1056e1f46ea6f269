"""What an engine promises: it works on the shards that it is given, wherever it likes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from automask.dataset.shards.samples import Shard
from automask.run.events import EventSink
from automask.run.shards.records import ShardRecord
from automask.run.shards.worker import ShardJob, ShardTask


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What became of a task.

    Attributes:
        shard: Which.
        record: Its record, which is in the target; None where it was not ended.
        failure: Why it was not, without secrets; None where another driver has it.
    """

    shard: Shard
    record: ShardRecord | None
    failure: str | None = None


@runtime_checkable
class Engine(Protocol):
    """Works on shards. An entry point of `automask.engines` is a class that is made without arguments."""

    name: ClassVar[str]
    """Its entry-point name."""

    def work(
        self,
        job: ShardJob,
        tasks: Iterator[ShardTask],
        *,
        events: EventSink,
        stop: threading.Event,
        holds: Callable[[str], bool],
    ) -> Iterator[ShardOutcome]:
        """Work on tasks until there is none left or `stop` is set; gives one outcome for each that was taken.

        Each task is claimed when it is taken from `tasks`: take one when somebody is free to work on it, not before.
        A worker process builds a `ShardWorker` from the job and calls its `do`, which reads and writes by itself:
        neither pixels nor masks go through the engine.

        Args:
            job: The run. It pickles.
            tasks: What to do.
            events: Called about images where that is cheap; an engine may leave it alone.
            stop: Set when the user wants the run to end.
            holds: Whether a shard is still this driver's; asked before its files are put into the target.
        """
        ...
